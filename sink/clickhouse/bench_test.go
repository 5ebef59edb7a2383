package clickhouse

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

// BenchmarkInsert writes blocks of 250,000 rows of 100 bytes or so.
func BenchmarkInsert(b *testing.B) {
	const rows = 250_000
	cols := orders(b, rows)
	size := int64(0)
	for _, c := range cols {
		var buf proto.Buffer
		c.Data.EncodeColumn(&buf)
		size += int64(len(buf.Buf))
	}
	for _, wire := range []string{"native", "http"} {
		for _, compress := range []string{"lz4", "none", "zstd"} {
			b.Run(wire+"/"+compress, func(b *testing.B) {
				ch := testenv.ClickHouse(b)
				dsn := ch.DSN("")
				if wire == "http" {
					dsn = httpDSN(b, ch)
				}
				target := open(b, dsn+"?compress="+compress)
				ch.Query(b, "CREATE TABLE t (id Int64, customer Int32, state LowCardinality(String), amount Decimal(18, 2), note Nullable(String), "+
					"created DateTime64(6, 'UTC')"+own2+") ENGINE = Null")
				b.SetBytes(size)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if err := target.Insert(b.Context(), "t", fmt.Sprint(i), cols); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

func orders(b *testing.B, rows int) []proto.InputColumn {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"fast", "delivery", "please", "ring", "twice", "leave", "at", "the", "door", "fragile"}
	return append(own(b, rows, 1<<40),
		col(b, "id", "Int64", repeat(rows, func(i int) value { return i64(int64(i)) })...),
		col(b, "customer", "Int32", repeat(rows, func(int) value { return i64(random.Int64N(100_000)) })...),
		col(b, "state", "LowCardinality(String)", repeat(rows, func(int) value { return str(words[random.IntN(4)]) })...),
		col(b, "amount", "Decimal(18, 2)", repeat(rows, func(int) value {
			return func(to source.Appender) error {
				return to.Decimal(&source.Number{Coef: [4]uint64{random.Uint64N(1_000_000)}, Scale: 2})
			}
		})...),
		col(b, "note", "Nullable(String)", repeat(rows, func(int) value {
			note := ""
			for range 10 {
				note += words[random.IntN(len(words))] + " "
			}
			return str(note)
		})...),
		col(b, "created", "DateTime64(6, 'UTC')", repeat(rows, func(i int) value {
			return func(to source.Appender) error { return to.Timestamp(1_700_000_000_000_000 + int64(i)*1000) }
		})...))
}
