// Package source says what a database is to the rest of millrace.
//
// A [Source] lists its selected tables, copies them once through a [Snapshot]
// and then decodes its log into calls of a [Handler]. Cells are handed over in
// the wire form in which they arrived, as views of the receive buffer. Each
// [Column] carries the decoders of its wire forms, which write one value into
// an [Appender]; so whoever keeps the values knows nothing of the database,
// and the database knows nothing of who keeps them.
package source
