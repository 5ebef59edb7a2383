package column

import (
	"errors"

	"github.com/millrace/millrace/source"
)

// element appends the elements of an array. A misfit is kept for the end, so
// that the decoder goes on with the elements behind it.
type element struct {
	col    *Column
	misfit *source.Misfit // the first one of the array that is being decoded
}

var _ source.Appender = (*element)(nil)

// keep takes in the element that was appended with the outcome err.
func (e *element) keep(err error) error {
	if err == nil {
		e.col.count(0)
		return nil
	}
	var misfit *source.Misfit
	if !errors.As(err, &misfit) {
		return err
	}
	if e.misfit == nil {
		e.misfit = misfit
	}
	e.col.count(misfitMask(misfit))
	return nil
}

func (e *element) Bool(v bool) error              { return e.keep(e.col.to.Bool(v)) }
func (e *element) Int(v int64) error              { return e.keep(e.col.to.Int(v)) }
func (e *element) Uint(v uint64) error            { return e.keep(e.col.to.Uint(v)) }
func (e *element) Float(v float64) error          { return e.keep(e.col.to.Float(v)) }
func (e *element) Decimal(v *source.Number) error { return e.keep(e.col.to.Decimal(v)) }
func (e *element) Bytes(v []byte) error           { return e.keep(e.col.to.Bytes(v)) }
func (e *element) UUID(v [16]byte) error          { return e.keep(e.col.to.UUID(v)) }
func (e *element) Date(v int64) error             { return e.keep(e.col.to.Date(v)) }
func (e *element) Time(v int64) error             { return e.keep(e.col.to.Time(v)) }
func (e *element) Timestamp(v int64) error        { return e.keep(e.col.to.Timestamp(v)) }
func (e *element) Special(v source.Special) error { return e.keep(e.col.to.Special(v)) }

func (e *element) List(n int) (source.Appender, error) {
	elements, err := e.col.to.List(n)
	if err != nil {
		return nil, err
	}
	e.col.count(0)
	return elements, nil
}

func (e *element) Null() error {
	if e.col.masked {
		e.col.appendNull()
		return nil
	}
	return e.keep(e.col.to.Null())
}
