package source

// An Appender takes one value into a column. A decoder calls the method of the
// logical type that it declared; a column that cannot take such a value
// returns an error. Where a method returns a *Misfit a substitute has been
// appended, after any other error nothing has.
//
// Arguments are copied, never kept.
type Appender interface {
	Bool(v bool) error
	Int(v int64) error
	Uint(v uint64) error
	Float(v float64) error
	Decimal(v *Number) error
	Bytes(v []byte) error // String, Bytes, JSON, Enum, IPv4 and IPv6 (4 or 16 bytes)
	UUID(v [16]byte) error
	Date(days int64) error        // since 1970-01-01, proleptic Gregorian
	Time(micros int64) error      // since midnight; negative and beyond 24 h in MySQL
	Timestamp(micros int64) error // since 1970-01-01 00:00:00 UTC
	Special(v Special) error      // instead of Float, Decimal, Date or Timestamp

	// List appends an array of n values, which the caller then appends to the
	// Appender that it returns. In it Null is allowed.
	List(n int) (Appender, error)
	Null() error
}

// A Number is Coef × 10^-Scale, negated if Neg. Coef is an unsigned 256-bit
// integer, least significant word first.
type Number struct {
	Coef  [4]uint64
	Scale int
	Neg   bool
	// Over is set when the digits do not fit into Coef; the rest is void.
	Over bool
}

// Special is a value that is not on the number line, or at its ends.
type Special uint8

// The special values.
const (
	NaN Special = iota
	PosInf
	NegInf
	ZeroDate // MySQL's 0000-00-00 and dates with a zero month or day
)

// A Misfit says why a column could not hold a value exactly. The substitute
// stands in the column by then.
type Misfit struct {
	Reason string
	// Null is set when NULL is to stand for the value where the column allows.
	Null bool
}

func (m *Misfit) Error() string { return m.Reason }

// The misfits, allocated once.
var (
	OutOfRange = &Misfit{Reason: "outside the range of the target type"} // clamped to the nearer end
	TooWide    = &Misfit{Reason: "has more digits than the target type holds", Null: true}
	NotANumber = &Misfit{Reason: "is not a finite number", Null: true}
	NotADate   = &Misfit{Reason: "is not a calendar date", Null: true}
)
