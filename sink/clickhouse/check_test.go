package clickhouse

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/source"
)

const own2 = ", _version UInt64, _is_deleted UInt8"

func TestCheck(t *testing.T) {
	ch := testenv.ClickHouse(t)
	target := open(t, ch.DSN(""))
	const engine = " ENGINE = ReplacingMergeTree(_version, _is_deleted) "
	for name, c := range map[string]struct {
		ddl  string
		says []string // in the error; none: the table is fine
	}{
		"same":         {"(id Int32, n Nullable(String)" + own2 + ")" + engine + "ORDER BY id", nil},
		"wider":        {"(id Int64, n LowCardinality(Nullable(String))" + own2 + ")" + engine + "ORDER BY id", nil},
		"more columns": {"(x String DEFAULT 'x', id Int32, n Nullable(String) DEFAULT 'n', m Int32 MATERIALIZED id, a Int32 ALIAS id" + own2 + ")" + engine + "PARTITION BY id % 10 ORDER BY id SETTINGS index_granularity = 100", nil},
		"key in front": {"(id Int32, n Nullable(String)" + own2 + ")" + engine + "PRIMARY KEY tuple() ORDER BY (id)", nil},
		"engine":       {"(id Int32, n Nullable(String)" + own2 + ") ENGINE = MergeTree ORDER BY id", []string{"engine MergeTree"}},
		"no version":   {"(id Int32, n Nullable(String)" + own2 + ") ENGINE = ReplacingMergeTree ORDER BY id", []string{"ReplacingMergeTree()"}},
		"no deleted":   {"(id Int32, n Nullable(String)" + own2 + ") ENGINE = ReplacingMergeTree(_version) ORDER BY id", []string{"ReplacingMergeTree(_version)"}},
		"other names":  {"(id Int32, n Nullable(String), v UInt64, d UInt8) ENGINE = ReplacingMergeTree(v, d) ORDER BY id", []string{"ReplacingMergeTree(v, d)"}},
		"sorting key":  {"(id Int32, n Nullable(String)" + own2 + ")" + engine + "ORDER BY (id, n) SETTINGS allow_nullable_key = 1", []string{"ORDER BY (id, n)"}},
		"expression":   {"(id Int32, n Nullable(String)" + own2 + ")" + engine + "ORDER BY id % 10", []string{"ORDER BY (id % 10)"}},
		"partition":    {"(id Int32, n Nullable(String), p Int32" + own2 + ")" + engine + "PARTITION BY p ORDER BY id", []string{"partitioned by column p"}},
		"missing":      {"(id Int32" + own2 + ")" + engine + "ORDER BY id", []string{"has no column n", "ADD COLUMN `n` Nullable(String)"}},
		"narrow":       {"(id Int16, n String" + own2 + ")" + engine + "ORDER BY id", []string{"column id", "Int16", "column n", "MODIFY COLUMN `n` Nullable(String)"}},
		"computed":     {"(id Int32, n Nullable(String) MATERIALIZED 'x'" + own2 + ")" + engine + "ORDER BY id", []string{"column n", "MATERIALIZED"}},
		"alias":        {"(id Int32, n Nullable(String) ALIAS 'x'" + own2 + ")" + engine + "ORDER BY id", []string{"column n", "ALIAS"}},
		"version type": {"(id Int32, n Nullable(String), _version UInt32, _is_deleted UInt8)" + engine + "ORDER BY id", []string{"column _version", "UInt64"}},
	} {
		t.Run(name, func(t *testing.T) {
			ch.Query(t, "CREATE TABLE t "+c.ddl)
			defer ch.Query(t, "DROP TABLE t SYNC")
			exists, err := target.Check(t.Context(), plan("t", "id Int32", "n Nullable(String)"))
			if !exists {
				t.Error("it does not exist")
			}
			if (err == nil) != (len(c.says) == 0) {
				t.Fatalf("got %v", err)
			}
			for _, text := range c.says {
				if !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), target.Name("t")) {
					t.Errorf("%q is not in: %v", text, err)
				}
			}
		})
	}
}

func TestCheckPartitionBy(t *testing.T) {
	target := open(t, testenv.ClickHouse(t).DSN(""))
	for expr, fine := range map[string]bool{
		"": true, "id % 10": true, "intDiv(id, 100000000)": true, "(id, id % 2)": true,
		"n": false, "id % n": false, "nonsense(id)": false, "id %": false, "_version": false,
	} {
		p := plan("t", "id Int32", "n String")
		p.PartitionBy = expr
		exists, err := target.Check(t.Context(), p)
		if exists || (err == nil) != fine || !fine && !isTable(err, "t") {
			t.Errorf("%q: %v, %v", expr, exists, err)
		}
	}
}

// What Check calls wider takes every value, over both protocols.
func TestWiderTypesTakeTheRows(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		pairs := []struct {
			have, want string
			v          value
			text       string
		}{
			{"Int64", "Int32", i64(-7), "-7"},
			{"Int64", "UInt32", u64(1<<32 - 1), "4294967295"},
			{"Float64", "Float32", func(to source.Appender) error { return to.Float(1.5) }, "1.5"},
			{"UInt8", "Bool", func(to source.Appender) error { return to.Bool(true) }, "1"},
			{"Nullable(String)", "String", str("x"), "x"},
			{"LowCardinality(String)", "String", str("x"), "x"},
			{"String", "LowCardinality(String)", str("x"), "x"},
			{"LowCardinality(Nullable(String))", "Nullable(String)", nil, `\N`},
			{"Decimal(76, 20)", "Decimal(10, 2)", func(to source.Appender) error {
				return to.Decimal(&source.Number{Coef: [4]uint64{12345}, Scale: 2, Neg: true})
			}, "-123.45"},
			{"DateTime64(8, 'Asia/Tokyo')", "DateTime64(6, 'UTC')", func(to source.Appender) error { return to.Timestamp(1) }, "1970-01-01 09:00:00.00000100"},
			{"Time64(9)", "Time64(6)", func(to source.Appender) error { return to.Time(1) }, "00:00:00.000001000"},
			{"Array(Nullable(Int64))", "Array(Nullable(Int32))", list(i64(1), nil), "[1,NULL]"},
		}
		p := plan("t", "id Int32")
		ddl := "CREATE TABLE t (id Int64"
		cols := append(own(t, 1, 1), col(t, "id", "Int32", i64(1)))
		names, texts := "", []string{}
		for i, pair := range pairs {
			name := string(rune('a' + i))
			ddl += ", " + name + " " + pair.have
			names += ", " + name
			texts = append(texts, pair.text)
			p.Columns = append(p.Columns, plan("t", name+" "+pair.want).Columns...)
			cols = append(cols, col(t, name, pair.want, pair.v))
		}
		ch.Query(t, "SET enable_time_time64_type = 1")
		ch.Query(t, ddl+own2+") ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id")
		if _, err := target.Check(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := target.Insert(t.Context(), "t", rand.Text(), cols); err != nil {
			t.Fatal(err)
		}
		want(t, ch, "SELECT "+names[2:]+" FROM t", strings.Join(texts, "\t"))
	})
}

func TestCheckNames(t *testing.T) {
	for name, fine := range map[string]bool{
		"id": true, "quo'te": true, "version": true, "is_deleted": true, "_id": true,
		"_row_exists": false, "_block_number": false, "_block_offset": false, "_part": false,
		"a.b": false, "_version": false, "_is_deleted": false, "": false, "twice": false,
	} {
		p := plan("t", "twice Int32")
		p.Columns = append(p.Columns, plan("t", name+" Int32").Columns...)
		p.Source.Columns = append(p.Source.Columns, source.Column{Name: "source_name"})
		p.Columns[1].From = 1
		err := CheckNames(p)
		if (err == nil) != fine || !fine && (!strings.Contains(err.Error(), "rename") || !strings.Contains(err.Error(), "source_name")) {
			t.Errorf("%q: %v", name, err)
		}
	}
	p := plan("t", "id Int32")
	p.Settings = map[string]string{"a b": "1"}
	if err := CheckNames(p); err == nil {
		t.Error("a setting's name went unnoticed")
	}
}

// The server refuses the reserved names, so that they must be caught before.
func TestReservedNames(t *testing.T) {
	target := open(t, testenv.ClickHouse(t).DSN(""))
	for _, name := range virtualColumns[:3] {
		if err := target.Create(t.Context(), plan("t", "id Int32", name+" Int32")); err == nil {
			t.Errorf("the server takes %s", name)
		}
	}
}

func TestDDL(t *testing.T) {
	p := plan("or`ders", "id Int32", "tenant UInt32", "note Nullable(String)")
	p.OrderBy = []int{1, 0}
	p.Columns[2].Comment = "it's a note"
	p.Comment = "orders"
	p.PartitionBy = "tenant % 4"
	p.Settings = map[string]string{"index_granularity": "1024", "storage_policy": "de'fault", "allow_nullable_key": "true"}
	p.Metadata = []mapper.Metadata{mapper.CommitTime}
	const golden = "CREATE TABLE IF NOT EXISTS `shop`.`or\\`ders`\n(\n" +
		"    `id` Int32,\n    `tenant` UInt32,\n    `note` Nullable(String) COMMENT 'it\\'s a note',\n" +
		"    `_version` UInt64,\n    `_is_deleted` UInt8,\n    `_commit_time` DateTime64(6, 'UTC')\n)\n" +
		"ENGINE = ReplacingMergeTree(`_version`, `_is_deleted`)\nPARTITION BY tenant % 4\nORDER BY (`tenant`, `id`)\n" +
		"SETTINGS allow_nullable_key = true, index_granularity = 1024, storage_policy = 'de\\'fault'\nCOMMENT 'orders'"
	if got := DDL("shop", p); got != golden {
		t.Errorf("got\n%s\nwant\n%s", got, golden)
	}
}

func TestCreate(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		p := plan("t", "id Int32", "tenant UInt32", "at Nullable(Time64(6))", "doc JSON")
		p.OrderBy = []int{1, 0}
		p.PartitionBy = "tenant % 4"
		p.Comment = "it's"
		p.Settings = map[string]string{"index_granularity": "1024", "storage_policy": "default"}
		p.Metadata = []mapper.Metadata{mapper.CommitTime, mapper.LogPosition}
		create(t, target, p)
		if exists, err := target.Check(t.Context(), p); !exists || err != nil {
			t.Errorf("check: %v, %v", exists, err)
		}
		want(t, ch, "SELECT sorting_key, partition_key, comment FROM system.tables WHERE database = currentDatabase() AND name = 't'", "tenant, id\ttenant % 4\tit\\'s")
		keyless := plan("keyless", "line String")
		keyless.OrderBy = nil
		create(t, target, keyless)
		if exists, err := target.Check(t.Context(), keyless); !exists || err != nil {
			t.Errorf("without key: %v, %v", exists, err)
		}
	})
}

func TestCheckHosts(t *testing.T) {
	ch := testenv.ClickHouse(t)
	target := open(t, ch.DSN(""))
	create(t, target, plan("own", "id Int32"))
	if err := target.CheckHosts(t.Context(), []string{"own", "new"}); err != nil {
		t.Errorf("one host: %v", err)
	}
	target.dsn.Hosts = append(target.dsn.Hosts, "127.0.0.1:1")
	for _, tables := range [][]string{{"own"}, {"new"}} {
		err := target.CheckHosts(t.Context(), tables)
		if !isHinted(err) || !strings.Contains(err.Error(), tables[0]) {
			t.Errorf("two hosts, %s: %v", tables, err)
		}
	}
	if err := target.CheckHosts(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestReplicatedArguments(t *testing.T) {
	full := "ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', _version, _is_deleted) ORDER BY id SETTINGS index_granularity = 8192"
	c := check{name: "t", plan: plan("t", "id Int32"), table: &tableInfo{engine: "ReplicatedReplacingMergeTree", engineFull: full}}
	if !c.engine() {
		t.Error(c.problems)
	}
	if got := arguments("MergeTree ORDER BY (a, b)"); !slices.Equal(got, nil) {
		t.Errorf("%q", got)
	}
}
