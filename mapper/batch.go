package mapper

import (
	"time"

	"github.com/millrace/millrace/position"
)

// A Batch is what is written together: the blocks of all tables up to some
// place in the log. It belongs to whoever took it until it is released.
type Batch struct {
	// Truncated lists tables to be emptied before the blocks are written.
	Truncated []*Plan
	// Failed lists tables that stopped while the batch was filled. That is to
	// be kept before the position is.
	Failed []*TableError
	// Position is right behind the last transaction that ends in this batch or
	// before, nowhere if none has: the batch may end inside a transaction.
	Position position.Position
	// CommitTime is that transaction's.
	CommitTime time.Time

	blocks map[*Plan]*Block
	used   []*Block // in the order of their first row
	rows   int
	bytes  int
	busy   bool // a transaction that concerns us ends in it
}

// Blocks returns the blocks that hold rows.
func (b *Batch) Blocks() []*Block { return b.used }

// Rows returns the rows of all blocks, tombstones included.
func (b *Batch) Rows() int { return b.rows }

// holds reports whether the batch has rows of a table.
func (b *Batch) holds(p *Plan) bool {
	block := b.blocks[p]
	return block != nil && block.rows > 0
}

// reset empties the batch. Blocks that were not used this time are dropped, so
// that a table that was busy once does not keep its memory.
func (b *Batch) reset() {
	for plan, block := range b.blocks {
		if block.rows == 0 {
			delete(b.blocks, plan)
			continue
		}
		block.Reset()
	}
	b.Truncated, b.Failed, b.used = b.Truncated[:0], b.Failed[:0], b.used[:0]
	b.Position, b.CommitTime = position.Position{}, time.Time{}
	b.rows, b.bytes, b.busy = 0, 0, false
}
