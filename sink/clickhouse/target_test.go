package clickhouse

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/source"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// httpDSN is ch's DSN over HTTP.
func httpDSN(t testing.TB, ch *testenv.CH) string {
	t.Helper()
	native, err := url.Parse(ch.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(ch.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path = native.User, native.Path
	return u.String()
}

func open(t testing.TB, dsn string) *Target {
	t.Helper()
	target, err := Open(t.Context(), Config{DSN: dsn, RunID: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target
}

// eachWire runs a test over both protocols, with and without compression.
func eachWire(t *testing.T, test func(t *testing.T, ch *testenv.CH, target *Target)) {
	for _, wire := range []string{"native", "http"} {
		for _, compress := range []string{"lz4", "zstd", "none"} {
			t.Run(wire+"/"+compress, func(t *testing.T) {
				ch := testenv.ClickHouse(t)
				dsn := ch.DSN("")
				if wire == "http" {
					dsn = httpDSN(t, ch)
				}
				test(t, ch, open(t, dsn+"?compress="+compress))
			})
		}
	}
}

// A value puts itself into a column.
type value func(to source.Appender) error

func col(t testing.TB, name, typ string, values ...value) proto.InputColumn {
	t.Helper()
	return proto.InputColumn{Name: name, Data: filled(t, typ, values...).Input()}
}

func filled(t testing.TB, typ string, values ...value) *column.Column {
	t.Helper()
	c, err := column.New(typ)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		cell := source.Cell{Kind: source.Text}
		if v == nil {
			cell.Kind = source.Null
		}
		if err := c.Append(cell, func(_ []byte, to source.Appender) error { return v(to) }); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
	}
	return c
}

func i64(v int64) value  { return func(to source.Appender) error { return to.Int(v) } }
func u64(v uint64) value { return func(to source.Appender) error { return to.Uint(v) } }
func str(v string) value { return func(to source.Appender) error { return to.Bytes([]byte(v)) } }
func list(vs ...value) value {
	return func(to source.Appender) error {
		elem, err := to.List(len(vs))
		if err != nil {
			return err
		}
		for _, v := range vs {
			if v == nil {
				err = elem.Null()
			} else {
				err = v(elem)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func repeat(n int, f func(i int) value) []value {
	vs := make([]value, n)
	for i := range vs {
		vs[i] = f(i)
	}
	return vs
}

// plan makes a plan from "name type" pairs; the first column is the key.
func plan(target string, columns ...string) *mapper.Plan {
	p := &mapper.Plan{Target: target, OrderBy: []int{0}, Source: &source.Table{Schema: "public", Name: target}}
	for i, c := range columns {
		name, typ, _ := strings.Cut(c, " ")
		p.Columns = append(p.Columns, mapper.Field{Name: name, Type: typ, From: i})
		p.Source.Columns = append(p.Source.Columns, source.Column{Name: name})
	}
	return p
}

func create(t testing.TB, target *Target, p *mapper.Plan) {
	t.Helper()
	if err := target.CreateDatabase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := target.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// own are millrace's columns, for n rows of one version.
func own(t testing.TB, n int, version uint64) []proto.InputColumn {
	t.Helper()
	return []proto.InputColumn{
		col(t, mapper.VersionColumn, "UInt64", repeat(n, func(int) value { return u64(version) })...),
		col(t, mapper.IsDeletedColumn, "UInt8", repeat(n, func(int) value { return u64(0) })...),
	}
}

func want(t testing.TB, ch *testenv.CH, query, expected string) {
	t.Helper()
	if got := ch.Query(t, query); got != expected {
		t.Errorf("%s\n got %q\nwant %q", query, got, expected)
	}
}

func TestOpen(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		if target.Version() != ch.Query(t, "SELECT version()") {
			t.Errorf("version %q", target.Version())
		}
		if target.Database() != ch.Database {
			t.Errorf("database %q", target.Database())
		}
		for typ, has := range map[string]bool{"Time64": true, "JSON": true, "Nonsense": false} {
			if target.Has(typ) != has {
				t.Errorf("Has(%s) is %v", typ, !has)
			}
		}
		if _, err := target.texts(t.Context(), "SELECT 'pong'"); err != nil {
			t.Error(err)
		}
	})
}

func TestDatabaseIsCreated(t *testing.T) {
	ch := testenv.ClickHouse(t)
	name := ch.Database + " `x'"
	target := open(t, ch.DSN(name))
	p := plan("t", "id Int32")
	create(t, target, p)
	create(t, target, p) // both exist
	defer ch.Query(t, "DROP DATABASE "+Ident(name))
	if ok, err := target.Exists(t.Context(), "t"); !ok || err != nil {
		t.Errorf("exists: %v, %v", ok, err)
	}
}

func TestInsert(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		p := plan("t", "id Int32", "s String", "n Nullable(Int64)", "d Nullable(Decimal(76,38))",
			"l LowCardinality(Nullable(String))", "a Array(Nullable(String))", "b Bool",
			"at DateTime64(6,'UTC')", "tm Nullable(Time64(6))", "u UUID")
		create(t, target, p)
		const rows = 20_000
		long := strings.Repeat("long ", 50)
		cols := []proto.InputColumn{
			col(t, "id", "Int32", repeat(rows, func(i int) value { return i64(int64(i)) })...),
			col(t, "s", "String", repeat(rows, func(i int) value { return str(fmt.Sprint(long, i)) })...),
			col(t, "n", "Nullable(Int64)", repeat(rows, func(i int) value {
				if i%2 == 0 {
					return nil
				}
				return i64(int64(i))
			})...),
			col(t, "d", "Nullable(Decimal(76, 38))", repeat(rows, func(i int) value {
				return func(to source.Appender) error {
					return to.Decimal(&source.Number{Coef: [4]uint64{uint64(i)}, Scale: 2, Neg: i > 0})
				}
			})...),
			col(t, "l", "LowCardinality(Nullable(String))", repeat(rows, func(i int) value {
				if i%3 == 0 {
					return nil
				}
				return str(fmt.Sprint("label ", i%3))
			})...),
			col(t, "a", "Array(Nullable(String))", repeat(rows, func(i int) value { return list(nil, str("x"), str(fmt.Sprint(i))) })...),
			col(t, "b", "Bool", repeat(rows, func(i int) value { return func(to source.Appender) error { return to.Bool(i%2 == 1) } })...),
			col(t, "at", "DateTime64(6, 'UTC')", repeat(rows, func(i int) value {
				return func(to source.Appender) error { return to.Timestamp(int64(i)) }
			})...),
			col(t, "tm", "Nullable(Time64(6))", repeat(rows, func(i int) value {
				return func(to source.Appender) error { return to.Time(int64(i)) }
			})...),
			col(t, "u", "UUID", repeat(rows, func(i int) value {
				return func(to source.Appender) error { return to.UUID([16]byte{15: byte(i)}) }
			})...),
		}
		if err := target.Insert(t.Context(), "t", rand.Text(), append(cols, own(t, rows, 7)...)); err != nil {
			t.Fatal(err)
		}
		want(t, ch, "SELECT count(), sum(id), sum(length(s)), countIf(n IS NULL), sum(n), sum(d), countIf(l IS NULL), uniqExact(l), sum(length(a)), sum(b), max(at), max(tm), uniqExact(u), min(_version) FROM t FINAL",
			"20000\t199990000\t5088890\t10000\t100000000\t-1999900\t6667\t2\t60000\t10000\t1970-01-01 00:00:00.019999\t00:00:00.019999\t256\t7")
		want(t, ch, "SELECT id, n, d, l, a, b, at, tm, u, _is_deleted FROM t WHERE id = 19999",
			`19999	19999	-199.99	label 1	[NULL,'x','19999']	true	1970-01-01 00:00:00.019999	00:00:00.019999	00000000-0000-0000-0000-00000000001f	0`)
	})
}

func TestInsertNothing(t *testing.T) {
	target := open(t, testenv.ClickHouse(t).DSN(""))
	if err := target.Insert(t.Context(), "missing", rand.Text(), []proto.InputColumn{col(t, "id", "Int32")}); err != nil {
		t.Error(err)
	}
	uneven := []proto.InputColumn{col(t, "id", "Int32", i64(1)), col(t, "b", "Int32")}
	if err := target.Insert(t.Context(), "missing", rand.Text(), uneven); err == nil {
		t.Error("columns of different lengths went through")
	}
}

func TestManyPartitions(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		p := plan("t", "id Int32")
		p.PartitionBy = "id % 300"
		create(t, target, p)
		cols := append(own(t, 600, 1), col(t, "id", "Int32", repeat(600, func(i int) value { return i64(int64(i)) })...))
		if err := target.Insert(t.Context(), "t", rand.Text(), cols); err != nil {
			t.Fatal(err)
		}
		want(t, ch, "SELECT count(), uniqExact(_partition_id) FROM t", "600\t300")
	})
}

func TestTokenGuardsRetry(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		p := plan("t", "id Int32")
		p.Settings = map[string]string{"non_replicated_deduplication_window": "100"}
		create(t, target, p)
		insert := func(run *Target, token string) {
			t.Helper()
			cols := append(own(t, 1, 1), col(t, "id", "Int32", i64(1)))
			eventually(t, func() bool { // the server may not have put away the one before
				err := run.Insert(t.Context(), "t", token, cols)
				if err != nil && !isRetry(err) {
					t.Fatal(err)
				}
				return err == nil
			})
		}
		insert(target, "1")
		insert(target, "1")
		want(t, ch, "SELECT count() FROM t", "1")
		insert(target, "2")
		want(t, ch, "SELECT count() FROM t", "2")
		other := *target
		other.runID = "another run"
		insert(&other, "1")
		want(t, ch, "SELECT count() FROM t", "3")
	})
}

func TestRowsAndVersions(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		create(t, target, plan("t", "id Int32"))
		expect := func(has bool, version uint64) {
			t.Helper()
			gotHas, err := target.HasRows(t.Context(), "t")
			if err != nil || gotHas != has {
				t.Errorf("has rows: %v, %v", gotHas, err)
			}
			gotVersion, err := target.MaxVersion(t.Context(), "t")
			if err != nil || gotVersion != version {
				t.Errorf("highest version: %d, %v", gotVersion, err)
			}
		}
		expect(false, 0)
		cols := append(own(t, 1, 1<<63), col(t, "id", "Int32", i64(1)))
		if err := target.Insert(t.Context(), "t", rand.Text(), cols); err != nil {
			t.Fatal(err)
		}
		expect(true, 1<<63)
		if err := target.Truncate(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		expect(false, 0)
	})
}

func TestSelectManyBlocks(t *testing.T) {
	eachWire(t, func(t *testing.T, _ *testenv.CH, target *Target) {
		var n proto.ColUInt64
		var s proto.ColStr
		blocks, rows, sum := 0, 0, uint64(0)
		err := target.Select(t.Context(), "SELECT number, toString(number) FROM numbers(200000) SETTINGS max_block_size = 10000",
			proto.Results{{Data: &n}, {Data: &s}}, func(k int) error {
				blocks++
				rows += k
				for i := range k {
					sum += n[i]
					if s.Row(i) != fmt.Sprint(n[i]) {
						return fmt.Errorf("row %d is %s", n[i], s.Row(i))
					}
				}
				return nil
			})
		if err != nil || rows != 200_000 || sum != 19_999_900_000 || blocks < 2 {
			t.Errorf("%d blocks, %d rows, sum %d, %v", blocks, rows, sum, err)
		}
	})
}

// Columns that hold only zeros are stored sparsely, and must still be readable.
func TestSelectSparseColumns(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		ch.Query(t, "CREATE TABLE t (id UInt64, d UInt8) ENGINE = MergeTree ORDER BY id SETTINGS ratio_of_defaults_for_sparse_serialization = 0.5")
		ch.Query(t, "INSERT INTO t SELECT number, 0 FROM numbers(100000)")
		want(t, ch, "SELECT DISTINCT serialization_kind FROM system.parts_columns WHERE database = currentDatabase() AND column = 'd'", "Sparse")
		var d proto.ColUInt8
		rows := 0
		err := target.Select(t.Context(), "SELECT d FROM "+target.Name("t"), proto.Results{{Data: &d}}, func(n int) error {
			rows += n
			return nil
		})
		if err != nil || rows != 100_000 {
			t.Errorf("%d rows, %v", rows, err)
		}
	})
}
