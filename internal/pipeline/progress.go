package pipeline

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

const (
	barInterval = 200 * time.Millisecond
	logInterval = 10 * time.Second
)

// showProgress shows how far the copies are, on a terminal by a bar, else by a
// line every ten seconds, until the function that it returns is called.
func (p *Pipeline) showProgress(ctx context.Context, copies []*copying) (stop func()) {
	var total int64
	for _, c := range copies {
		if n := c.total(); n < 0 {
			total = -1
			break
		} else {
			total += n
		}
	}
	show, every := p.progressLog(total), logInterval
	if p.cfg.Progress != nil {
		show, every = p.progressBar(total), barInterval
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				show(p.copiedRows(copies), false)
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
		show(p.copiedRows(copies), true)
	}
}

// copiedRows adds up the rows that are in the target.
func (p *Pipeline) copiedRows(copies []*copying) int64 {
	var rows int64
	s := p.board.Status()
	for _, c := range copies {
		rows += s.Tables[p.board.index[c.table.source.String()]].SnapshotRows
	}
	return rows
}

func (p *Pipeline) progressBar(total int64) func(rows int64, last bool) {
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(p.cfg.Progress),
		progressbar.OptionSetDescription("snapshot"),
		progressbar.OptionSetItsString("rows"),
		progressbar.OptionShowIts(),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
	)
	return func(rows int64, last bool) {
		if last {
			_ = bar.Clear() // only decoration
			return
		}
		if total >= 0 && rows > total {
			bar.ChangeMax64(rows)
		}
		_ = bar.Set64(rows)
	}
}

func (p *Pipeline) progressLog(total int64) func(rows int64, last bool) {
	start := time.Now()
	return func(rows int64, last bool) {
		if last {
			return // the end of each table is logged
		}
		rate := float64(rows) / time.Since(start).Seconds()
		attrs := []any{"rows", rows, "rows_per_second", int64(rate)}
		if total > 0 && rate > 0 {
			left := time.Duration(float64(max(total-rows, 0)) / rate * float64(time.Second))
			attrs = append(attrs, "of", total, "percent", fmt.Sprintf("%.0f", min(100*float64(rows)/float64(total), 100)), "eta", left.Round(time.Second).String())
		}
		p.log.Info("snapshot", attrs...)
	}
}
