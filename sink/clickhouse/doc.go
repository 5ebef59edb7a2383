// Package clickhouse writes to ClickHouse.
//
// A [Target] is one database of a server, reached over the native protocol or
// over HTTP. It creates tables for the mapper's plans ([DDL]), checks those
// that exist ([Target.Check]), inserts blocks of columns ([Target.Insert]) and
// reads rows back into columns ([Target.Select]). Blocks leave in ClickHouse's
// native format straight from ch-go's columns, in LZ4 frames.
//
// An insert is acknowledged when Insert returns nil: the block is on the
// server's disk by the rules of the table's engine. Errors are those of package
// sink: *sink.RetryError for what passes, *sink.TableError for what one table
// cannot take, anything else for what concerns them all. A cancelled context
// comes back as its own error.
//
// The native protocol is described in the manual under "Native protocol"
// (Native TCP: Basics, Client, Server, Columns), the HTTP interface under
// "HTTP Interface".
package clickhouse
