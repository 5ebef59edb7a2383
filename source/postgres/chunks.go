package postgres

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/source"
)

const (
	blockSize = 8192
	// unknownDensity is the rows assumed on a page of a table that was never
	// analyzed.
	unknownDensity = 60
	// maxChunks of a part are kept track of, however large it is.
	maxChunks = 20_000
)

// Plan implements source.Snapshot: ranges of pages of each part, by ctid. The
// last is open, since a part grows meanwhile; what it grows by is in the log.
func (p *snapshot) Plan(ctx context.Context, t *source.Table) (*source.Plan, error) {
	info := p.known[uint32(t.Handle)]
	if info == nil {
		return nil, fmt.Errorf("table %s is not known", t)
	}
	conn, err := p.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer p.release(conn)
	plan := &source.Plan{Mark: info.mark()}
	for _, leaf := range info.leaves {
		var bytes int64
		if err := conn.QueryRow(ctx, "SELECT pg_relation_size($1::oid::regclass)", leaf.oid).Scan(&bytes); err != nil {
			return nil, fmt.Errorf("measure %s: %w", leaf.name, classify(err))
		}
		plan.Chunks = append(plan.Chunks, cut(leaf, bytes/blockSize, p.source.cfg.ChunkRows)...)
	}
	return plan, nil
}

// cut divides the pages of a leaf into chunks of about rows rows.
func cut(l leaf, pages int64, rows int) []source.Chunk {
	density := float64(unknownDensity)
	if l.pages > 0 && l.tuples > 0 {
		// What was counted once may be of a table that was nearly empty then.
		density = max(float64(l.tuples)/float64(l.pages), 1)
	}
	step := max(int64(float64(rows)/density), pages/maxChunks+1)
	var chunks []source.Chunk
	for from := int64(0); from == 0 || from < pages; from += step {
		c := source.Chunk{Part: l.name, Rows: int64(float64(min(step, pages-from)) * density)}
		if from > 0 {
			c.From = fmt.Sprintf("(%d,0)", from)
		}
		if from+step < pages {
			c.To = fmt.Sprintf("(%d,0)", from+step)
		}
		chunks = append(chunks, c)
	}
	return chunks
}
