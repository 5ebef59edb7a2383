// Package mapper turns a source's rows into versioned rows of
// ReplacingMergeTree tables.
//
// A [Plan] fixes, for each shape of a source table, the target's columns and
// the decoder of each. A [Mapper] is the source's handler: it routes a row by
// its plan into the columns of a [Block], writes tombstones for deleted rows
// and changed keys, and gathers the blocks of all tables into a [Batch] until
// it is due.
package mapper
