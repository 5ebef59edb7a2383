package clickhouse

import (
	"strconv"
	"strings"
)

// holds reports whether a column of type have takes every value of type want
// exactly: the same type or a wider one. LowCardinality does not matter, nor
// the time zone, which is about reading. A column may allow NULL without need.
func holds(have, want string) bool {
	have, want = bare(have), bare(want)
	if inner, ok := within(want, "Nullable"); ok {
		outer, nullable := within(have, "Nullable")
		return nullable && holds(outer, inner)
	}
	if outer, ok := within(have, "Nullable"); ok {
		have = bare(outer)
	}
	if have == want {
		return true
	}
	haveName, haveArgs := cutType(have)
	wantName, wantArgs := cutType(want)
	switch {
	case wantName == "Float32":
		return haveName == "Float64"
	case wantName == "Bool":
		return haveName == "UInt8"
	case haveName != wantName:
		return widerInteger(haveName, wantName)
	}
	switch wantName {
	case "Decimal":
		return widerDecimal(haveArgs, wantArgs)
	case "DateTime64":
		// Nanoseconds end in 2262, everything coarser in 2299.
		have, want := number(haveArgs, 0), number(wantArgs, 0)
		return have >= want && have < 9 || have == want
	case "Time64":
		return number(haveArgs, 0) >= number(wantArgs, 0)
	case "Array":
		return holds(have[len("Array("):len(have)-1], want[len("Array("):len(want)-1])
	case "Map":
		return len(haveArgs) == 2 && len(wantArgs) == 2 &&
			holds(haveArgs[0], wantArgs[0]) && holds(haveArgs[1], wantArgs[1])
	}
	return false
}

// bare takes a type out of LowCardinality.
func bare(typ string) string {
	typ = strings.TrimSpace(typ)
	if inner, ok := within(typ, "LowCardinality"); ok {
		return inner
	}
	return typ
}

func within(typ, wrapper string) (string, bool) {
	inner, ok := strings.CutPrefix(typ, wrapper+"(")
	if !ok {
		return typ, false
	}
	return strings.TrimSuffix(inner, ")"), true
}

// cutType splits "Decimal(10, 2)" into its name and arguments.
func cutType(typ string) (name string, args []string) {
	name, list, found := strings.Cut(typ, "(")
	if !found {
		return name, nil
	}
	return name, splitList(list)
}

func number(args []string, i int) int {
	if i >= len(args) {
		return -1
	}
	n, err := strconv.Atoi(args[i])
	if err != nil {
		return -1
	}
	return n
}

// widerDecimal wants as many digits before the point and as many behind it.
func widerDecimal(have, want []string) bool {
	haveScale, wantScale := number(have, 1), number(want, 1)
	return haveScale >= wantScale && number(have, 0)-haveScale >= number(want, 0)-wantScale
}

// widerInteger compares Int8 to UInt256.
func widerInteger(have, want string) bool {
	haveBits, haveSigned := integer(have)
	wantBits, wantSigned := integer(want)
	if haveBits == 0 || wantBits == 0 {
		return false
	}
	if haveSigned == wantSigned {
		return haveBits >= wantBits
	}
	return haveSigned && haveBits > wantBits
}

func integer(name string) (bits int, signed bool) {
	digits, unsigned := strings.CutPrefix(name, "UInt")
	if !unsigned {
		var ok bool
		if digits, ok = strings.CutPrefix(name, "Int"); !ok {
			return 0, false
		}
	}
	bits, err := strconv.Atoi(digits)
	if err != nil { // Interval…
		return 0, false
	}
	return bits, !unsigned
}
