package main

import "testing"

func TestQuantile(t *testing.T) {
	all := []int{50, 10, 40, 20, 30}
	for share, want := range map[float64]int{0: 10, 0.2: 10, 0.21: 20, 0.5: 30, 0.95: 50, 1: 50} {
		if got := quantile(all, share); got != want {
			t.Errorf("quantile(%v) = %d, want %d", share, got, want)
		}
	}
	if got := quantile([]int(nil), 0.5); got != 0 {
		t.Errorf("quantile of nothing = %d", got)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}
