package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/mapper"
)

const (
	plainEngine      = "ReplacingMergeTree"
	replicatedEngine = "ReplicatedReplacingMergeTree"
)

// DDL returns the statement that creates the plan's table: the source's columns
// under their names, then _version and _is_deleted, which decide what FINAL
// keeps of the rows with one sorting key, then metadata that was asked for.
func DDL(database string, p *mapper.Plan) string { return ddl(database, plainEngine, p) }

func ddl(database, engine string, p *mapper.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s.%s\n(\n", Ident(database), Ident(p.Target))
	for _, f := range p.Columns {
		fmt.Fprintf(&b, "    %s %s", Ident(f.Name), f.Type)
		if f.Comment != "" {
			b.WriteString(" COMMENT " + Literal(f.Comment))
		}
		b.WriteString(",\n")
	}
	fmt.Fprintf(&b, "    %s UInt64,\n    %s UInt8", Ident(mapper.VersionColumn), Ident(mapper.IsDeletedColumn))
	for _, m := range p.Metadata {
		fmt.Fprintf(&b, ",\n    %s %s", Ident(m.Column()), m.Type())
	}
	b.WriteString("\n)\n")
	fmt.Fprintf(&b, "ENGINE = %s(%s, %s)\n", engine, Ident(mapper.VersionColumn), Ident(mapper.IsDeletedColumn))
	if p.PartitionBy != "" {
		b.WriteString("PARTITION BY " + p.PartitionBy + "\n")
	}
	b.WriteString("ORDER BY (" + idents(keyNames(p)) + ")")
	for i, name := range slices.Sorted(maps.Keys(p.Settings)) {
		lead := ", "
		if i == 0 {
			lead = "\nSETTINGS "
		}
		b.WriteString(lead + name + " = " + settingValue(p.Settings[name]))
	}
	if p.Comment != "" {
		b.WriteString("\nCOMMENT " + Literal(p.Comment))
	}
	return b.String()
}

// keyNames are the columns of the sorting key, in its order.
func keyNames(p *mapper.Plan) []string {
	names := make([]string, len(p.OrderBy))
	for i, c := range p.OrderBy {
		names[i] = p.Columns[c].Name
	}
	return names
}

var bareValue = regexp.MustCompile(`^(-?[0-9]+(\.[0-9]+)?|true|false)$`)

func settingValue(s string) string {
	if bareValue.MatchString(s) {
		return s
	}
	return Literal(s)
}

// CreateDatabase creates the target database unless it exists.
func (t *Target) CreateDatabase(ctx context.Context) error {
	n, err := t.number(ctx, "", "SELECT count() FROM system.databases WHERE name = "+Literal(t.dsn.Database))
	if err == nil && n == 0 {
		err = t.exec(ctx, "", "CREATE DATABASE IF NOT EXISTS "+Ident(t.dsn.Database), quietDDL)
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", t.dsn.Database, err)
	}
	return nil
}

// quietDDL keeps a replicated statement's report of hosts out of the answer.
var quietDDL = proto.Setting{Key: "distributed_ddl_output_mode", Value: "none"}

// DDL returns the statement with which Create makes the plan's table here: in a
// database of engine Replicated the table is replicated as well.
func (t *Target) DDL(ctx context.Context, p *mapper.Plan) (string, error) {
	engine, err := t.databaseEngine(ctx)
	if err != nil {
		return "", err
	}
	if engine == "Replicated" {
		return ddl(t.dsn.Database, replicatedEngine, p), nil
	}
	return DDL(t.dsn.Database, p), nil
}

// Create creates the plan's table unless a table of that name exists.
func (t *Target) Create(ctx context.Context, p *mapper.Plan) error {
	statement, err := t.DDL(ctx, p)
	if err != nil {
		return err
	}
	types := make([]string, len(p.Columns))
	for i, f := range p.Columns {
		types[i] = f.Type
	}
	if err := t.exec(ctx, p.Target, statement, append(t.typeSettings(types), quietDDL)...); err != nil {
		return fmt.Errorf("create table %s: %w", t.Name(p.Target), err)
	}
	return nil
}

// Truncate removes all rows of a table, whatever its size. While an earlier
// call's statement still runs, since its answer was lost, another one is refused
// as a *sink.RetryError: it must not remove the rows that come after.
func (t *Target) Truncate(ctx context.Context, table string) error {
	err := t.run(ctx, table, query{
		text: "TRUNCATE TABLE " + t.Name(table),
		id:   t.runID + "-truncate-" + table,
		// max_table_size_to_drop guards against people.
		settings: []proto.Setting{quietDDL, {Key: "max_table_size_to_drop", Value: "0"}},
	})
	if err != nil {
		return fmt.Errorf("truncate table %s: %w", t.Name(table), err)
	}
	return nil
}
