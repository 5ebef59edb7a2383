package test

import (
	"strings"
	"testing"
)

// What stands in both tables comes by the copy in one and by the log in the
// other.
var typeRows = []string{
	`(1, true, -32768, -2147483648, -9223372036854775808, 4294967295, -1.5, 1e-300, -12345678.90, 123456789012345678901234567890.123456789, 'text ''"\', 'var', 'bp', 'name', '\x00ff10', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1999-12-31', '23:59:59.999999', '1969-12-31 23:59:59.999999', '2024-02-29 12:00:00.5+03', '{"a" :  [1, 2.50]}', '{"b": null, "a": 9007199254740993}', 'sad', '{1,NULL,3}', '{"a,b","c\"d",NULL,"",NULL}', '{{1,2},{3,4}}', '192.168.0.1/24', '08:00:2b:01:02:03', '101', '[1,10)', '<a>x</a>', 'the:1A fat:2')`,
	`(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
	`(3, false, 0, 0, 0, 0, 'NaN', '-Infinity', 0, 0, '', '', '', '', '', '00000000-0000-0000-0000-000000000000', '1970-01-01', '00:00', '1970-01-01', '1970-01-01 00:00+00', 'null', '{}', '', '{}', '{}', '{}', '::1', '00:00:00:00:00:00', '', 'empty', '', '')`,
	`(4, true, 32767, 2147483647, 9223372036854775807, 1, '-0', 'Infinity', 99999999.99, -0.000000001, E'line\nbreak\ttab 人間 🦀', '   ', 'ab ', 'select', '\xdeadbeef', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '1900-01-01', '12:34:56.000001', '2299-12-31 23:59:59.999999', '1900-01-01 00:00+00', '[]', '"é\u00e9"', 'happy, "or" not', '{-1}', '{NULL}', '{{NULL}}', '10.0.0.0/8', 'ff:ff:ff:ff:ff:ff', '0', '(,)', 'y', '''a b'':3')`,
}

const typeColumns = `id int PRIMARY KEY, bo bool, i2 int2, i4 int4, i8 int8, oi oid, f4 float4, f8 float8,
	n10 numeric(10, 2), nu numeric, te text, vc varchar(20), bp char(5), na name, ba bytea, uu uuid,
	da date, ti time, ts timestamp, tz timestamptz, js json, jb jsonb, en mood, ai int[], at text[], aa int[][],
	ip inet, ma macaddr, bi varbit, ra int4range, xm text, tv tsvector`

func TestAllTypesByCopyAndByLog(t *testing.T) {
	for _, form := range []string{"binary", "text"} {
		t.Run(form, func(t *testing.T) {
			columns, rows := typeColumns, strings.Join(typeRows, ", ")
			r := newRig(t, "", "CREATE TYPE mood AS ENUM ('sad', '', 'happy, \"or\" not')")
			alter := []string{}
			if form == "binary" { // without what has no binary decoder
				alter = []string{"ip", "ma", "bi", "ra", "tv"}
			}
			for _, table := range []string{"copied", "logged"} {
				r.exec("CREATE TABLE " + table + " (" + columns + ")")
				for _, c := range alter {
					r.exec("ALTER TABLE " + table + " ALTER " + c + " TYPE text USING " + c + "::text")
				}
			}
			if form == "text" {
				for _, table := range []string{"copied", "logged"} {
					r.exec("ALTER TABLE " + table + " ADD span interval DEFAULT '1 year 2 mons -3 days 04:05:06.789'")
				}
			}
			r.exec("INSERT INTO copied VALUES " + rows)
			r.begin().await("format=" + form)
			r.exec("INSERT INTO logged VALUES " + rows)
			r.settle()
			r.equal("copied", "logged")
			// The same bytes in ClickHouse, whichever way they came.
			const all = "SELECT * EXCEPT (_version) FROM copied FINAL ORDER BY id FORMAT RowBinary"
			if r.ch.query(all) != r.ch.query(strings.Replace(all, "copied", "logged", 1)) {
				t.Error("the copy and the log gave different values")
			}
			// And once more each value, as one that changed and as one that did not.
			r.exec("UPDATE logged SET id = -id", "UPDATE copied SET bo = NOT bo")
			r.settle()
			r.equal("copied", "logged")
		})
	}
}

func TestKeysOfManyTypes(t *testing.T) {
	keys := map[string]string{
		"k_text": "text", "k_uuid": "uuid", "k_num": "numeric(20,5)", "k_any": "numeric", "k_ts": "timestamptz", "k_date": "date",
		"k_bytes": "bytea", "k_bool": "bool", "k_enum": "mood", "k_inet": "inet", "k_f8": "float8", "k_time": "time",
	}
	values := map[string][]string{
		"text": {"''", "'a'", "'A'", "'a '"}, "uuid": {"gen_random_uuid()", "gen_random_uuid()", "gen_random_uuid()", "gen_random_uuid()"},
		"numeric(20,5)": {"1", "1.5", "-1", "0.00001"}, "numeric": {"1", "1.50", "-1e30", "0.00000000001"},
		"timestamptz": {"'2000-01-01+00'", "'2000-01-01 00:00:00.000001+00'", "'1969-01-01+00'", "'2200-01-01+00'"},
		"date":        {"'2000-01-01'", "'1969-01-01'", "'1901-01-01'", "'2222-02-22'"},
		"bytea":       {`'\x'`, `'\x00'`, `'\x0000'`, `'\xff'`}, "bool": {"true", "false"}, "mood": {"'sad'", "''"},
		"inet": {"'10.0.0.1'", "'10.0.0.1/8'", "'::1'", "'10.0.0.2'"}, "float8": {"0", "1.5", "-1e300", "'Infinity'"}, "time": {"'00:00'", "'12:00'", "'23:59:59.999999'"},
	}
	r := newRig(t, "", "CREATE TYPE mood AS ENUM ('sad', '')")
	for table, typ := range keys {
		r.exec("CREATE TABLE " + table + " (k " + typ + " PRIMARY KEY, n int)")
		for i, v := range values[typ] {
			if i%2 == 0 {
				r.exec("INSERT INTO " + table + " VALUES (" + v + ", 0)")
			}
		}
	}
	r.begin()
	for table, typ := range keys {
		for i, v := range values[typ] {
			if i%2 == 1 {
				r.exec("INSERT INTO " + table + " VALUES (" + v + ", 1)")
			}
		}
		r.exec("UPDATE "+table+" SET n = n + 10", "DELETE FROM "+table+" WHERE k = (SELECT k FROM "+table+" ORDER BY k LIMIT 1)")
	}
	// Equal as numbers and as texts or not: the row stays one.
	r.exec("UPDATE k_num SET k = 1.50 WHERE k = 1.5", "UPDATE k_any SET k = 1.5 WHERE k = 1.50", "UPDATE k_text SET k = 'B' WHERE k = 'a'")
	r.settle()
	for table := range keys {
		if table == "k_any" { // a String, as the scale is open
			r.compareText(table)
			continue
		}
		r.equal(table)
	}
}

// compareText compares a table whose key's text counts.
func (r *rig) compareText(table string) {
	r.t.Helper()
	want := r.value("SELECT string_agg(k || '=' || n, ' ' ORDER BY (k || '=' || n) COLLATE \"C\") FROM " + table)
	got := r.ch.query("SELECT arrayStringConcat(arraySort(groupArray(concat(k, '=', n))), ' ') FROM " + table + " FINAL")
	if got != want {
		r.t.Errorf("%s: Postgres has %s; ClickHouse has %s", table, want, got)
	}
}

func TestGeneratedColumnsAreLeftOut(t *testing.T) {
	r := newRig(t, "", "CREATE TABLE g (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, b text)",
		"INSERT INTO g (id, a, b) VALUES (1, 1, 'x'), (2, 2, 'y')")
	r.begin()
	r.exec("INSERT INTO g (id, a, b) VALUES (3, 3, 'z')", "UPDATE g SET a = 10 WHERE id = 1")
	r.settle()
	r.equal("g")
	if names := r.ch.query("SELECT groupArray(name) FROM system.columns WHERE database = currentDatabase() AND table = 'g'"); strings.Contains(names, "twice") {
		t.Errorf("the columns are %s", names)
	}
	if !r.now.log.has("twice") {
		t.Errorf("the log does not tell of the column:\n%s", r.now.log.tail())
	}
}
