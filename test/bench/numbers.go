package main

import (
	"bufio"
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// quantile returns the value that a share of all, from 0 to 1, does not exceed;
// of none, zero.
func quantile[T cmp.Ordered](all []T, share float64) T {
	var none T
	if len(all) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(int(math.Ceil(share*float64(len(sorted))))-1, 0)]
}

// span writes median, least and most.
func span(all []float64, write func(float64) string) string {
	return fmt.Sprintf("%s (%s – %s)", write(quantile(all, 0.5)), write(slices.Min(all)), write(slices.Max(all)))
}

func (s *series) rate() string {
	var all []float64
	for _, u := range s.runs {
		all = append(all, perSecond(s.rows, u.Wall))
	}
	return span(all, count)
}

func (s *series) cpu() string {
	var all []float64
	for _, u := range s.runs {
		all = append(all, float64(u.CPU.Nanoseconds())/1000/float64(s.rows))
	}
	return span(all, decimals) + " µs/row"
}

func (s *series) peak() string {
	var all []float64
	for _, u := range s.runs {
		all = append(all, float64(u.Peak)/(1<<20))
	}
	return span(all, count) + " MiB"
}

func (s *series) rivalRates() []float64 {
	var all []float64
	for _, d := range s.rival {
		all = append(all, perSecond(s.rows, d))
	}
	return all
}

// ratios compares each run with the one of the rival that followed it.
func (s *series) ratios() []float64 {
	var all []float64
	for i, d := range s.rival {
		all = append(all, d.Seconds()/s.runs[i].Wall.Seconds())
	}
	return all
}

func perSecond(rows int, d time.Duration) float64 { return float64(rows) / d.Seconds() }

func count(v float64) string    { return thousands(int(v + 0.5)) }
func decimals(v float64) string { return fmt.Sprintf("%.2f", v) }

// thousands writes a number that is not below 0 with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// processor names the model, where Linux says it.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
