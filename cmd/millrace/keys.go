package main

import (
	"strings"
	"time"
)

// A key is one setting. The table below is all that millrace knows of its
// keys: defaults, environment variables, flags, checks and the reference
// follow from it.
type key struct {
	name string // as it stands in the file; a dot separates the section
	def  string // as a user would write it
	flag string // of its own; every key is reached by --set
	kind kind
	doc  string
}

const envPrefix = "MILLRACE_"

// env is the name of the environment variable that sets the key.
func (k *key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

var keys = []key{
	{
		"name", "millrace", "name", text(func(c *Config) *string { return &c.Name }, checkName),
		"The pipeline's name, which slot, publication and metrics carry: a-z, 0-9, _ and -.",
	},
	{
		"source.dsn", "", "source", text(func(c *Config) *string { return &c.Source.DSN }, checkSource),
		"The database to replicate from: postgres://USER:PASSWORD@HOST:5432/DATABASE.",
	},
	{
		"source.slot", "", "", text(func(c *Config) *string { return &c.Source.Slot }, checkSlot),
		"Postgres' replication slot; the name with _ for - unless set.",
	},
	{
		"source.publication", "", "", text(func(c *Config) *string { return &c.Source.Publication }, checkPublication),
		"Postgres' publication; the name with _ for - unless set. One that millrace made is kept in step with the tables, another is used as it is.",
	},
	{
		"source.server_id", "", "", serverID(func(c *Config) *uint32 { return &c.Source.ServerID }),
		"The id under which MySQL and MariaDB know the replica; follows from the name unless set. Postgres has no use for it.",
	},
	{
		"tables", "", "tables", tables(func(c *Config) *[]TableConfig { return &c.Tables }),
		"The tables to replicate, as globs of schema.table; one that begins with ! excludes, and exclusion wins. Every table of schema public unless set.",
	},
	{
		"target.dsn", "", "target", text(func(c *Config) *string { return &c.Target.DSN }, checkTarget),
		"The ClickHouse to write to: clickhouse://USER:PASSWORD@HOST:9000/DATABASE, http:// or https:// for the HTTP interface, or embedded:DIR to run one in a directory.",
	},
	{
		"target.table_name", "{table}", "", text(func(c *Config) *string { return &c.Target.TableName }, checkTemplate),
		"The names of target tables, made of {schema}, {table} and text.",
	},
	{
		"target.settings", "", "", settings(func(c *Config) *map[string]string { return &c.Target.Settings }),
		"SETTINGS of the tables that millrace creates.",
	},
	{
		"target.metadata", "", "", list(func(c *Config) *[]string { return &c.Target.Metadata }, "commit_time", "position"),
		"Columns to add to every target table.",
	},
	{
		"state", "./millrace.db", "state", text(func(c *Config) *string { return &c.State }, checkFilled),
		"The file that keeps the position and the progress of snapshots; it is one pipeline's own.",
	},
	{
		"snapshot.workers", "4", "", integer(func(c *Config) *int { return &c.Snapshot.Workers }, 1, 64),
		"How many chunks are copied at a time, each over a connection of its own.",
	},
	{
		"snapshot.chunk_rows", "250000", "", integer(func(c *Config) *int { return &c.Snapshot.ChunkRows }, 1, maxRows),
		"The size of the chunks that tables are copied in; a snapshot that was cut off goes on with those that are missing.",
	},
	{
		"flush.rows", "250000", "", integer(func(c *Config) *int { return &c.Flush.Rows }, 1, maxRows),
		"A table's rows are inserted at the latest when there are this many.",
	},
	{
		"flush.bytes", "32MiB", "", size(func(c *Config) *int64 { return &c.Flush.Bytes }, 1),
		"A table's rows are inserted at the latest when they fill this much memory.",
	},
	{
		"flush.interval", "1s", "", duration(func(c *Config) *time.Duration { return &c.Flush.Interval }, time.Millisecond, time.Hour),
		"A table gets at most one insert in this time, unless rows or bytes fill; the first after quiet goes at once.",
	},
	{
		"memory", "128MiB", "", size(func(c *Config) *int64 { return &c.Memory }, 1<<20),
		"All buffered rows together; when it is full, reading waits.",
	},
	{
		"http.listen", "127.0.0.1:8090", "http", text(func(c *Config) *string { return &c.HTTP.Listen }, checkListen),
		`Where metrics, health, status and the dashboard are served, without a password; "" for nowhere.`,
	},
	{
		"log.level", "info", "log-level", oneOf(func(c *Config) *string { return &c.Log.Level }, "debug", "info", "warn", "error"),
		"The least severe messages that are logged.",
	},
	{
		"log.format", "text", "log-format", oneOf(func(c *Config) *string { return &c.Log.Format }, "text", "json"),
		"The form of the log, which goes to stderr.",
	},
	{
		"value_policy", "clamp", "", oneOf(func(c *Config) *string { return &c.ValuePolicy }, "clamp", "fail"),
		"What becomes of a value that its target column cannot hold: clamp stores the nearest and keeps the text in _millrace_dead_letters, fail stops the table.",
	},
}

// A property is a key of a tables entry, or of one of its columns.
type property struct{ name, doc string }

var tableProperties = []property{
	{"name", "The source table, as schema.table and no glob; it is selected too."},
	{"target", "The target table's name, instead of the one that target.table_name gives."},
	{"order_by", "The target's ORDER BY, a list of columns that contains the key; the key unless set."},
	{"partition_by", "The target's PARTITION BY, an expression over key columns."},
	{"settings", "SETTINGS of the target table, over those of target.settings."},
	{"columns", "What is special about single columns."},
}

var columnProperties = []property{
	{"name", "The source column."},
	{"type", "The target column's ClickHouse type, instead of the one that follows from the source's."},
	{"exclude", "true keeps the column out of the target."},
	{"hash", "Not supported by this version."},
	{"rename", "The target column's name."},
}

// findKey returns the key of a name, or nil.
func findKey(name string) *key {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

// keyNames lists every key, and the sections that hold them.
func keyNames() []string {
	var names []string
	for _, k := range keys {
		section, _, nested := strings.Cut(k.name, ".")
		if nested && (len(names) == 0 || !strings.HasPrefix(names[len(names)-1], section+".")) {
			names = append(names, section)
		}
		names = append(names, k.name)
	}
	return names
}

func propertyNames(ps []property) []string {
	names := make([]string, len(ps))
	for i, p := range ps {
		names[i] = p.name
	}
	return names
}
