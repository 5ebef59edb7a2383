package postgres

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pglogrepl"

	"github.com/millrace/millrace/source"
)

// slowly decodes messages by way of pglogrepl.
func slowly(t *testing.T, messages [][]byte) string {
	t.Helper()
	d := slow{h: &transcript{}, relations: make(map[uint32]*pglogrepl.RelationMessage), shapes: make(map[uint32]*source.Table)}
	for _, m := range messages {
		if m[0] == pglogrepl.PrimaryKeepaliveMessageByteID {
			k, err := pglogrepl.ParsePrimaryKeepaliveMessage(m[1:])
			if err != nil {
				t.Fatal(err)
			}
			if !d.inside && k.ServerWALEnd > d.end {
				d.end = k.ServerWALEnd
				_ = d.h.Commit(t.Context(), source.Commit{Position: lsnPosition(d.end), Idle: true})
			}
			continue
		}
		d.message(t, parse(t, m))
	}
	return d.h.text()
}

// slow is a decoder that takes its time.
type slow struct {
	h         *transcript
	relations map[uint32]*pglogrepl.RelationMessage
	shapes    map[uint32]*source.Table
	begin     *pglogrepl.BeginMessage
	end       pglogrepl.LSN
	inside    bool
	rows      bool
}

func (d *slow) message(t *testing.T, m pglogrepl.Message) {
	t.Helper()
	ctx := t.Context()
	switch m := m.(type) {
	case *pglogrepl.BeginMessage:
		d.begin, d.inside, d.rows = m, true, false
	case *pglogrepl.CommitMessage:
		d.inside, d.end = false, m.TransactionEndLSN
		_ = d.h.Commit(ctx, source.Commit{Position: lsnPosition(d.end), Time: m.CommitTime, Idle: !d.rows})
	case *pglogrepl.RelationMessage:
		if m.RelationName == "ignored" {
			return
		}
		was := d.relations[m.RelationID]
		d.relations[m.RelationID] = m
		if was == nil {
			d.shapes[m.RelationID] = relationTable(m).Table
			_ = d.h.Schema(ctx, d.shapes[m.RelationID])
		}
	case *pglogrepl.InsertMessage:
		d.row(m.RelationID, source.Insert, 0, nil, m.Tuple)
	case *pglogrepl.UpdateMessage:
		d.row(m.RelationID, source.Update, m.OldTupleType, m.OldTuple, m.NewTuple)
	case *pglogrepl.DeleteMessage:
		d.row(m.RelationID, source.Delete, m.OldTupleType, m.OldTuple, nil)
	case *pglogrepl.TruncateMessage:
		for _, id := range m.RelationIDs {
			d.row(id, source.Truncate, 0, nil, nil)
		}
	default:
		t.Fatalf("unexpected %T", m)
	}
}

func (d *slow) row(id uint32, op source.Op, kind uint8, before, after *pglogrepl.TupleData) {
	shape := d.shapes[id]
	if shape == nil {
		return
	}
	d.rows = true
	row := &source.Row{Table: shape, Op: op, Version: uint64(d.begin.FinalLSN), Time: d.begin.CommitTime.UnixMicro()}
	row.Old, row.New = slowCells(before), slowCells(after)
	if kind == 'K' {
		for i := range row.Old {
			if d.relations[id].Columns[i].Flags == 0 {
				row.Old[i] = source.Cell{Kind: source.Absent}
			}
		}
	}
	_ = d.h.Row(context.Background(), row)
}

func slowCells(tuple *pglogrepl.TupleData) []source.Cell {
	if tuple == nil {
		return nil
	}
	var cells []source.Cell
	for _, c := range tuple.Columns {
		kind, ok := map[uint8]source.CellKind{'n': source.Null, 'u': source.Unchanged, 't': source.Text, 'b': source.Binary}[c.DataType]
		if !ok {
			panic(fmt.Sprintf("column of type %q", c.DataType))
		}
		cells = append(cells, source.Cell{Kind: kind, Bytes: c.Data})
	}
	return cells
}
