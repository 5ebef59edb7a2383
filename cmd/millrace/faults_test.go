package main

import (
	"strings"
	"testing"
)

func TestValueFaults(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"name", "My Shop", `"My Shop" is no name; use a-z, 0-9, _ and -, at most 63 of them, and begin with a letter or digit`},
		{"name", strings.Repeat("a", 64), `"` + strings.Repeat("a", 64) + `" is no name; use a-z, 0-9, _ and -, at most 63 of them, and begin with a letter or digit`},
		{"source.slot", "Shop-1", `"Shop-1" is no slot name; use a-z, 0-9 and _, at most 63 of them`},
		{"source.publication", strings.Repeat("p", 64), `"` + strings.Repeat("p", 64) + `" is longer than the 63 bytes of a publication's name`},
		{"source.server_id", "0", `"0" is no whole number from 1 to 4294967295`},
		{"source.dsn", "mysql://root@h/shop", "this version does not replicate from MySQL or MariaDB yet; use a postgres:// source"},
		{"source.dsn", "mariadb://root@h/shop", "this version does not replicate from MySQL or MariaDB yet; use a postgres:// source"},
		{"source.dsn", "oracle://root@h/shop", `scheme "oracle" is not known; use postgres://`},
		{"source.dsn", "127.0.0.1:5432", "has no scheme; write it like postgres://USER:PASSWORD@HOST:5432/DATABASE"},
		{"target.dsn", "tcp://h:9000", `scheme "tcp" is not known; use clickhouse://, http:// or https://, or embedded:DIR`},
		{"target.dsn", "h:9000", "has no scheme; write it like clickhouse://USER:PASSWORD@HOST:9000/DATABASE, or embedded:DIR"},
		{"target.dsn", "embedded:", "embedded: needs a directory; write it like embedded:./clickhouse"},
		{"target.table_name", "{db}_{table}", `"{db}_{table}" is no template; write it of {schema}, {table} and text, like {schema}_{table}`},
		{"target.table_name", "", `"" is no template; write it of {schema}, {table} and text, like {schema}_{table}`},
		{"target.settings", "a", `"a" is no setting; write them like name=value,name=value`},
		{"target.metadata", "lsn", `"lsn" is not known; use commit_time or position`},
		{"tables", "public.[a", `"public.[a" is no pattern; write it like public.orders, public.* or !public.audit_*`},
		{"tables", "!", `"!" is no pattern; write it like public.orders, public.* or !public.audit_*`},
		{"state", "", "must not be empty"},
		{"snapshot.workers", "0", `"0" is no whole number from 1 to 64`},
		{"snapshot.workers", "4.5", `"4.5" is no whole number from 1 to 64`},
		{"flush.rows", "-1", `"-1" is no whole number from 1 to 2147483647`},
		{"flush.bytes", "32 megs", `"32 megs" is no size; write it like 32MiB, 1GB or 1048576`},
		{"flush.bytes", "", `"" is no size; write it like 32MiB, 1GB or 1048576`},
		{"flush.bytes", "-1", `"-1" is no size; write it like 32MiB, 1GB or 1048576`},
		{"flush.bytes", "9999999TiB", `"9999999TiB" is more than 9223372036854775807 bytes`},
		{"flush.interval", "1 sec", `"1 sec" is no duration; write it like 500ms or 1s`},
		{"flush.interval", "0s", `"0s" is not between 1ms and 1h0m0s`},
		{"memory", "1kB", `"1kB" is too little; the least is 1048576 bytes`},
		{"http.listen", "8090", `"8090" is no address; write it like 127.0.0.1:8090, or "" for none`},
		{"http.listen", "h:http", `"h:http" is no address; write it like 127.0.0.1:8090, or "" for none`},
		{"log.level", "inf", `"inf" is not known; use debug, info, warn or error`},
		{"log.format", "", `"" is not known; use text or json`},
		{"value_policy", "null", `"null" is not known; use clamp or fail`},
	} {
		_, err := load(t, "", "--set", c.key+"="+c.value)
		wantFault(t, err, "--set: "+c.key+": "+c.want)
	}
}

func TestFileFaults(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"source:\n  dns: x\n", "millrace.yaml:2: unknown key source.dns; did you mean source.dsn?"},
		{"\nslot: x\n", "millrace.yaml:2: unknown key slot; did you mean source.slot?"},
		{"flsh: {rows: 1}\n", "millrace.yaml:1: unknown key flsh; did you mean flush?"},
		{"Name: x\n", "millrace.yaml:1: unknown key Name; did you mean name?"},
		{"log:\n  colour: x\n", "millrace.yaml:2: unknown key log.colour; there are " + strings.Join(keyNames(), ", ")},
		{"tables:\n  - name: a.b\n    orderby: x\n", "millrace.yaml:3: tables[0]: unknown key orderby; did you mean order_by?"},
		{"tables:\n- {name: a.b, columns: [{name: c, typ: x}]}\n", "millrace.yaml:2: tables[0].columns[0]: unknown key typ; did you mean type?"},
		{
			"tables:\n- name: a.b\n  columns:\n  - name: email\n    hash: sha256\n",
			"millrace.yaml:5: tables[0].columns[0].hash: this version does not hash columns; exclude: true keeps the value out of the target",
		},
		{"tables: public.a\n", `millrace.yaml:1: tables: must be a list, like ["public.*", "!public.audit_*"]`},
		{"tables:\n- public.*\n- !public.audit_*\n", "millrace.yaml:3: tables[1]: put a value that begins with ! in quotes"},
		{"tables:\n- *.orders\n", "millrace.yaml:2: did not find expected alphabetic or numeric character; put a value that begins with * in quotes"},
		{"tables:\n- *orders\n", "millrace.yaml: unknown anchor; put a value that begins with * in quotes"},
		{"tables:\n-\n", "millrace.yaml:2: tables[0]: is empty"},
		{"tables:\n- [a]\n", "millrace.yaml:2: tables[0]: must be a single value"},
		{"tables:\n- {target: a}\n", "millrace.yaml:2: tables[0]: the entry has no name; write it like {name: public.orders, target: orders}"},
		{"tables:\n- {name: a.*, target: a}\n", `millrace.yaml:2: tables[0]: "a.*" is a pattern; an entry with settings names one table, like public.orders`},
		{"tables:\n- {name: \"!a.b\"}\n", `millrace.yaml:2: tables[0]: "!a.b" is a pattern; an entry with settings names one table, like public.orders`},
		{"tables:\n- {name: public.a}\n- {name: a}\n", `millrace.yaml:3: tables[1]: table "public.a" has an entry already`},
		{"tables:\n- name: a.b\n  columns: {c: String}\n", `millrace.yaml:3: tables[0].columns: must be a list, like [{name: amount, type: "Decimal(38, 9)"}]`},
		{"tables:\n- name: a.b\n  columns:\n  - type: String\n", `millrace.yaml:4: tables[0].columns[0]: the entry has no name; write it like {name: amount, type: "Decimal(38, 9)"}`},
		{"tables:\n- name: a.b\n  columns: [{name: c, exclude: yes}]\n", `millrace.yaml:3: tables[0].columns[0].exclude: "yes" is neither true nor false`},
		{
			"tables:\n- name: a.b\n  columns: [{name: c, exclude: true, rename: d}]\n",
			`millrace.yaml:3: tables[0].columns[0]: column "c" is excluded, so it has no type and no other name`,
		},
		{"tables:\n- name: a.b\n  columns: [{name: c}, {name: c}]\n", `millrace.yaml:3: tables[0].columns[1]: column "c" has an entry already`},
		{"source: postgres\n", "millrace.yaml:1: source: must hold keys, each on a line of its own"},
		{"- name\n", "millrace.yaml:1: must hold keys, each on a line of its own"},
		{"name: [a]\n", "millrace.yaml:1: name: must be a single value"},
		{"name: a\nstate: b\nname: c\n", "millrace.yaml:3: a key stands here for the second time, first in line 1"},
		{"name: a\n---\nname: b\n", "millrace.yaml:2: a second document begins here; there may be one only"},
		{"name: 'a\n", "millrace.yaml:2: found unexpected end of stream"},
		{"a\tb: [\n", "millrace.yaml:1: did not find expected node content"},
	} {
		t.Run(c.file, func(t *testing.T) {
			_, err := load(t, c.file)
			wantFault(t, err, c.want)
		})
	}
}

func TestEnvironmentFaults(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"MILLRACE_SOURCE_DNS", "unknown environment variable MILLRACE_SOURCE_DNS; did you mean MILLRACE_SOURCE_DSN?"},
		{"MILLRACE_SOURCE_DNS_FILE", "unknown environment variable MILLRACE_SOURCE_DNS_FILE; did you mean MILLRACE_SOURCE_DSN_FILE?"},
		{"MILLRACE_FLUSHINTERVAL", "unknown environment variable MILLRACE_FLUSHINTERVAL; did you mean MILLRACE_FLUSH_INTERVAL?"},
		{"MILLRACE_COLOUR", "unknown environment variable MILLRACE_COLOUR; a key like source.dsn is MILLRACE_SOURCE_DSN"},
		{"MILLRACE_A B", "the environment has a variable that begins with MILLRACE_ and is no name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(c.name, "s3cr3t")
			_, err := load(t, "")
			wantFault(t, err, c.want)
		})
	}
	t.Setenv("MILLRACE_LOG_LEVEL", "loud")
	_, err := load(t, "log: {level: info}\n")
	wantFault(t, err, `MILLRACE_LOG_LEVEL: log.level: "loud" is not known; use debug, info, warn or error`)
}

// Kubernetes sets these for a service that is called millrace.
func TestForeignEnvironment(t *testing.T) {
	for _, name := range []string{
		"MILLRACE_SERVICE_HOST", "MILLRACE_SERVICE_PORT", "MILLRACE_SERVICE_PORT_HTTP", "MILLRACE_PORT",
		"MILLRACE_PORT_8090_TCP", "MILLRACE_PORT_8090_TCP_ADDR", "MILLRACE_TEST_ANYTHING",
	} {
		t.Setenv(name, "tcp://10.0.0.1:8090")
	}
	if _, err := load(t, ""); err != nil {
		t.Error(err)
	}
}

func TestFlagFaults(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--sorce=x"}, "unknown flag --sorce; did you mean --source?; see 'try --help'"},
		{[]string{"--colour", "x"}, "unknown flag --colour; see 'try --help'"},
		{[]string{"-s", "x"}, "unknown short flag; flags are written with two dashes; see 'try --help'"},
		{[]string{"--name"}, "--name needs a value; see 'try --help'"},
		{[]string{"--=x"}, "a flag is malformed; write it like --name VALUE; see 'try --help'"},
		{[]string{"--log-level", "loud"}, `--log-level: log.level: "loud" is not known; use debug, info, warn or error`},
		{[]string{"--set", "flush.interval"}, "--set: is written --set KEY=VALUE, like --set flush.interval=500ms"},
		{[]string{"--set", "flush.intervall=1s"}, "--set: unknown key flush.intervall; did you mean flush.interval?"},
		{[]string{"--set", "name=a", "--set", "name=b"}, "--set: name is set by --set already"},
		{[]string{"--set", "name=a", "--name", "b"}, "--set: name is set by --name already"},
	} {
		_, err := load(t, "", c.args...)
		wantFault(t, err, c.want)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1048576": 1 << 20, "12B": 12, "1kB": 1000, "1KB": 1000, "1KiB": 1024, "32MiB": 32 << 20, "32mib": 32 << 20,
		"1GB": 1e9, "2 GiB": 2 << 30, "3TB": 3e12, "7TiB": 7 << 40,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "1.5GiB", "1e3", "0x10", "1 Mi B", "+1", "1PiB", "99999999999999999999"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d, and no error", text, got)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"dns", "dsn", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"rows", "row", 1}, {"same", "same", 0},
	} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
