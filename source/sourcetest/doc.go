// Package sourcetest is the conformance suite of sources: what source.Source
// promises, tried on a real server.
//
// A source's own test supplies an [Env] and calls [Run]. The suite drives the
// source as a pipeline would, with a handler that copies what it is given, and
// keeps the newest version of each row, the last of equal ones, as the target
// does. What comes out is compared with the tables as SQL reads them. Statements
// are portable; what is not comes from the [Dialect].
//
// Whatever a test is about, its handler checks the order of calls, the shape of
// rows, versions and positions.
package sourcetest
