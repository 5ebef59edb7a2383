package pipeline

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/web"
)

// metrics are a pipeline's numbers for Prometheus. Each carries the pipeline's
// name.
type metrics struct {
	rows       *prometheus.CounterVec // by table, op
	misfits    *prometheus.CounterVec // by table, column
	flushes    prometheus.Histogram   // seconds
	reconnects prometheus.Counter
}

func newMetrics(r *prometheus.Registry, pipeline string, b *board) *metrics {
	labels := prometheus.Labels{"pipeline": pipeline}
	m := &metrics{
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_rows_total", ConstLabels: labels,
			Help: "Changes written to the target and saved, by source table and operation.",
		}, []string{"table", "op"}),
		misfits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_misfits_total", ConstLabels: labels,
			Help: "Values that their target column could not hold exactly.",
		}, []string{"table", "column"}),
		flushes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "millrace_flush_seconds", ConstLabels: labels,
			Help:    "Time to write a batch and save its position.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 14),
		}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_reconnects_total", ConstLabels: labels,
			Help: "How often the connection to the source was lost.",
		}),
	}
	r.MustRegister(m.rows, m.misfits, m.flushes, m.reconnects, &boardCollector{
		board: b,
		lagBytes: prometheus.NewDesc("millrace_lag_bytes",
			"Bytes of the source's log behind its end.", nil, labels),
		lagSeconds: prometheus.NewDesc("millrace_lag_seconds",
			"Age of the last transaction saved while there are newer ones.", nil, labels),
		state: prometheus.NewDesc("millrace_table_state",
			"1 for the state that a table is in.", []string{"table", "state"}, labels),
		copied: prometheus.NewDesc("millrace_snapshot_rows",
			"Rows of a table that its snapshot has written.", []string{"table"}, labels),
	})
	return m
}

// boardCollector turns the board into metrics when it is asked.
type boardCollector struct {
	board                               *board
	lagBytes, lagSeconds, state, copied *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *boardCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.lagBytes
	out <- c.lagSeconds
	out <- c.state
	out <- c.copied
}

// Collect implements prometheus.Collector.
func (c *boardCollector) Collect(out chan<- prometheus.Metric) {
	s := c.board.Status()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(c.lagBytes, float64(s.Source.LagBytes))
	gauge(c.lagSeconds, s.Source.LagSeconds)
	for i := range s.Tables {
		t := &s.Tables[i]
		gauge(c.copied, float64(t.SnapshotRows), t.Source)
		for _, state := range []web.State{web.Waiting, web.Snapshot, web.Catchup, web.Streaming, web.Failed} {
			var v float64
			if t.State == state {
				v = 1
			}
			gauge(c.state, v, t.Source, string(state))
		}
	}
}
