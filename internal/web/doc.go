// Package web is the HTTP side of a running pipeline: health, readiness,
// metrics, status and a dashboard. Everything is read-only.
//
//	/healthz  200 while the process is alive
//	/readyz   200 when every table that has not failed streams, else 503 and the tables that do not
//	/metrics  Prometheus' text format
//	/status   a [Status] as JSON
//	/         the dashboard: one page without external assets that polls /status
//
// [Fetch] is the other end of /status.
package web
