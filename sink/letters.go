package sink

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/mapper"
)

// DeadLetters is the table of the target database that keeps the values which
// their columns could not hold exactly.
const DeadLetters = "_millrace_dead_letters"

// WriteLetters writes the dead letters of a block, if it has any. A repetition
// leaves the table as it is: its sorting key names the value's place.
func WriteLetters(ctx context.Context, log *slog.Logger, t Target, token string, b *mapper.Block) error {
	if len(b.Letters()) == 0 {
		return nil
	}
	columns := letterColumns(b.Letters())
	err := Retry(ctx, log, func() error { return t.Insert(ctx, DeadLetters, token+"-letters", columns) })
	if err != nil {
		return fmt.Errorf("insert into %s: %w", DeadLetters, err)
	}
	return nil
}

func letterColumns(letters []mapper.Letter) []proto.InputColumn {
	var table, column, key, value, reason proto.ColStr
	var version proto.ColUInt64
	var commit proto.ColDateTime64
	commit.WithPrecision(proto.PrecisionMicro).WithLocation(time.UTC)
	for i := range letters {
		l := &letters[i]
		table.Append(l.Table)
		column.Append(l.Column)
		key.Append(l.Key)
		value.Append(l.Value)
		reason.Append(l.Reason)
		version.Append(l.Version)
		commit.Data = append(commit.Data, proto.DateTime64(l.Time))
	}
	return []proto.InputColumn{
		{Name: "table", Data: &table},
		{Name: "column", Data: &column},
		{Name: "key", Data: &key},
		{Name: "value", Data: &value},
		{Name: "reason", Data: &reason},
		{Name: "version", Data: &version},
		{Name: "commit_time", Data: &commit},
	}
}
