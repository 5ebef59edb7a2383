package clickhouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/mapper"
)

// Select runs a SELECT without FORMAT clause and decodes its result into
// columns, one block after the other: onBlock is called when results hold the
// next rows, which the block after it overwrites. The columns of results stand
// in the query's order and are of its types; their names are filled in. Errors
// are classified as those of Insert; a *sink.TableError names no table.
func (t *Target) Select(ctx context.Context, text string, results proto.Results, onBlock func(rows int) error) error {
	return t.read(ctx, "", query{text: text}, results, onBlock)
}

// read is Select with a table for its errors.
func (t *Target) read(ctx context.Context, table string, q query, results proto.Results, onBlock func(rows int) error) error {
	q.settings = append(t.settings(), q.settings...)
	return classify(ctx, table, t.wire.read(ctx, q, results, onBlock))
}

// exec runs a statement whose answer, one String column if any, is not wanted.
func (t *Target) exec(ctx context.Context, table, statement string, settings ...proto.Setting) error {
	return t.run(ctx, table, query{text: statement, settings: settings})
}

func (t *Target) run(ctx context.Context, table string, q query) error {
	ignored := proto.Results{{Data: new(proto.ColStr)}}
	return t.read(ctx, table, q, ignored, func(int) error { return nil })
}

// settings are those of the DSN, which the server must know.
func (t *Target) settings() []proto.Setting {
	settings := make([]proto.Setting, 0, len(t.dsn.Settings)+8)
	for k, v := range t.dsn.Settings {
		settings = append(settings, proto.Setting{Key: k, Value: v, Important: true})
	}
	return settings
}

// texts runs a query for one String column.
func (t *Target) texts(ctx context.Context, text string) ([]string, error) {
	var all []string
	col := new(proto.ColStr)
	err := t.read(ctx, "", query{text: text}, proto.Results{{Data: col}}, func(rows int) error {
		for i := range rows {
			all = append(all, col.Row(i))
		}
		return nil
	})
	return all, err
}

// number runs a query for one UInt64.
func (t *Target) number(ctx context.Context, table, text string) (n uint64, err error) {
	col := new(proto.ColUInt64)
	err = t.read(ctx, table, query{text: text}, proto.Results{{Data: col}}, func(int) error {
		n = col.Row(0)
		return nil
	})
	return n, err
}

// Exists reports whether the target database has a table of that name.
func (t *Target) Exists(ctx context.Context, table string) (bool, error) {
	n, err := t.number(ctx, table, "SELECT count() FROM system.tables WHERE database = "+
		Literal(t.dsn.Database)+" AND name = "+Literal(table))
	if err != nil {
		return false, fmt.Errorf("look for table %s: %w", table, err)
	}
	return n > 0, nil
}

// HasRows reports whether the table holds any row, deleted ones included.
func (t *Target) HasRows(ctx context.Context, table string) (bool, error) {
	n, err := t.number(ctx, table, "SELECT count() FROM (SELECT 1 FROM "+t.Name(table)+" LIMIT 1)")
	if err != nil {
		return false, fmt.Errorf("look for rows of table %s: %w", table, err)
	}
	return n > 0, nil
}

// MaxVersion returns the highest version in the table, 0 when it is empty.
func (t *Target) MaxVersion(ctx context.Context, table string) (uint64, error) {
	n, err := t.number(ctx, table, "SELECT max("+Ident(mapper.VersionColumn)+") FROM "+t.Name(table))
	if err != nil {
		return 0, fmt.Errorf("read the highest version of table %s: %w", table, err)
	}
	return n, nil
}
