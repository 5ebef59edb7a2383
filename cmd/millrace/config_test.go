package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/source"
)

// load runs loadConfig as a command would, in an empty directory whose
// millrace.yaml holds file, unless that is "".
func load(t *testing.T, file string, args ...string) (*Config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if file != "" {
		write(t, defaultFile, file)
	}
	return loadHere(args...)
}

func loadHere(args ...string) (c *Config, err error) {
	cmd := &cobra.Command{Use: "try", SilenceErrors: true, SilenceUsage: true, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err = loadConfig(cmd)
		return err
	}}
	cmd.SetFlagErrorFunc(flagError)
	addConfigFlags(cmd)
	cmd.SetArgs(append([]string{}, args...))
	err = cmd.Execute()
	return c, err
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// wantFault checks that loading ends in a usage error with exactly this text.
func wantFault(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %s", want)
	}
	if exitCode(err) != exitUsage {
		t.Errorf("exit code %d, want %d", exitCode(err), exitUsage)
	}
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestDefaults(t *testing.T) {
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Name: "millrace", State: "./millrace.db", Memory: 128 << 20, ValuePolicy: "clamp"}
	want.Source.Slot, want.Source.Publication, want.Source.ServerID = "millrace", "millrace", c.Source.ServerID
	want.Target.TableName, want.Target.Settings = "{table}", map[string]string{}
	want.Snapshot.Workers, want.Snapshot.ChunkRows = 4, 250_000
	want.Flush.Rows, want.Flush.Bytes, want.Flush.Interval = 250_000, 32<<20, time.Second
	want.HTTP.Listen = "127.0.0.1:8090"
	want.Log.Level, want.Log.Format = "info", "text"
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("got  %+v\nwant %+v", *c, want)
	}
	if c.Source.ServerID == 0 {
		t.Error("server_id is 0")
	}
}

const fullFile = `
name: shop-eu
source:
  dsn: postgres://cdc:secret@127.0.0.1:5432/shop
  slot: 0123
  publication: Shop
  server_id: 4711
tables:
  - public.*
  - "!public.audit_*"
  - name: orders
    target: orders_copy
    order_by: [tenant_id, id]
    partition_by: intDiv(id, 100000000)
    settings: {index_granularity: 1024}
    columns:
      - {name: amount, type: "Decimal(38, 9)"}
      - {name: ssn, exclude: true}
      - {name: note, rename: remark}
target:
  dsn: clickhouse://default:@127.0.0.1:9000/shop
  table_name: "{schema}_{table}"
  settings: {index_granularity: 4096, storage_policy: "a,b"}
  metadata: [commit_time, position]
state: /var/lib/millrace.db
snapshot: {workers: 2, chunk_rows: 1000}
flush: {rows: 500, bytes: 1MB, interval: 250ms}
memory: 1GiB
http: {listen: ""}
log: {level: debug, format: json}
value_policy: fail
`

func TestFile(t *testing.T) {
	c, err := load(t, fullFile)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Name: "shop-eu", State: "/var/lib/millrace.db", Memory: 1 << 30, ValuePolicy: "fail"}
	want.Source.DSN = "postgres://cdc:secret@127.0.0.1:5432/shop"
	want.Source.Slot, want.Source.Publication, want.Source.ServerID = "0123", "Shop", 4711
	want.Target.DSN, want.Target.TableName = "clickhouse://default:@127.0.0.1:9000/shop", "{schema}_{table}"
	want.Target.Settings = map[string]string{"index_granularity": "4096", "storage_policy": "a,b"}
	want.Target.Metadata = []string{"commit_time", "position"}
	want.Snapshot.Workers, want.Snapshot.ChunkRows = 2, 1000
	want.Flush.Rows, want.Flush.Bytes, want.Flush.Interval = 500, 1_000_000, 250*time.Millisecond
	want.Log.Level, want.Log.Format = "debug", "json"
	want.Tables = []TableConfig{
		{Pattern: "public.*"},
		{Pattern: "!public.audit_*"},
		{
			Pattern: "orders", Name: &source.Name{Schema: "public", Table: "orders"}, Target: "orders_copy",
			OrderBy: []string{"tenant_id", "id"}, PartitionBy: "intDiv(id, 100000000)",
			Settings: map[string]string{"index_granularity": "1024"},
			Columns: []ColumnConfig{
				{Name: "amount", Type: "Decimal(38, 9)"}, {Name: "ssn", Exclude: true}, {Name: "note", Rename: "remark"},
			},
		},
	}
	want.entries = want.Tables[2:]
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("got  %+v\nwant %+v", *c, want)
	}
	if c.Table("public", "orders") != &c.entries[0] || c.Table("other", "orders") != nil {
		t.Error("Table does not find the entry of public.orders, and no other")
	}
	if s := c.Selection(); !s.Match("public", "orders") || s.Match("public", "audit_log") || s.Match("other", "orders") {
		t.Errorf("selection %+v", s)
	}
}

// Whatever selects a table, what the file says of its columns holds.
func TestEntriesHoldForOtherSelections(t *testing.T) {
	c, err := load(t, "tables: [public.a, {name: people, columns: [{name: ssn, exclude: true}]}]\n", "--tables", "public.*")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Selection().Patterns; !reflect.DeepEqual(got, []string{"public.*"}) {
		t.Errorf("tables %q", got)
	}
	if e := c.Table("public", "people"); e == nil || !e.Columns[0].Exclude {
		t.Errorf("the entry of people is %+v", e)
	}
}

func TestPrecedence(t *testing.T) {
	const file = "name: from-file\nlog: {level: warn, format: json}\ntables: [public.a]\ntarget: {settings: {a: 1}}\n"
	t.Setenv("MILLRACE_LOG_LEVEL", "error")
	t.Setenv("MILLRACE_LOG_FORMAT", "text")
	t.Setenv("MILLRACE_TABLES", "public.b, !public.c")
	t.Setenv("MILLRACE_TARGET_SETTINGS", "b=2,c=3")
	t.Setenv("MILLRACE_HTTP_LISTEN", "")
	c, err := load(t, file, "--log-level", "debug", "--set", "flush.interval=2s", "--state", "x.db")
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "from-file" || c.Log.Level != "debug" || c.Log.Format != "text" || c.HTTP.Listen != "" ||
		c.Flush.Interval != 2*time.Second || c.State != "x.db" {
		t.Errorf("got %+v", *c)
	}
	if got := c.Selection().Patterns; !reflect.DeepEqual(got, []string{"public.b", "!public.c"}) {
		t.Errorf("tables %q", got)
	}
	if got := c.Target.Settings; !reflect.DeepEqual(got, map[string]string{"b": "2", "c": "3"}) {
		t.Errorf("settings %q", got)
	}

	c, err = load(t, file, "--tables", "d,e", "--tables", `f."g"`, "--http", "", "--set", "target.settings=")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Selection().Patterns; !reflect.DeepEqual(got, []string{"d", "e", `f."g"`}) {
		t.Errorf("tables %q", got)
	}
	if len(c.Target.Settings) != 0 {
		t.Errorf("settings %q", c.Target.Settings)
	}
}

// Every key must be reached from every side, and by the name that the table gives it.
func TestEveryKeyHasAnEnvironmentForm(t *testing.T) {
	values := map[string]string{
		"name": "n", "source.dsn": "postgres://h/d", "source.slot": "s", "source.publication": "p", "source.server_id": "9",
		"tables": "a.b", "target.dsn": "embedded:x", "target.table_name": "x{table}", "target.settings": "a=b",
		"target.metadata": "position", "state": "s", "snapshot.workers": "9", "snapshot.chunk_rows": "9", "flush.rows": "9",
		"flush.bytes": "9", "flush.interval": "9s", "memory": "9MiB", "http.listen": "h:9", "log.level": "warn",
		"log.format": "json", "value_policy": "fail",
	}
	plain, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		k := &keys[i]
		v, ok := values[k.name]
		if !ok {
			t.Errorf("no value to try %s with", k.name)
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			set, err := load(t, "", "--set", k.name+"="+v)
			if err != nil {
				t.Fatal(err)
			}
			if reflect.DeepEqual(set, plain) {
				t.Fatalf("--set %s=%s changes nothing", k.name, v)
			}
			t.Setenv(k.env(), v)
			env, err := load(t, "")
			if err != nil || !reflect.DeepEqual(env, set) {
				t.Errorf("%s gives %+v, %v; want %+v", k.env(), env, err, set)
			}
			if err := os.Unsetenv(k.env()); err != nil {
				t.Fatal(err)
			}
			t.Setenv(k.env()+"_FILE", write(t, filepath.Join(t.TempDir(), "value"), v+"\n"))
			file, err := load(t, "")
			if err != nil || !reflect.DeepEqual(file, set) {
				t.Errorf("%s_FILE gives %+v, %v; want %+v", k.env(), file, err, set)
			}
		})
	}
}

func TestValueFiles(t *testing.T) {
	dir := t.TempDir()
	const dsn = "postgres://cdc:secret@h/shop"
	for text, want := range map[string]string{dsn: dsn, dsn + "\n": dsn, dsn + "\r\n": dsn} {
		t.Setenv("MILLRACE_SOURCE_DSN_FILE", write(t, filepath.Join(dir, "dsn"), text))
		c, err := load(t, "source: {dsn: \"postgres://from/file\"}\n")
		if err != nil || c.Source.DSN != want {
			t.Errorf("a file with %q gives %q, %v", text, c.Source.DSN, err)
		}
		if c, err = load(t, "", "--source", "postgres://from/flag"); err != nil || c.Source.DSN != "postgres://from/flag" {
			t.Errorf("a flag does not win over the file's value: %v", err)
		}
	}

	t.Setenv("MILLRACE_SOURCE_DSN", dsn)
	_, err := load(t, "")
	wantFault(t, err, "MILLRACE_SOURCE_DSN_FILE: MILLRACE_SOURCE_DSN is set as well; keep one of them")
	if err := os.Unsetenv("MILLRACE_SOURCE_DSN"); err != nil {
		t.Fatal(err)
	}

	missing := filepath.Join(dir, "missing")
	t.Setenv("MILLRACE_SOURCE_DSN_FILE", missing)
	_, err = load(t, "")
	wantFault(t, err, `MILLRACE_SOURCE_DSN_FILE: read "`+missing+`": no such file or directory`)

	state := write(t, filepath.Join(dir, "state"), "\x00\x00\xed\xda")
	t.Setenv("MILLRACE_SOURCE_DSN_FILE", state)
	_, err = load(t, "")
	wantFault(t, err, `MILLRACE_SOURCE_DSN_FILE: "`+state+`" holds no text; the variable names a file that holds the value of source.dsn`)
}

func TestConfigFlag(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, defaultFile, "name: here\n")
	write(t, "other.yaml", "name: other\nflush: {rows: many}\n")
	_, err := loadHere("--config", "other.yaml")
	wantFault(t, err, `other.yaml:2: flush.rows: "many" is no whole number from 1 to 2147483647`)
	_, err = loadHere("--config", "missing.yaml")
	wantFault(t, err, `--config: read "missing.yaml": no such file or directory`)
	if c, err := loadHere(); err != nil || c.Name != "here" {
		t.Errorf("%s is not read: %v", defaultFile, err)
	}
}

func TestAnEmptyFileSetsNothing(t *testing.T) {
	for _, text := range []string{"# nothing\n", "---\n", "\n\n", "source:\ntables:\nlog: {level: }\nname: ~\n"} {
		if c, err := load(t, text); err != nil || c.Name != "millrace" || c.Log.Level != "info" {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

func TestRequire(t *testing.T) {
	c, err := load(t, "", "--target", "embedded:x")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.require([]string{"target.dsn"}); err != nil {
		t.Error(err)
	}
	err = c.require([]string{"source.dsn", "target.dsn"})
	wantFault(t, err, "source.dsn is not set; set it by --source, by MILLRACE_SOURCE_DSN, by a file named in MILLRACE_SOURCE_DSN_FILE, or in millrace.yaml")
}

func TestDerivedNames(t *testing.T) {
	c, err := load(t, "", "--name", "shop-eu-1")
	if err != nil {
		t.Fatal(err)
	}
	if c.Source.Slot != "shop_eu_1" || c.Source.Publication != "shop_eu_1" {
		t.Errorf("slot %q, publication %q", c.Source.Slot, c.Source.Publication)
	}
	d, err := load(t, "", "--name", "shop-eu-2")
	if err != nil || d.Source.ServerID == c.Source.ServerID {
		t.Errorf("two names share the server_id %d (%v)", c.Source.ServerID, err)
	}
}

func TestEveryFaultIsTold(t *testing.T) {
	_, err := load(t, "nme: x\nlog: {level: loud}\n", "--set", "flush.interval=1")
	want := []string{
		"millrace.yaml:1: unknown key nme; did you mean name?",
		`--set: flush.interval: "1" is no duration; write it like 500ms or 1s`,
		`millrace.yaml:2: log.level: "loud" is not known; use debug, info, warn or error`,
	}
	wantFault(t, err, strings.Join(want, "\n"))
	var b strings.Builder
	report(&b, err)
	if got := b.String(); got != "millrace: "+strings.Join(want, "\nmillrace: ")+"\n" {
		t.Errorf("reported as\n%s", got)
	}
}

func TestReport(t *testing.T) {
	cause := source.WithHint(errors.New("slot taken"), "drop it")
	for _, c := range []struct {
		err  error
		code int
		want string
	}{
		{errors.New("x"), exitFailed, "millrace: x\n"},
		{cause, exitFailed, "millrace: slot taken\n  hint: drop it\n"},
		{usage(cause), exitUsage, "millrace: slot taken\n  hint: drop it\n"},
		{usage(errors.Join(cause, errors.New("x"))), exitUsage, "millrace: slot taken\n  hint: drop it\nmillrace: x\n"},
		{usage(nil), exitDone, ""},
	} {
		var b strings.Builder
		if c.err != nil {
			report(&b, c.err)
		}
		if b.String() != c.want || exitCode(c.err) != c.code {
			t.Errorf("%v: code %d, %q; want %d, %q", c.err, exitCode(c.err), b.String(), c.code, c.want)
		}
	}
}
