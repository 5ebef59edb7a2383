package sink_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/sink"
)

// errCrash ends a run in the middle of something.
var errCrash = errors.New("crash")

// A house is ClickHouse as far as one ReplacingMergeTree table goes: parts in
// the order of their insertion, merged at whim.
type house struct {
	*rand.Rand
	parts      [][]storedRow
	partitions int64 // by key
	collapse   bool  // a part is merged in itself when it is inserted
	trouble    bool  // inserts fail now and then
	crashes    bool  // a run may end in an insert
	trace      func(format string, args ...any)
}

func (h *house) oneIn(n int) bool { return h.IntN(n) == 0 }

// Insert implements sink.Target. A part is inserted whole or not at all, but a
// block makes a part in each partition.
func (h *house) Insert(_ context.Context, _, _ string, columns []proto.InputColumn) error {
	rows := rowsOf(columns)
	byPartition := make([][]storedRow, h.partitions)
	for _, r := range rows {
		p := r.id % h.partitions
		byPartition[p] = append(byPartition[p], r)
	}
	written := len(byPartition)
	fails := h.trouble && h.oneIn(6)
	if fails {
		written = h.IntN(written + 1)
	}
	for _, p := range byPartition[:written] {
		if len(p) == 0 {
			continue
		}
		if h.collapse {
			p = winners(p, false)
		}
		h.parts = append(h.parts, p)
		h.trace("inserted %v", p)
	}
	h.merge()
	if !fails {
		return nil
	}
	if h.crashes && h.oneIn(2) {
		return errCrash
	}
	return &sink.RetryError{Err: errors.New("connection reset")}
}

// Truncate implements sink.Target.
func (h *house) Truncate(context.Context, string) error {
	if h.trouble && h.crashes && h.oneIn(6) {
		return errCrash
	}
	h.parts = nil
	h.trace("truncated")
	return nil
}

// Stored implements sink.Target.
func (h *house) Stored(_ context.Context, p *mapper.Plan, keys []*column.Column, columns map[int]bool) (*sink.Stored, error) {
	if h.trouble && h.oneIn(10) {
		return nil, &sink.RetryError{Err: errors.New("connection reset")}
	}
	return storedOf(p, slices.Concat(h.parts...), keys, columns)
}

// merge makes a part of some that follow each other. One of all parts may drop
// deleted rows.
func (h *house) merge() {
	if len(h.parts) < 2 || !h.oneIn(2) {
		return
	}
	from := h.IntN(len(h.parts))
	to := from + 1 + h.IntN(len(h.parts)-from)
	all := to-from == len(h.parts)
	merged := winners(slices.Concat(h.parts[from:to]...), all && h.oneIn(2))
	h.parts = slices.Replace(h.parts, from, to, merged)
	h.trace("merged parts %d to %d: %v", from, to-1, merged)
}

// winners returns the last row of the highest version of each key.
func winners(rows []storedRow, cleanup bool) []storedRow {
	best := make(map[int64]storedRow)
	var order []int64
	for _, r := range rows {
		b, ok := best[r.id]
		if !ok {
			order = append(order, r.id)
		}
		if !ok || r.version >= b.version {
			best[r.id] = r
		}
	}
	var list []storedRow
	for _, id := range order {
		if r := best[id]; !cleanup || !r.deleted {
			list = append(list, r)
		}
	}
	return list
}

// final is the table as SELECT … FINAL shows it.
func (h *house) final() state {
	s := make(state)
	for _, r := range winners(slices.Concat(h.parts...), true) {
		s[r.id] = value{n: r.n, big: r.big}
	}
	return s
}

// differ says where a table is not as it should be, "" if nowhere.
func differ(got, want state) string {
	for _, key := range keys {
		g, okGot := got[key]
		w, okWant := want[key]
		if okGot != okWant || g.n != w.n || g.big != w.big {
			return fmt.Sprintf("key %d is %v (%t), want %v (%t)", key, g, okGot, w, okWant)
		}
	}
	return ""
}
