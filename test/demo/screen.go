package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"
)

// A screen shows samples: in place on a terminal, else a line each.
type screen struct {
	out      io.Writer
	fd       int
	terminal bool
	color    bool
	drawn    int // lines to go back over
	before   *sample
}

func newScreen(f *os.File) *screen {
	s := &screen{out: f, fd: int(f.Fd())}
	s.terminal = term.IsTerminal(s.fd) && os.Getenv("TERM") != "dumb"
	s.color = s.terminal && os.Getenv("NO_COLOR") == ""
	return s
}

// step tells that something is done, and what there is to know about it.
func (s *screen) step(what, format string, args ...any) {
	fmt.Fprintf(s.out, "  %-12s %s\n", what, fmt.Sprintf(format, args...))
}

// show shows a sample with so much time to go.
func (s *screen) show(m *sample, left time.Duration) {
	defer func() { s.before = m }()
	if width, height, err := term.GetSize(s.fd); s.terminal && err == nil {
		if lines := s.frame(m, left); height > len(lines)+1 {
			s.draw(lines, width)
			return
		}
	}
	fmt.Fprintln(s.out, s.line(m, left))
}

// draw writes lines over those drawn before.
func (s *screen) draw(lines []string, width int) {
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", s.drawn)
	}
	for _, line := range lines {
		b.WriteString(cut(line, width-1) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	s.drawn = len(lines)
	fmt.Fprint(s.out, b.String())
}

// cut shortens a line to what a terminal shows without wrapping; escape
// sequences take no room.
func cut(line string, width int) string {
	var b strings.Builder
	escape := false
	for _, r := range line {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case width <= 0:
			continue
		default:
			width--
		}
		b.WriteRune(r)
	}
	return b.String()
}

// frame is a sample as a table.
func (s *screen) frame(m *sample, left time.Duration) []string {
	lines := []string{
		"",
		s.dim(fmt.Sprintf("  %-14s %12s %12s %9s %9s %9s   %s",
			"rows", "Postgres", "ClickHouse", "inserts", "updates", "deletes", "state")),
	}
	for _, t := range tables {
		n, st := m.rows[t.name], m.table(t.name)
		lines = append(lines, fmt.Sprintf("  %-14s %12s %12s %9s %9s %9s   %s",
			t.name, thousands(n[0]), s.bold(fmt.Sprintf("%12s", thousands(n[1]))),
			thousands(st.Inserts), thousands(st.Updates), thousands(st.Deletes), st.State))
	}
	lines = append(lines, "",
		fmt.Sprintf("  %s transactions/s into Postgres, %s rows/s into ClickHouse, %s",
			s.bold(thousands(m.rate(s.before, commits))), s.bold(thousands(m.rate(s.before, arrivals))), lag(m)), "",
		s.dim(fmt.Sprintf("  %-14s %27s   %27s", "revenue today", heading("Postgres", m.revenue[0]), heading("ClickHouse", m.revenue[1]))))
	lines = append(lines, s.revenue(m)...)
	return append(lines, "", s.dim(fmt.Sprintf("  %d s to go, Ctrl-C ends it", int(left.Round(time.Second).Seconds()))))
}

// heading is a side's name with the time that its query took.
func heading(side string, a answer) string {
	if a.took == 0 {
		return side
	}
	return fmt.Sprintf("%s, %.1f ms", side, float64(a.took.Microseconds())/1000)
}

// revenue is the business query's answer, the sides next to each other.
func (s *screen) revenue(m *sample) []string {
	var lines []string
	for _, pair := range m.pairs() {
		sign := s.dim("…") // on its way
		if slices.Equal(pair[0], pair[1]) {
			sign = s.green("=")
		}
		lines = append(lines, "  "+revenueLine(pair)+"  "+sign)
	}
	return lines
}

func revenueLine(pair [2][]string) string {
	p, c := pair[0], pair[1]
	return fmt.Sprintf("%-14s %9s %17s   %9s %17s", cmp.Or(p[0], c[0]), grouped(p[1]), grouped(p[2]), grouped(c[1]), grouped(c[2]))
}

// line is a sample in short, for a log.
func (s *screen) line(m *sample, left time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %3d s to go, %-9s", int(left.Round(time.Second).Seconds()), m.status.State)
	for _, t := range tables {
		n := m.rows[t.name]
		fmt.Fprintf(&b, "  %s %s of %s", t.name, thousands(n[1]), thousands(n[0]))
	}
	fmt.Fprintf(&b, "  %s tx/s  %s rows/s  %s  revenue today %s | %s", thousands(m.rate(s.before, commits)),
		thousands(m.rate(s.before, arrivals)), lag(m), total(m.revenue[0]), total(m.revenue[1]))
	return b.String()
}

// total adds up the last column, money with two decimals.
func total(a answer) string {
	var cents int64
	for _, row := range a.rows {
		n, err := strconv.ParseInt(strings.Replace(row[2], ".", "", 1), 10, 64)
		if err != nil {
			return row[2]
		}
		cents += n
	}
	return fmt.Sprintf("%s.%02d", thousands(cents/100), cents%100)
}

func commits(m *sample) int64  { return m.commits }
func arrivals(m *sample) int64 { return m.arrivals }

func lag(m *sample) string {
	if m.lag < 0 {
		return "the copy has begun"
	}
	return fmt.Sprintf("%d ms and %s KiB behind", m.lag.Milliseconds(), thousands((m.lagBytes+1023)/1024))
}

// thousands writes a number with commas.
func thousands[T int | int64](n T) string { return grouped(strconv.FormatInt(int64(n), 10)) }

// grouped puts commas into a number's text, which may have decimals.
func grouped(text string) string {
	whole, decimals, found := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + decimals
	}
	return sign + whole
}

func (s *screen) dim(text string) string   { return s.style("2", text) }
func (s *screen) bold(text string) string  { return s.style("1", text) }
func (s *screen) green(text string) string { return s.style("32", text) }
func (s *screen) red(text string) string   { return s.style("31;1", text) }

func (s *screen) style(code, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
