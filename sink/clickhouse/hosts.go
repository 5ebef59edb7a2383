package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/millrace/millrace/source"
)

// CheckHosts refuses several hosts in the DSN unless they share the tables'
// data, since a failover would split it: every table that exists must be
// Replicated or Shared, and one that does not must become so, in a database of
// engine Replicated or in ClickHouse Cloud.
func (t *Target) CheckHosts(ctx context.Context, tables []string) error {
	if len(t.dsn.Hosts) < 2 || len(tables) == 0 {
		return nil
	}
	shares, err := t.sharesNewTables(ctx)
	if err != nil {
		return err
	}
	var own []string
	for _, table := range tables {
		info, err := t.describe(ctx, table)
		if err != nil {
			return err
		}
		shared := shares
		if info != nil {
			shared = strings.HasPrefix(info.engine, "Replicated") || strings.HasPrefix(info.engine, "Shared")
		}
		if !shared {
			own = append(own, table)
		}
	}
	if len(own) == 0 {
		return nil
	}
	return source.WithHint(
		fmt.Errorf("the target's DSN names %d hosts, but each has tables of its own: %s", len(t.dsn.Hosts), strings.Join(own, ", ")),
		"name one host, or create the tables as "+replicatedEngine+" (or the database with ENGINE = Replicated)")
}

// sharesNewTables reports whether a table that is created here stands on all
// hosts.
func (t *Target) sharesNewTables(ctx context.Context) (bool, error) {
	engine, err := t.databaseEngine(ctx)
	if err != nil {
		return false, err
	}
	cloud, err := t.number(ctx, "", "SELECT count() FROM system.settings WHERE name = 'cloud_mode' AND value IN ('1', 'true')")
	if err != nil {
		return false, fmt.Errorf("ask whether this is ClickHouse Cloud: %w", err)
	}
	return engine == "Replicated" || engine == "Shared" || cloud > 0, nil
}
