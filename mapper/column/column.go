// Package column holds typed columnar buffers: one value after the other is
// decoded into them, and ClickHouse's native format is written out of them as
// they stand.
//
// A [Column] is made for a ClickHouse type by [New]. Its storage is ch-go's
// (github.com/ClickHouse/ch-go/proto), its optional NULL mask its own. Columns
// keep their capacity over [Column.Reset], so a buffer in circulation stops
// allocating.
package column
