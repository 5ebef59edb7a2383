package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

//go:generate go test -run TestReference -update

var update = flag.Bool("update", false, "write docs/configuration.md")

const referenceFile = "../../docs/configuration.md"

const referenceHead = `# Configuration

Made from the table of keys in the program; ` + "`go generate ./cmd/millrace`" + ` writes it anew.

Every key can be set in four ways. Later ones win:

1. its default;
2. the file: ` + "`--config FILE`, else `millrace.yaml` in the working directory, if there is one" + `;
3. the environment: ` + "`source.dsn` is `MILLRACE_SOURCE_DSN`, and `MILLRACE_SOURCE_DSN_FILE`" + ` names a file that holds
   the value, without the newline at its end. Both at once are an error;
4. the command line: a flag of its own, or ` + "`--set source.dsn=…`" + `.

A key, entry or ` + "`MILLRACE_`" + ` variable that is not known is an error, with the nearest one that is. All faults are
told at once, with file and line, and the exit code is 2.

Sizes are bytes, written like ` + "`32MiB` (1024²), `1GB` (1000³) or `1048576`" + `; durations like ` + "`500ms`, `1s` or `2m`" + `.
Lists are written with commas outside the file: ` + "`MILLRACE_TABLES=public.orders,public.items`" + `; names and values like
` + "`a=1,b=2`" + `.
A DSN is written like ` + "`scheme://USER:PASSWORD@HOST:PORT/DATABASE?parameter=value`" + `; in user and password ` +
	"`@ / ? # %` are `%40 %2F %3F %23 %25`" + `.
The file is YAML. A pattern that begins with ` + "`!` or `*`" + ` is written in quotes there.

## Keys
`

const referenceTables = `
## Entries of tables

In the file, an entry of ` + "`tables`" + ` is a pattern or names one table and says what is special about it:

` + "```yaml" + `
tables:
  - public.*
  - "!public.audit_*"
  - name: public.orders
    target: orders
    order_by: [tenant_id, id]
    partition_by: intDiv(id, 100000000)
    columns:
      - {name: amount, type: "Decimal(38, 9)"}
      - {name: ssn, exclude: true}
      - {name: note, rename: remark}
` + "```" + `
`

// reference writes docs/configuration.md.
func reference() []byte {
	var b bytes.Buffer
	b.WriteString(referenceHead)
	for i := range keys {
		k := &keys[i]
		fmt.Fprintf(&b, "\n### `%s`\n%s\n\n", k.name, k.doc)
		fmt.Fprintf(&b, "- value: %s\n", k.kind.noun)
		if k.def != "" {
			fmt.Fprintf(&b, "- default: `%s`\n", k.def)
		}
		fmt.Fprintf(&b, "- environment: `%s`\n", k.env())
		if k.flag != "" {
			fmt.Fprintf(&b, "- flag: `--%s`\n", k.flag)
		}
	}
	b.WriteString(referenceTables)
	writeProperties(&b, "entry", tableProperties)
	writeProperties(&b, "column", columnProperties)
	return b.Bytes()
}

func writeProperties(b *bytes.Buffer, of string, ps []property) {
	fmt.Fprintf(b, "\n| of %s | |\n|---|---|\n", of)
	for _, p := range ps {
		fmt.Fprintf(b, "| `%s` | %s |\n", p.name, p.doc)
	}
}

func TestReference(t *testing.T) {
	want := reference()
	if *update {
		if err := os.WriteFile(referenceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the keys say; run go generate ./cmd/millrace", referenceFile)
	}
}

// What a user reads of a key must be there, and in the same form for all.
func TestKeysAreDocumented(t *testing.T) {
	seen := map[string]bool{}
	for i := range keys {
		k := &keys[i]
		if !strings.HasSuffix(k.doc, ".") || k.kind.noun == "" || seen[k.name] || seen["--"+k.flag] {
			t.Errorf("key %s: doc %q, kind %q, flag %q", k.name, k.doc, k.kind.noun, k.flag)
		}
		seen[k.name] = true
		if k.flag != "" {
			seen["--"+k.flag] = true
		}
		if k.kind.shape == scalar {
			if err := k.kind.set(new(Config), k.def); err != nil {
				t.Errorf("the default of %s: %v", k.name, err)
			}
		}
	}
	for _, p := range append(tableProperties, columnProperties...) {
		if !strings.HasSuffix(p.doc, ".") {
			t.Errorf("property %s: doc %q", p.name, p.doc)
		}
	}
}
