package postgres

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/millrace/millrace/source"
)

func TestDate(t *testing.T) {
	testForms(t, dateText, dateBinary, []wireForm{
		{"1970-01-01", bytesOf(int32(-10957)), "date(0)"},
		{"2000-01-01", bytesOf(int32(0)), "date(10957)"},
		{"2024-02-29", bytesOf(int32(8825)), "date(19782)"},
		{"1969-12-31", bytesOf(int32(-10958)), "date(-1)"},
		{"0001-01-01", bytesOf(int32(-730119)), "date(-719162)"},
		{"0001-12-31 BC", bytesOf(int32(-730120)), "date(-719163)"},
		{"0001-02-29 BC", bytesOf(int32(-730426)), "date(-719469)"},
		{"4714-11-24 BC", bytesOf(int32(-2451545)), "date(-2440588)"},
		{"9999-12-31", bytesOf(int32(2921939)), "date(2932896)"},
		{"10000-01-01", bytesOf(int32(2921940)), "date(2932897)"},
		{"5874897-12-31", bytesOf(int32(2145031948)), "date(2145042905)"},
		{"infinity", bytesOf(int32(math.MaxInt32)), "special(+Inf)"},
		{"-infinity", bytesOf(int32(math.MinInt32)), "special(-Inf)"},
	})
	testMalformed(t, dateText, "", "2024", "2024-01", "2024-1-01", "0000-01-01", "2023-02-29", "1900-02-29",
		"2024-13-01", "2024-00-01", "2024-04-31", "2024-01-00", "2024-01-01 ", "24-01-01", "2024/01/01",
		"4714-11-23 BC", "5874898-01-01", "99999999-01-01", " BC", "Infinity", "-2024-01-01", "2024-01-01 12:00:00")
	testMalformed(t, dateBinary, "", "\x00\x00\x00", "\x00\x00\x00\x00\x00")
}

func TestTime(t *testing.T) {
	testForms(t, timeText, timeBinary, []wireForm{
		{"00:00:00", bytesOf(int64(0)), "time(0)"},
		{"12:34:56.789", bytesOf(int64(45296789000)), "time(45296789000)"},
		{"00:00:00.000001", bytesOf(int64(1)), "time(1)"},
		{"23:59:59.999999", bytesOf(int64(86399999999)), "time(86399999999)"},
		{"24:00:00", bytesOf(int64(86400000000)), "time(86400000000)"},
	})
	testMalformed(t, timeText, "", "12:34", "12:34:5", "24:00:00.000001", "25:00:00", "12:60:00", "12:00:60",
		"12:00:00.", "12:00:00.1234567", "-1:00:00", "12:00:00+00", "12-00-00")
	testMalformed(t, timeBinary, []byte{}, bytesOf(int64(-1)), bytesOf(int64(86400000001)))
}

func TestTimestamp(t *testing.T) {
	forms := []wireForm{
		{"1970-01-01 00:00:00", bytesOf(int64(-946684800000000)), "timestamp(0)"},
		{"2000-01-01 00:00:00", bytesOf(int64(0)), "timestamp(946684800000000)"},
		{"1969-12-31 23:59:59.999999", bytesOf(int64(-946684800000001)), "timestamp(-1)"},
		{"2024-01-31 12:34:56.789", bytesOf(int64(760019696789000)), "timestamp(1706704496789000)"},
		{"1000-01-01 00:00:00", bytesOf(int64(-31556908800000000)), "timestamp(-30610224000000000)"},
		{"0044-03-15 12:00:00 BC", bytesOf(int64(-64464465600000000)), "timestamp(-63517780800000000)"},
		{"4714-11-24 00:00:00 BC", bytesOf(int64(-211813488000000000)), "timestamp(-210866803200000000)"},
		{"9999-12-31 23:59:59.999999", bytesOf(int64(252455615999999999)), "timestamp(253402300799999999)"},
		{"294247-01-10 04:00:54.775807", bytesOf(int64(math.MaxInt64 - epochMicros)), "timestamp(9223372036854775807)"},
		{"infinity", bytesOf(int64(math.MaxInt64)), "special(+Inf)"},
		{"-infinity", bytesOf(int64(math.MinInt64)), "special(-Inf)"},
	}
	testForms(t, timestampText, timestampBinary, forms)
	for i, f := range forms {
		if f.text[len(f.text)-1] == 'C' {
			forms[i].text = f.text[:len(f.text)-3] + "+00 BC"
		} else if f.text[len(f.text)-1] != 'y' {
			forms[i].text += "+00"
		}
	}
	testForms(t, timestamptzText, timestampBinary, append(forms,
		wireForm{text: "2000-01-01 00:00:00-08", want: "timestamp(946713600000000)"},
		wireForm{text: "2000-01-01 05:30:00+05:30", want: "timestamp(946684800000000)"},
		wireForm{text: "2000-01-01 00:00:00+00:01:15", want: "timestamp(946684725000000)"},
	))
	testMalformed(t, timestampText, "", "2024-01-31", "2024-01-31T12:34:56", "2024-01-31 12:34", "2024-01-31 12:34:56+00",
		"2024-01-31 12:34:56 ", "Infinity", "2024-01-31 ", "0000-01-01 00:00:00")
	testMalformed(t, timestamptzText, "2024-01-31 12:34:56", "2024-01-31 12:34:56Z", "2024-01-31 12:34:56+", "2024-01-31 12:34:56+0",
		"2024-01-31 12:34:56+00:", "2024-01-31 12:34:56+00:00:00:00", "2024-01-31 12:34:56+16", "2024-01-31 12:34:56+00 AD")
	testMalformed(t, timestampBinary, "", "\x00\x00\x00\x00")
}

// What lies behind the end of int64 is clamped, and said.
func TestTimestampPastInt64(t *testing.T) {
	const want = "timestamp(9223372036854775807)"
	for _, c := range []struct {
		decode source.Decode
		cell   []byte
	}{
		{timestampText, []byte("294247-01-10 04:00:54.775808")},
		{timestampText, []byte("294276-12-31 23:59:59.999999")},
		{timestamptzText, []byte("294247-01-10 04:00:54.775808+00")},
		{timestampBinary, bytesOf(int64(math.MaxInt64 - epochMicros + 1))},
		{timestampBinary, bytesOf(int64(9223371331199999999))},
	} {
		if got, err := record(c.decode, c.cell); got != want || !errors.Is(err, source.OutOfRange) {
			t.Errorf("%q: %s, %v", c.cell, got, err)
		}
	}
}

func FuzzDateText(f *testing.F) {
	for _, s := range []string{"2024-02-29", "0044-03-15 BC", "infinity", "5874897-12-31", "4714-11-24 BC"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, cell []byte) {
		fuzzSafe(t, dateText, cell)
		fuzzSafe(t, timeText, cell)
	})
}

func FuzzTimestampText(f *testing.F) {
	for _, s := range []string{"2024-01-31 12:34:56.789+00", "0044-03-15 12:00:00 BC", "-infinity", "294276-12-31 23:59:59.999999", "2000-01-01 00:00:00+05:30"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, cell []byte) {
		fuzzSafe(t, timestampText, cell)
		fuzzSafe(t, timestamptzText, cell)
	})
}

// FuzzTimestampForms writes any timestamp as Postgres does, with package time
// as the calendar, and compares the forms with it.
func FuzzTimestampForms(f *testing.F) {
	f.Add(int64(0))
	f.Add(int64(-210866803200000000))
	f.Add(int64(math.MaxInt64))
	f.Add(int64(-62135596800000001)) // 1 BC's last microsecond
	f.Fuzz(func(t *testing.T, micros int64) {
		if micros < firstDay*microsPerDay {
			return
		}
		date, clock, bc := civil(micros)
		check := func(decode source.Decode, cell []byte, want string) {
			t.Helper()
			if got, err := record(decode, cell); err != nil || got != want {
				t.Fatalf("%q: %s, %v, want %s", cell, got, err, want)
			}
		}
		want := fmt.Sprintf("timestamp(%d)", micros)
		check(timestampText, []byte(date+" "+clock+bc), want)
		check(timestamptzText, []byte(date+" "+clock+"+00"+bc), want)
		check(timestampBinary, bytesOf(micros-epochMicros), want)

		ofDay := (micros%microsPerDay + microsPerDay) % microsPerDay
		day := (micros - ofDay) / microsPerDay
		check(dateText, []byte(date+bc), fmt.Sprintf("date(%d)", day))
		check(dateBinary, bytesOf(int32(day-epochDays)), fmt.Sprintf("date(%d)", day))
		check(timeText, []byte(clock), fmt.Sprintf("time(%d)", ofDay))
		check(timeBinary, bytesOf(ofDay), fmt.Sprintf("time(%d)", ofDay))
	})
}

func civil(micros int64) (date, clock, bc string) {
	v := time.UnixMicro(micros).UTC()
	year := v.Year()
	if year < 1 {
		year, bc = 1-year, " BC"
	}
	return fmt.Sprintf("%04d-%02d-%02d", year, v.Month(), v.Day()), v.Format("15:04:05.999999"), bc
}
