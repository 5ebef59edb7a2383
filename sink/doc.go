// Package sink writes batches and moves the position on behind them.
//
// The [Flusher] does one thing in one order: write all tables of a batch, wait
// for ClickHouse to acknowledge each, save the position, acknowledge it to the
// source. Package sink/clickhouse is the target it writes to.
package sink
