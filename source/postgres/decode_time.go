package postgres

import (
	"encoding/binary"
	"math"

	"github.com/millrace/millrace/source"
)

// Dates and times. Manual: "Date/Time Output" with DateStyle ISO. Years have
// four digits or more and years before 1 end in " BC". Binary forms are
// big-endian: a date is an int32 of days, a timestamp an int64 of microseconds,
// both since 2000-01-01 with infinity at the type's ends; a time is an int64 of
// microseconds since midnight (date_send, timestamp_send, time_send in
// src/backend/utils/adt).

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 24 * 60 * 60 * microsPerSecond

	// 1970-01-01 to 2000-01-01
	epochDays   = 10957
	epochMicros = epochDays * microsPerDay

	firstDay = -2440588 // 4714-11-24 BC, where Postgres' calendar begins
	lastYear = 5874897
)

func dateText(cell []byte, to source.Appender) error {
	if special, ok := parseInfinity(cell); ok {
		return to.Special(special)
	}
	cell, bc := cutBC(cell)
	days, rest, ok := parseDate(cell, bc)
	if !ok || len(rest) > 0 {
		return malformed("date")
	}
	return to.Date(days)
}

func dateBinary(cell []byte, to source.Appender) error {
	if len(cell) != 4 {
		return malformed("date")
	}
	switch days := int32(binary.BigEndian.Uint32(cell)); days {
	case math.MaxInt32:
		return to.Special(source.PosInf)
	case math.MinInt32:
		return to.Special(source.NegInf)
	default:
		return to.Date(int64(days) + epochDays)
	}
}

func timeText(cell []byte, to source.Appender) error {
	micros, rest, ok := parseClock(cell)
	if !ok || len(rest) > 0 {
		return malformed("time")
	}
	return to.Time(micros)
}

func timeBinary(cell []byte, to source.Appender) error {
	if len(cell) != 8 {
		return malformed("time")
	}
	micros := binary.BigEndian.Uint64(cell)
	if micros > microsPerDay {
		return malformed("time")
	}
	return to.Time(int64(micros))
}

func timestampText(cell []byte, to source.Appender) error {
	return parseTimestamp(cell, false, to)
}

func timestamptzText(cell []byte, to source.Appender) error {
	return parseTimestamp(cell, true, to)
}

// timestampBinary reads both timestamp types: the second is in UTC as well.
func timestampBinary(cell []byte, to source.Appender) error {
	if len(cell) != 8 {
		return malformed("timestamp")
	}
	switch micros := int64(binary.BigEndian.Uint64(cell)); {
	case micros == math.MaxInt64:
		return to.Special(source.PosInf)
	case micros == math.MinInt64:
		return to.Special(source.NegInf)
	case micros > math.MaxInt64-epochMicros:
		return lateTimestamp(to)
	default:
		return to.Timestamp(micros + epochMicros)
	}
}

// lateTimestamp appends the end of int64, in the year 294247, in place of what
// lies between it and the end of Postgres' calendar 29 years later.
func lateTimestamp(to source.Appender) error {
	if err := to.Timestamp(math.MaxInt64); err != nil {
		return err
	}
	return source.OutOfRange
}

// parseTimestamp reads "2024-01-31 12:34:56.789", where zoned with an offset
// from UTC behind it.
func parseTimestamp(cell []byte, zoned bool, to source.Appender) error {
	if special, ok := parseInfinity(cell); ok {
		return to.Special(special)
	}
	cell, bc := cutBC(cell)
	days, rest, ok := parseDate(cell, bc)
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return malformed("timestamp")
	}
	micros, rest, ok := parseClock(rest[1:])
	if !ok {
		return malformed("timestamp")
	}
	if zoned {
		var offset int64
		if offset, rest, ok = parseOffset(rest); !ok {
			return malformed("timestamp with time zone")
		}
		micros -= offset
	}
	const lastDay, lastMicro = math.MaxInt64 / microsPerDay, math.MaxInt64 % microsPerDay
	switch {
	case len(rest) > 0:
		return malformed("timestamp")
	case days > lastDay, days == lastDay && micros > lastMicro:
		return lateTimestamp(to)
	}
	return to.Timestamp(days*microsPerDay + micros)
}

func parseInfinity(b []byte) (v source.Special, ok bool) {
	if len(b) == 0 || b[0] >= '0' && b[0] <= '9' {
		return 0, false
	}
	switch string(b) {
	case "infinity":
		return source.PosInf, true
	case "-infinity":
		return source.NegInf, true
	}
	return 0, false
}

// cutBC takes the " BC" off that Postgres writes behind everything else.
func cutBC(b []byte) (rest []byte, bc bool) {
	if n := len(b) - 3; n >= 0 && b[n+2] == 'C' && b[n+1] == 'B' && b[n] == ' ' {
		return b[:n], true
	}
	return b, false
}

// parseDate reads "2024-01-31" at the start of b as days since 1970-01-01.
func parseDate(b []byte, bc bool) (days int64, rest []byte, ok bool) {
	var year int64
	n := 0
	for ; n < len(b) && n < 7 && b[n]-'0' < 10; n++ {
		year = year*10 + int64(b[n]-'0')
	}
	if n < 4 || year == 0 || year > lastYear || len(b) < n+6 || b[n] != '-' || b[n+3] != '-' {
		return 0, nil, false
	}
	if bc {
		year = 1 - year // there is no year 0
	}
	month, day := twoDigits(b[n+1:]), twoDigits(b[n+4:])
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, nil, false
	}
	days = daysSince1970(year, month, day)
	return days, b[n+6:], days >= firstDay
}

// parseClock reads "12:34:56.789" at the start of b, up to "24:00:00".
func parseClock(b []byte) (micros int64, rest []byte, ok bool) {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return 0, nil, false
	}
	hour, minute, second := twoDigits(b), twoDigits(b[3:]), twoDigits(b[6:])
	if hour > 24 || minute > 59 || second > 59 {
		return 0, nil, false
	}
	micros = ((hour*60+minute)*60 + second) * microsPerSecond
	b = b[8:]
	if len(b) > 0 && b[0] == '.' {
		n, unit := 1, int64(microsPerSecond)
		for ; n < len(b) && unit > 1 && b[n]-'0' < 10; n++ {
			unit /= 10
			micros += int64(b[n]-'0') * unit
		}
		if n == 1 {
			return 0, nil, false
		}
		b = b[n:]
	}
	return micros, b, micros <= microsPerDay
}

// parseOffset reads "+00", "+05:30" or "-00:01:15" at the start of b.
func parseOffset(b []byte) (micros int64, rest []byte, ok bool) {
	if len(b) < 3 || b[0] != '+' && b[0] != '-' {
		return 0, nil, false
	}
	neg := b[0] == '-'
	unit := int64(60 * 60)
	var seconds int64
	for b = b[1:]; ; b = b[1:] {
		if len(b) < 2 {
			return 0, nil, false
		}
		v := twoDigits(b)
		if v > 59 {
			return 0, nil, false
		}
		seconds += v * unit
		unit /= 60
		if b = b[2:]; unit == 0 || len(b) == 0 || b[0] != ':' {
			break
		}
	}
	if neg {
		seconds = -seconds
	}
	return seconds * microsPerSecond, b, max(seconds, -seconds) < 16*60*60
}

// twoDigits reads the two digits that b, no shorter, starts with; 100 stands
// for what are none.
func twoDigits(b []byte) int64 {
	tens, ones := b[0]-'0', b[1]-'0'
	if tens > 9 || ones > 9 {
		return 100
	}
	return int64(tens)*10 + int64(ones)
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts in the proleptic Gregorian calendar. A year here begins
// in March, so that the leap day comes last, and 400 of them repeat.
func daysSince1970(year, month, day int64) int64 {
	month -= 3
	if month < 0 {
		month += 12
		year--
	}
	const (
		cycleYears = 400
		cycleDays  = 146097
		march1     = 719468 // days from 0000-03-01 to 1970-01-01
	)
	cycle := year / cycleYears
	if year < 0 {
		cycle = (year - cycleYears + 1) / cycleYears
	}
	year -= cycle * cycleYears
	dayOfYear := (153*month+2)/5 + day - 1
	return cycle*cycleDays + year*365 + year/4 - year/100 + dayOfYear - march1
}
