package mapper

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/source"
)

func fieldTexts(p *Plan) []string {
	var list []string
	for _, f := range p.Columns {
		list = append(list, fmt.Sprintf("%s %s <- %s", f.Name, f.Type, p.Source.Columns[f.From].Name))
	}
	return list
}

func TestPlan(t *testing.T) {
	table := orders()
	table.OldRow = true
	p := plan(t, table, Options{
		Target:  "sales",
		OrderBy: []string{"customer", "number"},
		Columns: map[string]ColumnOptions{
			"id":    {Rename: "number"},
			"note":  {Exclude: true},
			"state": {Type: "String"},
			"paid":  {Type: "UInt8"},
		},
	})
	want := []string{
		"number Int64 <- id", "customer Int32 <- customer", "state String <- state", "amount Decimal(18, 2) <- amount",
		"paid UInt8 <- paid", "created DateTime64(6, 'UTC') <- created", "shipped Nullable(DateTime64(6, 'UTC')) <- shipped",
	}
	if diff := cmp.Diff(want, fieldTexts(p)); diff != "" {
		t.Error(diff)
	}
	if p.Target != "sales" || !slices.Equal(p.OrderBy, []int{1, 0}) {
		t.Errorf("target %s, order by %v", p.Target, p.OrderBy)
	}
	b := newBlock(t, p, nil)
	row := order(5)
	row[5].Kind = source.Absent // excluded, and not looked at
	add(t, b, &source.Row{Op: source.Insert, Version: 7, New: row})
}

func TestPlanFollowsTheKey(t *testing.T) {
	table := items()
	table.Key = []int{1, 0}
	if p := plan(t, table, Options{}); !slices.Equal(p.OrderBy, []int{1, 0}) {
		t.Errorf("order by %v, not as the key", p.OrderBy)
	}
}

func TestPlanRefuses(t *testing.T) {
	list := source.Type{Kind: source.Array, Elem: &source.Type{Kind: source.Int32}}
	for name, test := range map[string]struct {
		change  func(t *source.Table)
		options Options
		want    []string
	}{
		"unknown column": {
			options: Options{Columns: map[string]ColumnOptions{"missing": {}}},
			want:    []string{`there is no column "missing"`},
		},
		"unknown column of order_by": {
			options: Options{OrderBy: []string{"id", "nowhere"}},
			want:    []string{`order_by: there is no column "nowhere"`},
		},
		"excluded key": {
			options: Options{Columns: map[string]ColumnOptions{"id": {Exclude: true}}},
			want:    []string{`key column "id" cannot be excluded`},
		},
		"order_by without the key": {
			change:  func(t *source.Table) { t.OldRow = true },
			options: Options{OrderBy: []string{"customer"}},
			want:    []string{`must contain the key column "id"`},
		},
		"order_by that the log does not tell": {
			options: Options{OrderBy: []string{"customer", "id"}},
			want:    []string{`the log does not give the old value of "customer"`, "REPLICA IDENTITY FULL"},
		},
		"nullable order_by": {
			change:  func(t *source.Table) { t.OldRow = true },
			options: Options{OrderBy: []string{"note", "id"}},
			want:    []string{`column "note" may be NULL`},
		},
		"array in the key": {
			change: func(t *source.Table) { t.Columns[0].Type = list },
			want:   []string{`order_by: column "id" is an array`},
		},
		"unknown type": {
			options: Options{Columns: map[string]ColumnOptions{"note": {Type: "Texty"}}},
			want:    []string{`type of "note"`, "Texty"},
		},
		"type that takes no such value": {
			options: Options{Columns: map[string]ColumnOptions{"amount": {Type: "Date32"}}},
			want:    []string{`type of "amount": numeric(18,2) cannot become Date32`},
		},
		"each wrong thing": {
			options: Options{Columns: map[string]ColumnOptions{"amount": {Type: "Date32"}, "created": {Type: "UUID"}}},
			want:    []string{"amount", "created"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			table := orders()
			if test.change != nil {
				test.change(table)
			}
			_, err := NewPlan(table, test.options, func(string) bool { return true })
			var te *TableError
			if !errors.As(err, &te) || te.Table != "public.orders" {
				t.Fatalf("error %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
		})
	}
}

// Each logical type has a target type that takes its values and, where there
// is such a thing, NULL.
func TestDefaultTypes(t *testing.T) {
	decimal := source.Type{Kind: source.Decimal, Precision: 20, Scale: 4}
	for _, test := range []struct {
		typ         source.Type
		plain, null string
	}{
		{source.Type{Kind: source.String}, "String", "Nullable(String)"},
		{source.Type{Kind: source.Bytes}, "String", "Nullable(String)"},
		{source.Type{Kind: source.JSON}, "String", "Nullable(String)"},
		{source.Type{Kind: source.Enum}, "LowCardinality(String)", "LowCardinality(Nullable(String))"},
		{source.Type{Kind: source.Bool}, "Bool", "Nullable(Bool)"},
		{source.Type{Kind: source.Int8}, "Int8", "Nullable(Int8)"},
		{source.Type{Kind: source.Int16}, "Int16", "Nullable(Int16)"},
		{source.Type{Kind: source.Int32}, "Int32", "Nullable(Int32)"},
		{source.Type{Kind: source.Int64}, "Int64", "Nullable(Int64)"},
		{source.Type{Kind: source.UInt8}, "UInt8", "Nullable(UInt8)"},
		{source.Type{Kind: source.UInt16}, "UInt16", "Nullable(UInt16)"},
		{source.Type{Kind: source.UInt32}, "UInt32", "Nullable(UInt32)"},
		{source.Type{Kind: source.UInt64}, "UInt64", "Nullable(UInt64)"},
		{source.Type{Kind: source.Float32}, "Float32", "Nullable(Float32)"},
		{source.Type{Kind: source.Float64}, "Float64", "Nullable(Float64)"},
		{decimal, "Decimal(20, 4)", "Nullable(Decimal(20, 4))"},
		{source.Type{Kind: source.UUID}, "UUID", "Nullable(UUID)"},
		{source.Type{Kind: source.Date}, "Date32", "Nullable(Date32)"},
		{source.Type{Kind: source.Time, Precision: 6}, "Time64(6)", "Nullable(Time64(6))"},
		{source.Type{Kind: source.Timestamp, Precision: 3}, "DateTime64(3, 'UTC')", "Nullable(DateTime64(3, 'UTC'))"},
		{source.Type{Kind: source.IPv4}, "IPv4", "Nullable(IPv4)"},
		{source.Type{Kind: source.IPv6}, "IPv6", "Nullable(IPv6)"},
		{source.Type{Kind: source.Array, Elem: &decimal}, "Array(Nullable(Decimal(20, 4)))", "Array(Nullable(Decimal(20, 4)))"},
		{
			source.Type{Kind: source.Array, Elem: &source.Type{Kind: source.Array, Elem: &source.Type{Kind: source.Enum}}},
			"Array(Array(LowCardinality(Nullable(String))))", "Array(Array(LowCardinality(Nullable(String))))",
		},
		{source.Type{Kind: source.Set}, "Array(LowCardinality(String))", "Array(LowCardinality(String))"},
		{source.Type{Kind: source.Vector}, "Array(Float32)", "Array(Float32)"},
	} {
		t.Run(test.plain, func(t *testing.T) {
			for _, knows := range []bool{true, false} {
				types := func(string) bool { return knows }
				for _, nullable := range []bool{false, true} {
					want := test.plain
					if nullable {
						want = test.null
					}
					if !knows && test.typ.Kind == source.Time {
						want = strings.ReplaceAll(want, "Time64(6)", "Int64")
					}
					got := targetType(&test.typ, nullable, types)
					if got != want {
						t.Errorf("nullable %t: %s, want %s", nullable, got, want)
					}
					if err := canTake(got, &test.typ); err != nil {
						t.Errorf("%s: %v", got, err)
					}
					c, err := column.New(got)
					if err != nil {
						t.Fatal(err)
					}
					if err := c.Append(source.Cell{Kind: source.Null}, nil); nullable != (err == nil) && !isList(test.typ.Kind) {
						t.Errorf("NULL for %s gives %v", got, err)
					}
				}
			}
		})
	}
}

// A wished type is nullable where the column is.
func TestWishedTypes(t *testing.T) {
	numbers := source.Type{Kind: source.Array, Elem: &source.Type{Kind: source.Int32}}
	for _, test := range []struct {
		typ        source.Type
		wish, want string
	}{
		{source.Type{Kind: source.Decimal, Precision: 10, Scale: 2}, "Decimal(38, 9)", "Nullable(Decimal(38, 9))"},
		{source.Type{Kind: source.Decimal, Precision: 10, Scale: 2}, "Nullable(Decimal(38, 9))", "Nullable(Decimal(38, 9))"},
		{source.Type{Kind: source.Enum}, "String", "Nullable(String)"},
		{source.Type{Kind: source.String}, "LowCardinality(String)", "LowCardinality(Nullable(String))"},
		{source.Type{Kind: source.JSON}, "JSON", "Nullable(JSON)"},
		{source.Type{Kind: source.Bool}, "Int8", "Nullable(Int8)"},
		{numbers, "Array(Nullable(Int64))", "Array(Nullable(Int64))"},
		{source.Type{Kind: source.Set}, "Array(String)", "Array(String)"},
		{source.Type{Kind: source.Vector}, "Array(Float64)", "Array(Float64)"},
	} {
		c := &source.Column{Name: "c", Native: "n", Type: test.typ, Nullable: true}
		got, err := fieldType(c, test.wish, func(string) bool { return true })
		if err != nil || got != test.want {
			t.Errorf("%s gives %s, %v", test.wish, got, err)
		}
	}
}

func TestEpoch(t *testing.T) {
	b := newBlock(t, plan(t, items(), Options{}), nil)
	add(t, b, insert("1", "a", "1", "b", "c"))
	if e := Epoch(b.Version(0)); e != 3 {
		t.Errorf("epoch %d", e)
	}
}
