package clickhouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// Insert writes one block of columns, all of the same number of rows, into a
// table and returns when the server has acknowledged it. It reads the columns
// until it returns and keeps none of them.
//
// token names the block within this run: while an insert of that token runs,
// another one is refused as a *sink.RetryError, and inserting it again later
// has no effect where the table keeps a deduplication window. Errors are
// classified as the package says; after any error the rows may or may not have
// arrived, and the same block may be inserted again.
func (t *Target) Insert(ctx context.Context, table, token string, cols []proto.InputColumn) error {
	rows, err := sameRows(cols)
	if err != nil {
		return fmt.Errorf("insert into table %s: %w", table, err)
	}
	if rows == 0 {
		return nil
	}
	err = t.wire.insert(ctx, query{text: t.insertQuery(table, cols), id: t.runID + token, settings: t.insertSettings(token, cols)}, cols)
	if err != nil {
		return classify(ctx, table, fmt.Errorf("insert %d rows into table %s: %w", rows, table, err))
	}
	return nil
}

func sameRows(cols []proto.InputColumn) (int, error) {
	if len(cols) == 0 {
		return 0, nil
	}
	rows := cols[0].Data.Rows()
	for _, c := range cols {
		if n := c.Data.Rows(); n != rows {
			return 0, fmt.Errorf("column %s has %d rows, column %s has %d", c.Name, n, cols[0].Name, rows)
		}
	}
	return rows, nil
}

// insertQuery names the columns, so that a column that the table lacks is an
// error over HTTP too, where unknown columns of a block are skipped.
func (t *Target) insertQuery(table string, cols []proto.InputColumn) string {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.Name
	}
	return "INSERT INTO " + t.Name(table) + " (" + idents(names) + ") FORMAT Native"
}

// insertSettings come after the DSN's, since the guarantees rest on them.
func (t *Target) insertSettings(token string, cols []proto.InputColumn) []proto.Setting {
	types := make([]string, len(cols))
	for i, c := range cols {
		types[i] = string(c.Data.Type())
	}
	return append(append(t.settings(), t.typeSettings(types)...),
		// The reply means that the rows are stored. (The default since 26.3 is 1.)
		proto.Setting{Key: "async_insert", Value: "0"},
		proto.Setting{Key: "insert_deduplication_token", Value: t.runID + token},
		proto.Setting{Key: "deduplicate_blocks_in_dependent_materialized_views", Value: "1"},
		// A block may span as many partitions as it has to.
		proto.Setting{Key: "max_partitions_per_insert_block", Value: "0"},
		// A NULL is refused where the column takes none, not replaced.
		proto.Setting{Key: "input_format_null_as_default", Value: "0"},
	)
}
