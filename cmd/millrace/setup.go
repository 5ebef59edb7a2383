package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/sink/clickhouse"
	"github.com/millrace/millrace/sink/embedded"
	"github.com/millrace/millrace/source"
	"github.com/millrace/millrace/source/postgres"
)

// startPatience is how long run waits for a server that may be starting too.
// Commands that only look wait for none.
const startPatience = 30 * time.Second

// newSource returns the source that source.dsn names. It does not connect.
func newSource(c *Config, memory source.Memory, log *slog.Logger) source.Source {
	return postgres.New(postgres.Config{
		DSN: c.Source.DSN, Name: c.Name, Slot: c.Source.Slot, Publication: c.Source.Publication,
		Select: c.Selection(), Workers: c.Snapshot.Workers, ChunkRows: c.Snapshot.ChunkRows,
		AsText: asText(c), Memory: memory, Logger: log,
	})
}

// asText says which columns the configuration wants as text.
func asText(c *Config) func(schema, table, column string) bool {
	return func(schema, table, column string) bool {
		t := c.Table(schema, table)
		if t == nil {
			return false
		}
		for _, col := range t.Columns {
			if col.Name == column {
				return strings.Contains(col.Type, "String") && !strings.HasPrefix(col.Type, "Array")
			}
		}
		return false
	}
}

// openTarget connects to the target, and starts it first where it is the
// embedded one. A server out of reach is waited for as long as patience lasts.
// closing undoes both.
func openTarget(ctx context.Context, c *Config, log *slog.Logger, patience time.Duration) (target *clickhouse.Target, closing func(), err error) {
	dsn, stop := c.Target.DSN, func() {}
	if dir, ok := strings.CutPrefix(dsn, embeddedScheme); ok {
		server, err := embedded.Start(ctx, embedded.Config{Dir: dir, Logger: log})
		if err != nil {
			return nil, nil, err
		}
		log.Info("embedded ClickHouse is open to you", "native", server.DSN(), "console", server.HTTPURL()+"/play")
		dsn = server.DSN()
		stop = func() {
			if err := server.Stop(); err != nil {
				log.Error("stop the embedded ClickHouse", "error", err)
			}
		}
	}
	config := clickhouse.Config{DSN: dsn, Pipeline: c.Name, RunID: uuid.NewString(), Logger: log}
	target, err = reach(ctx, log, patience, func() (*clickhouse.Target, error) { return clickhouse.Open(ctx, config) })
	if err != nil {
		stop()
		return nil, nil, err
	}
	return target, func() {
		target.Close()
		stop()
	}, nil
}

// reach calls open again for a while when its error may pass, so that services
// that start together find each other.
func reach[T any](ctx context.Context, log *slog.Logger, patience time.Duration, open func() (T, error)) (opened T, err error) {
	deadline := time.Now().Add(patience)
	err = sink.Retry(ctx, log, func() error {
		opened, err = open()
		if err != nil && time.Now().After(deadline) {
			return lastError{err}
		}
		return err
	})
	var last lastError
	if errors.As(err, &last) {
		err = last.error
	}
	return opened, err
}

// lastError hides that an error may pass.
type lastError struct{ error }

// openState opens the state file.
func openState(c *Config) (*position.Store, error) { return position.Open(c.State, c.Name) }

// options returns the wishes of the configuration for a table.
func options(c *Config) func(*source.Table) mapper.Options {
	return func(t *source.Table) mapper.Options {
		o := mapper.Options{
			Target:   strings.NewReplacer("{schema}", t.Schema, "{table}", t.Name).Replace(c.Target.TableName),
			Settings: make(map[string]string),
		}
		maps.Copy(o.Settings, c.Target.Settings)
		for _, m := range c.Target.Metadata {
			o.Metadata = append(o.Metadata, mapper.Metadata(m))
		}
		tc := c.Table(t.Schema, t.Name)
		if tc == nil {
			return o
		}
		if tc.Target != "" {
			o.Target = tc.Target
		}
		maps.Copy(o.Settings, tc.Settings)
		o.OrderBy, o.PartitionBy = tc.OrderBy, tc.PartitionBy
		o.Columns = make(map[string]mapper.ColumnOptions)
		for _, col := range tc.Columns {
			o.Columns[col.Name] = mapper.ColumnOptions{Type: col.Type, Rename: col.Rename, Exclude: col.Exclude}
		}
		return o
	}
}

// noMemory is for commands that only look.
type noMemory struct{}

func (noMemory) Get(string) ([]byte, error) { return nil, nil }
func (noMemory) Put(key string, _ []byte) error {
	return errors.New("this command keeps nothing, not even " + key)
}
