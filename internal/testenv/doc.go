// Package testenv gives tests real servers: the ClickHouse engine, Postgres,
// and the millrace binary itself.
//
// What is shared is started on first use, once per test process, and hands
// each test a database of its own. A test that stops or kills a server starts
// one for itself. A server that is missing fails the test and says how to get
// it.
//
// No server outlives the test process, however that ends. [Main] also removes
// the files; those of a process that was killed are removed by the next.
//
// Environment: MILLRACE_TEST_CLICKHOUSE is a native DSN of a server to use in
// place of the engine, with http_port=… where that is not 8123;
// MILLRACE_TEST_PG_BIN is the folder of the Postgres binaries.
package testenv
