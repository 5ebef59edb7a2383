package clickhouse

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/sink"
)

// lettersDDL follows the name. A letter that is written again replaces itself.
const lettersDDL = `
(
    table LowCardinality(String) COMMENT 'source table',
    column LowCardinality(String) COMMENT 'source column',
    key String COMMENT 'key of the row, as the source writes it',
    value String COMMENT 'the value, as the source writes it',
    reason LowCardinality(String),
    version UInt64 COMMENT '_version of the row',
    commit_time DateTime64(6, 'UTC') COMMENT 'of the transaction; 1970 for snapshot rows'
)
ENGINE = ReplacingMergeTree
ORDER BY (table, column, key, version, value)
COMMENT 'values that their columns could not hold exactly'`

// CreateDeadLetters creates the table of sink.DeadLetters unless it exists.
func (t *Target) CreateDeadLetters(ctx context.Context) error {
	exists, err := t.Exists(ctx, sink.DeadLetters)
	if err != nil || exists {
		return err
	}
	if err := t.exec(ctx, sink.DeadLetters, "CREATE TABLE IF NOT EXISTS "+t.Name(sink.DeadLetters)+lettersDDL, quietDDL); err != nil {
		return fmt.Errorf("create table %s: %w", t.Name(sink.DeadLetters), err)
	}
	return nil
}
