package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/source"
)

// An entry's wishes stand over those for all tables, and hold for its table alone.
func TestOptions(t *testing.T) {
	c, err := load(t, `
tables:
  - public.*
  - {name: orders, target: sales, settings: {index_granularity: 1024}, columns: [{name: ssn, exclude: true}]}
target: {table_name: "{schema}_{table}", settings: {index_granularity: 4096, storage_policy: cold}, metadata: [position]}
`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]mapper.Options{
		"orders": {
			Target: "sales", Metadata: []mapper.Metadata{mapper.LogPosition},
			Settings: map[string]string{"index_granularity": "1024", "storage_policy": "cold"},
			Columns:  map[string]mapper.ColumnOptions{"ssn": {Exclude: true}},
		},
		"items": {
			Target: "public_items", Metadata: []mapper.Metadata{mapper.LogPosition},
			Settings: map[string]string{"index_granularity": "4096", "storage_policy": "cold"},
		},
	} {
		if diff := cmp.Diff(want, options(c)(&source.Table{Schema: "public", Name: name})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
