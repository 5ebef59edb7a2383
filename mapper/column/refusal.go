package column

import (
	"fmt"

	"github.com/millrace/millrace/source"
)

// refusal is an Appender that takes nothing. The families embed it and replace
// the methods of what they take. Its value is the ClickHouse type.
type refusal string

var _ source.Appender = refusal("")

func (r refusal) refuse(what string) error {
	return fmt.Errorf("column of type %s cannot take %s", string(r), what)
}

func (r refusal) Bool(bool) error              { return r.refuse("a boolean") }
func (r refusal) Int(int64) error              { return r.refuse("an integer") }
func (r refusal) Uint(uint64) error            { return r.refuse("an unsigned integer") }
func (r refusal) Float(float64) error          { return r.refuse("a floating-point number") }
func (r refusal) Decimal(*source.Number) error { return r.refuse("a decimal number") }
func (r refusal) Bytes([]byte) error           { return r.refuse("a string") }
func (r refusal) UUID([16]byte) error          { return r.refuse("a UUID") }
func (r refusal) Date(int64) error             { return r.refuse("a date") }
func (r refusal) Time(int64) error             { return r.refuse("a time") }
func (r refusal) Timestamp(int64) error        { return r.refuse("a timestamp") }
func (r refusal) Null() error                  { return ErrNull }

func (r refusal) List(int) (source.Appender, error) { return nil, r.refuse("an array") }

func (r refusal) Special(v source.Special) error {
	switch v {
	case source.NaN:
		return r.refuse("NaN")
	case source.PosInf, source.NegInf:
		return r.refuse("an infinite value")
	}
	return r.refuse("a zero date")
}
