package web

import (
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"strings"
)

//go:embed dashboard.html
var dashboardHTML string

// contentSecurityPolicy lets the page run its own script and style and ask
// this server, and nothing else: a table's name cannot become markup.
var contentSecurityPolicy = strings.Join([]string{
	"default-src 'none'",
	"script-src " + sourceHash("script"),
	"style-src " + sourceHash("style"),
	"connect-src 'self'",
	"img-src data:",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
}, "; ")

// sourceHash is the policy's name for what the page has between two tags.
func sourceHash(tag string) string {
	_, rest, _ := strings.Cut(dashboardHTML, "<"+tag+">")
	text, _, _ := strings.Cut(rest, "</"+tag+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
