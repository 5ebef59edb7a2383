package column

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// New makes an empty column of a ClickHouse type such as
// "Nullable(Decimal(10, 2))".
func New(typ string) (*Column, error) {
	c, err := parse(typ)
	if err != nil {
		return nil, fmt.Errorf("column of type %q: %w", typ, err)
	}
	return c, nil
}

func newColumn(typ string, to source.Appender, v values) *Column {
	return &Column{typ: typ, to: to, values: v}
}

// plain are the types that stand without arguments.
var plain = map[string]func(typ string) *Column{
	"Bool":     newBool,
	"Int8":     newInteger[proto.ColInt8],
	"Int16":    newInteger[proto.ColInt16],
	"Int32":    newInteger[proto.ColInt32],
	"Int64":    newInteger[proto.ColInt64],
	"UInt8":    newInteger[proto.ColUInt8],
	"UInt16":   newInteger[proto.ColUInt16],
	"UInt32":   newInteger[proto.ColUInt32],
	"UInt64":   newInteger[proto.ColUInt64],
	"Float32":  newFloat32,
	"Float64":  newFloat64,
	"String":   newString,
	"JSON":     newJSON,
	"UUID":     newUUID,
	"Date":     newDate,
	"Date32":   newDate32,
	"DateTime": newDateTime,
	"Time":     newTime,
	"IPv4":     newIPv4,
	"IPv6":     newIPv6,
}

var (
	errUnknown   = errors.New("type is not supported")
	errArguments = errors.New("arguments are not those of the type")
)

// parse makes a column of a type, which it reads without regard to spaces.
func parse(typ string) (*Column, error) {
	typ = strings.TrimSpace(typ)
	if build, ok := plain[typ]; ok {
		return build(typ), nil
	}
	name, rest, called := strings.Cut(typ, "(")
	list, closed := strings.CutSuffix(rest, ")")
	if called != closed {
		return nil, errArguments
	}
	args := split(list)
	switch strings.TrimSpace(name) {
	case "Array":
		return parseArray(args)
	case "DateTime":
		return parseDateTime(args)
	case "DateTime64":
		return parseDateTime64(args)
	case "Decimal":
		return parseDecimal(args)
	case "FixedString":
		return parseFixedString(args)
	case "JSON":
		return newJSON("JSON(" + strings.Join(args, ", ") + ")"), nil
	case "LowCardinality":
		return parseLowCardinality(args)
	case "Nullable":
		return parseNullable(args)
	case "Time64":
		return parseTime64(args)
	}
	return nil, errUnknown
}

func parseNullable(args []string) (*Column, error) {
	inner, err := parseOne(args)
	if err != nil {
		return nil, err
	}
	switch inner.values.(type) {
	case *lists, *numbered:
		return nil, fmt.Errorf("%s cannot be inside Nullable", inner.typ)
	}
	if inner.nullable {
		return nil, errors.New("Nullable cannot be inside Nullable")
	}
	inner.typ = "Nullable(" + inner.typ + ")"
	inner.nullable, inner.masked = true, true
	return inner, nil
}

func parseArray(args []string) (*Column, error) {
	elem, err := parseOne(args)
	if err != nil {
		return nil, err
	}
	return newArray(elem), nil
}

func parseLowCardinality(args []string) (*Column, error) {
	inner, err := parseOne(args)
	if err != nil {
		return nil, err
	}
	if _, ok := inner.values.(*texts); !ok {
		return nil, fmt.Errorf("LowCardinality of %s is not supported", inner.typ)
	}
	return newLowCardinality("LowCardinality("+inner.typ+")", inner.nullable), nil
}

func parseOne(args []string) (*Column, error) {
	if len(args) != 1 {
		return nil, errArguments
	}
	return parse(args[0])
}

// parseDecimal reads Decimal(P, S) with the server's defaults of 10 and 0.
func parseDecimal(args []string) (*Column, error) {
	precision, scale := 10, 0
	for i, to := range []*int{&precision, &scale}[:min(len(args), 2)] {
		n, err := number(args[i], 0, maxDigits)
		if err != nil {
			return nil, err
		}
		*to = n
	}
	if len(args) > 2 || precision < 1 || scale > precision {
		return nil, errArguments
	}
	return newDecimal(precision, scale), nil
}

func parseFixedString(args []string) (*Column, error) {
	if len(args) != 1 {
		return nil, errArguments
	}
	width, err := number(args[0], 1, maxFixedString)
	if err != nil {
		return nil, err
	}
	return newFixedString(width), nil
}

func parseDateTime(args []string) (*Column, error) {
	if len(args) != 1 {
		return nil, errArguments
	}
	return newDateTime("DateTime(" + args[0] + ")"), nil
}

// parseDateTime64 reads a precision, 3 where there is none, and a time zone.
func parseDateTime64(args []string) (*Column, error) {
	if len(args) == 0 {
		args = []string{"3"}
	}
	precision, err := number(args[0], 0, 9)
	if err != nil || len(args) > 2 {
		return nil, errArguments
	}
	return newDateTime64("DateTime64("+strings.Join(args, ", ")+")", precision), nil
}

func parseTime64(args []string) (*Column, error) {
	if len(args) == 0 {
		args = []string{"3"}
	}
	precision, err := number(args[0], 0, 9)
	if err != nil || len(args) > 1 {
		return nil, errArguments
	}
	return newTime64("Time64("+args[0]+")", precision), nil
}

func number(arg string, least, most int) (int, error) {
	n, err := strconv.Atoi(arg)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q is no number from %d to %d", arg, least, most)
	}
	return n, nil
}

// split cuts a list of arguments at the commas that are neither within
// parentheses nor within quotes. An empty list has no arguments.
func split(list string) []string {
	var args []string
	depth, quoted, start := 0, false, 0
	for i := 0; i < len(list); i++ {
		switch ch := list[i]; {
		case quoted && ch == '\\':
			i++
		case ch == '\'':
			quoted = !quoted
		case quoted:
		case ch == '(':
			depth++
		case ch == ')':
			depth--
		case ch == ',' && depth == 0:
			args = append(args, strings.TrimSpace(list[start:i]))
			start = i + 1
		}
	}
	if last := strings.TrimSpace(list[start:]); last != "" || len(args) > 0 {
		args = append(args, last)
	}
	return args
}
