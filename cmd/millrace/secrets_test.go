package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const secret = "s3cr3t"

// dsnsWithSecret are DSNs as people mistype them, all with a password.
var dsnsWithSecret = []string{
	"postgres://cdc:s3cr3t@h:port/shop",
	"postgres://cdc:s3cr3t@h:99999999/shop",
	"postgres://cdc:s3cr3t@h h/shop",
	"postgres://cdc:s3cr3t@/shop?x=%zz",
	"postgres://cdc:s3cr3t%zz@h/shop",
	"postgres://cdc:s3cr3t%@h/shop",
	"postgres://cdc:s3cr3t@[::1/shop",
	"postgres://cdc:s3cr3t@h/sh@p",
	"postgres://cdc:s3cr3t@h/shop#x",
	"postgres://cdc:#s3cr3t@h/shop",
	"postgres://cdc:?s3cr3t@h/shop",
	"postgres://cdc:/s3cr3t@h/shop",
	"postgres://cdc:s3cr3t/x@h/shop",
	"postgres://cdc:@s3cr3t@h/shop",
	"postgres://cdc:a@s3cr3t:b@h/shop",
	"postgres://cdc:[s3cr3t@h/shop",
	"postgres://cdc:s3cr3t\x00@h/shop",
	"postgres://cdc:s3cr3t\n@h/shop",
	"postgres://cdc:s3cr3t^@h/shop",
	"postgres://cdc:pässs3cr3t@h/shop",
	"postgres://cdc:s3cr3t",
	"postgres://cdc:s3cr3t/shop",
	"postgres://:s3cr3t@h:x",
	"postgres://cdc@s3cr3t@h",
	"postgres://h/shop?user=cdc&password=s3cr3t&x=%",
	"postgres://cdc:s3cr3t@h:1,h:s3cr3t/shop",
	"postgres:cdc:s3cr3t@h/shop",
	"postgres:/cdc:s3cr3t@h/shop",
	"postgres//cdc:s3cr3t@h/shop",
	"//cdc:s3cr3t@h/shop",
	"cdc:s3cr3t@h/shop",
	"cdc:s3cr3t@h:5432",
	"host=h user=cdc password=s3cr3t dbname=shop",
	"host=h password=s3cr3t options=x://y",
	" postgres://cdc:s3cr3t@h/shop",
	"\"postgres://cdc:s3cr3t@h/shop\"",
	"POSTGRES://cdc:s3cr3t@h/shop",
	"pg://cdc:s3cr3t@h/shop",
	"mysql://cdc:s3cr3t@h/shop",
	"mysql://cdc:s3cr3t@tcp(h:3306)/shop",
	"clickhouse://default:s3cr3t@h:9000/shop?x=%zz",
	"cdc:s3cr3t@tcp(h:3306)/shop",
}

// told checks that loading failed and that what a user would see of it, and of
// the DSN, keeps the password back.
func told(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	var b strings.Builder
	report(&b, err)
	if text := b.String() + err.Error(); strings.Contains(text, secret) {
		t.Errorf("%s: the password is told: %s", what, text)
	}
}

func TestNoSecretInErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	for _, dsn := range dsnsWithSecret {
		if strings.Contains(redact(dsn), secret) {
			t.Errorf("redact(%q) = %q", dsn, redact(dsn))
		}
		for _, key := range []string{"source.dsn", "target.dsn"} {
			_, err := load(t, "", "--set", key+"="+dsn)
			told(t, "--set "+key+"="+dsn, err)
			if strings.ContainsRune(dsn, 0) {
				continue
			}
			env := findKey(key).env()
			t.Setenv(env, dsn)
			_, err = load(t, "")
			told(t, env+" "+dsn, err)
			if err := os.Unsetenv(env); err != nil {
				t.Fatal(err)
			}
			t.Setenv(env+"_FILE", write(t, file, dsn+"\n"))
			_, err = load(t, "")
			told(t, env+"_FILE with "+dsn, err)
			t.Setenv(env+"_FILE", dsn)
			_, err = load(t, "")
			told(t, env+"_FILE="+dsn, err)
			if err := os.Unsetenv(env + "_FILE"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A DSN under a key that is none of its own, or in a file that is out of shape.
func TestNoSecretInMisplacedValues(t *testing.T) {
	const dsn = "postgres://cdc:s3cr3t@h/shop"
	for i := range keys {
		switch keys[i].name {
		case "source.dsn", "state", "source.publication":
			continue // take it as it is
		}
		_, err := load(t, "", "--set", keys[i].name+"="+dsn)
		if keys[i].name == "target.table_name" && err == nil {
			continue
		}
		told(t, keys[i].name, err)
	}
	for _, file := range []string{
		"source: " + dsn + "\n",
		"source: {dsn:" + dsn + "}\n",
		"source: {dsn: " + dsn + "\n",
		"source:\n  dsn:" + dsn + "\n",
		"source:\n  - dsn: " + dsn + "\n",
		"source: !" + dsn + "\n",
		"source: {dsn: !" + dsn + " x}\n",
		"source: {dsn: *" + dsn + "}\n",
		"source: {dsn: &" + dsn + " [x]}\n",
		"source: {dsn: [" + dsn + "]}\n",
		"source: {dsn: \"" + dsn + "}\n",
		"source: {dsn: %" + dsn + "}\n",
		"source: {dsn: " + dsn + "#x@}\n  y\n",
		dsn + "\n",
		dsn + ": x\n",
		"? {" + dsn + ": x}\n: y\n",
		"tables: [" + dsn + "]\n",
		"tables: [{name: " + dsn + "}]\n",
		"tables: [{" + dsn + "}]\n",
		"tables: [{name: a.b, columns: [{name: c, exclude: " + dsn + "}]}]\n",
		"target: {settings: {" + dsn + ": [x]}}\n",
		"source: {dsn: " + dsn + "}\nsource: {dsn: " + dsn + "}\n",
	} {
		_, err := load(t, file)
		told(t, file, err)
	}
	for _, args := range [][]string{
		{"--sorce=" + dsn},
		{"-source=" + dsn},
		{"-s=" + dsn},
		{"--=" + dsn},
		{"--" + dsn},
		{"--config", dsn},
		{"--set", dsn},
		{"--set", dsn + "=x"},
		{"--set", "source.dsn:" + dsn},
		{"--set", "source.dsn " + dsn + "?x=y"},
	} {
		_, err := load(t, "", args...)
		told(t, strings.Join(args, " "), err)
	}
	for _, args := range [][]string{{dsn}, {"version", dsn}, {"completion", "bash", dsn}} {
		root := newRootCommand()
		root.SetArgs(args)
		told(t, strings.Join(args, " "), root.Execute())
	}
}

func TestRedact(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://cdc:pw@127.0.0.1:5432/shop":                  "postgres://cdc:***@127.0.0.1:5432/shop",
		"postgres://cdc@h1:1,h2:2/shop":                          "postgres://cdc@h1:1,h2:2/shop",
		"postgres://cdc:p@w:/?#@[::1]:5432/shop?sslmode=disable": "postgres://cdc:***@[::1]:5432/shop?***",
		"clickhouse://default:@h:9000":                           "clickhouse://default:***@h:9000",
		"https://h/?password=pw":                                 "https://h/?***",
		"embedded:./clickhouse":                                  "embedded:./clickhouse",
		"postgres:///shop?host=/run":                             "postgres:///shop?***",
		"postgres://cdc:pw@h:x":                                  "postgres://***",
		"host=h password=pw":                                     "***",
	} {
		if got := redact(dsn); got != want {
			t.Errorf("redact(%q) = %q, want %q", dsn, got, want)
		}
	}
}

func TestGoodDSNs(t *testing.T) {
	for _, dsn := range []string{
		"postgres://cdc:secret@127.0.0.1:5432/shop", "postgresql://cdc@h/shop?sslmode=verify-full&sslrootcert=/etc/ca.pem",
		"postgres://h1:5432,h2:5433/shop?target_session_attrs=read-write", "postgres:///shop?host=/run/postgresql",
		"postgres://cdc:p%40ss%2Fword%25@[::1]:5432/shop", "postgres://cdc:a:b!$&'()*+,;=~@h/shop", "postgres://h", "postgres://",
		"postgres://user%40tenant:x@h.example/shop-db_1",
	} {
		if err := checkSource(dsn); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
	for _, dsn := range []string{
		"clickhouse://default:@127.0.0.1:9000/shop", "http://h:8123/shop", "https://u:p@h/shop?compress=lz4", "clickhouse://a:9000,b:9000/shop?secure=true", "embedded:/var/lib/x",
	} {
		if err := checkTarget(dsn); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

func TestMalformedDSN(t *testing.T) {
	_, err := load(t, "source:\n  dsn: postgres://cdc:p@ss@h/shop\n")
	wantFault(t, err, "millrace.yaml:2: source.dsn: postgres://cdc:***@h/shop is malformed; write it like postgres://USER:PASSWORD@HOST:PORT/DATABASE, "+
		"and in user and password %40 for @, %2F for /, %3F for ?, %23 for # and %25 for %")
}

func FuzzParseFile(f *testing.F) {
	f.Add(fullFile)
	f.Add("tables: &a [*a, {columns: *a}]\n")
	f.Add("a: &a {<<: *a}\nsource: *a")
	f.Fuzz(func(t *testing.T, text string) {
		values, faults := parseFile("f", []byte(text))
		if len(values) == 0 && len(faults) == 0 {
			return
		}
		for _, err := range faults {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("a fault without its place: %v", err)
			}
		}
	})
}

func FuzzRedact(f *testing.F) {
	for _, dsn := range dsnsWithSecret {
		f.Add(dsn)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// Whatever surrounds it, a password between : and @ is not shown.
		if got := redact("postgres://cdc:" + s + secret + "@h/shop"); strings.Contains(got, secret) {
			t.Errorf("redact shows the password behind %q: %s", s, got)
		}
	})
}
