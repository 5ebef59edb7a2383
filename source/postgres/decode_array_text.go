package postgres

import (
	"bytes"

	"github.com/millrace/millrace/source"
)

// decodeText reads what array_out writes. Manual: "Array Input and Output
// Syntax".
//
//	{}    [2:3]={1,NULL}    {{a,"b c"},{"say \"hi\"","NULL"}}
//
// Bounds are written where one does not begin at 1; they are not kept. An
// element is quoted where it would otherwise be misread.
func (a *array) decodeText(cell []byte, to source.Appender) error {
	b, ok := cutBounds(cell)
	if !ok {
		return malformed("array")
	}
	if string(b) == "{}" {
		_, err := to.List(0)
		return err
	}
	sizes, ndim, ok := a.measure(b)
	switch {
	case !ok:
		return malformed("array")
	case ndim != a.dims:
		return otherShape(to)
	}
	return a.textLists(b, &sizes, to)
}

// textLists appends the array b, which has been measured.
func (a *array) textLists(b []byte, sizes *[maxDims]int, to source.Appender) error {
	var m misfits
	lists := [maxDims + 1]source.Appender{to}
	depth := 0
	for len(b) > 0 {
		var t token
		t, b = a.next(b)
		var err error
		switch t.kind {
		case openBrace:
			lists[depth+1], err = lists[depth].List(sizes[depth])
			depth++
		case closeBrace:
			depth--
		case nullElem:
			err = m.pass(lists[depth].Null())
		case plainElem:
			err = m.pass(a.elem(t.text, lists[depth]))
		case escapedElem:
			err = m.pass(a.unescape(t.text, lists[depth]))
		}
		if err != nil {
			return err
		}
	}
	return m.err()
}

// unescape appends an element after taking its backslashes out.
func (a *array) unescape(text []byte, to source.Appender) error {
	s := newScratch()
	defer s.free()
	s.buf = s.buf[:0]
	for {
		next := bytes.IndexByte(text, '\\')
		if next < 0 {
			break
		}
		// A backslash is never last: the quote behind it would be escaped.
		s.buf = append(append(s.buf, text[:next]...), text[next+1])
		text = text[next+2:]
	}
	s.buf = append(s.buf, text...)
	return a.elem(s.buf, to)
}

// measure checks the syntax of b and returns the size of each dimension.
func (a *array) measure(b []byte) (sizes [maxDims]int, ndim int, ok bool) {
	var counts [maxDims + 1]int // items so far of the open list at each depth
	depth, value := 0, true     // value: one must follow
	for {
		var t token
		t, b = a.next(b)
		switch t.kind {
		case openBrace:
			if !value || depth == maxDims || ndim > 0 && depth == ndim {
				return sizes, 0, false
			}
			depth++
			counts[depth] = 0
		case plainElem, escapedElem, nullElem:
			if ndim == 0 {
				ndim = depth
			}
			if !value || depth == 0 || depth != ndim {
				return sizes, 0, false
			}
			counts[depth]++
			value = false
		case delimiter:
			if value || depth == 0 {
				return sizes, 0, false
			}
			value = true
		case closeBrace:
			if value || depth == 0 {
				return sizes, 0, false
			}
			depth--
			if size := &sizes[depth]; *size == 0 {
				*size = counts[depth+1]
			} else if *size != counts[depth+1] {
				return sizes, 0, false
			}
			if depth == 0 {
				return sizes, ndim, len(b) == 0
			}
			counts[depth]++
		default:
			return sizes, 0, false
		}
	}
}

// cutBounds takes "[2:3][-1:0]=" off.
func cutBounds(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '[' {
		return b, true
	}
	for i, c := range b {
		switch {
		case c == '=':
			return b[i+1:], b[i-1] == ']'
		case c-'0' < 10, c == '[', c == ']', c == ':', c == '-', c == '+':
		default:
			return nil, false
		}
	}
	return nil, false
}

// A token is a piece of an array's text.
type token struct {
	kind tokenKind
	text []byte // of plain and escaped, without quotes
}

type tokenKind uint8

const (
	noToken tokenKind = iota
	openBrace
	closeBrace
	delimiter
	nullElem
	plainElem
	escapedElem // quoted, with backslashes in it
)

// next returns the token that b starts with, and what follows it.
func (a *array) next(b []byte) (t token, rest []byte) {
	if len(b) == 0 {
		return token{}, nil
	}
	switch b[0] {
	case '{':
		return token{kind: openBrace}, b[1:]
	case '}':
		return token{kind: closeBrace}, b[1:]
	case a.delim:
		return token{kind: delimiter}, b[1:]
	case '"':
		return quotedElem(b[1:])
	}
	n := 0
	for n < len(b) && b[n] != a.delim && b[n] != '}' {
		if b[n] == '"' || b[n] == '\\' || b[n] == '{' {
			return token{}, nil
		}
		n++
	}
	if string(b[:n]) == "NULL" {
		return token{kind: nullElem}, b[n:]
	}
	return token{plainElem, b[:n]}, b[n:]
}

// quotedElem returns the element whose opening quote stands before b.
func quotedElem(b []byte) (t token, rest []byte) {
	kind := plainElem
	for n := 0; n < len(b); n++ {
		switch b[n] {
		case '"':
			return token{kind, b[:n]}, b[n+1:]
		case '\\':
			kind = escapedElem
			n++
		}
	}
	return token{}, nil
}
