package clickhouse

import "strings"

// The characters that end a quoted token or begin an escape in it. All other
// bytes, newlines and zero bytes included, stand for themselves.
// Source: manual, "Syntax", Identifiers and Literals.
var (
	identEscapes   = strings.NewReplacer("\\", "\\\\", "`", "\\`")
	literalEscapes = strings.NewReplacer("\\", "\\\\", "'", "\\'")
)

// Ident quotes an identifier: a database, table or column name.
func Ident(name string) string { return "`" + identEscapes.Replace(name) + "`" }

// Literal quotes a string literal.
func Literal(s string) string { return "'" + literalEscapes.Replace(s) + "'" }

// idents quotes a list of identifiers.
func idents(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = Ident(n)
	}
	return strings.Join(quoted, ", ")
}
