// Package embedded runs the real ClickHouse engine as a child process: for a
// first try, for small installations, and for tests.
//
// [Locate] finds the engine: a `clickhouse` binary on PATH, else libchdb, the
// same engine as a shared library, in the cache folder where [Fetch] put it.
// Both read the command line of `clickhouse local`, which can listen on the
// native and the HTTP port. A library is started through a tiny executable
// that stands beside it (see launcher.go), never loaded into this process.
//
// [Start] runs one engine on one folder, on 127.0.0.1 only, and returns when
// it answers. The engine holds its standard input open and ends when that is
// closed: by [Server.Stop], or because this process is gone. Everything it has
// acknowledged is in the folder and survives a kill of either process; as
// ClickHouse does not sync by default, a power failure may take the last
// seconds of it.
package embedded
