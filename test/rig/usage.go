package rig

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a run took.
type Usage struct {
	Wall time.Duration // from the start of the process to its end
	CPU  time.Duration // of all threads, user and system
	Peak int64         // bytes of resident memory at most
}

// Measure waits until a process that ends by itself has done so, exit code 0
// included. The memory is that of a moment before the end.
func (m *Millrace) Measure(ctx context.Context) (Usage, error) {
	var u Usage
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		// Not getrusage's maximum: that of a child begins with its parent's.
		if peak, err := peakMemory(m.PID()); err == nil {
			u.Peak = peak
		}
		select {
		case <-m.Done():
			u.Wall = time.Since(m.started)
			state := m.cmd.ProcessState
			u.CPU = state.UserTime() + state.SystemTime()
			return u, m.Err()
		case <-ctx.Done():
			return u, fmt.Errorf("wait for millrace: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// peakMemory reads VmHWM, as proc(5) has it.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read peak memory: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, " kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read peak memory: %w", err)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("read peak memory: process %d has none", pid)
}
