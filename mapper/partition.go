package mapper

import (
	"fmt"
	"slices"
	"strings"
)

// checkPartition refuses a partition expression over a column outside the
// sorting key: a row that moves to another partition never meets its old self.
func (p *Plan) checkPartition() error {
	for _, name := range identifiers(p.PartitionBy) {
		i := slices.IndexFunc(p.Columns, func(f Field) bool { return f.Name == name })
		if i >= 0 && slices.Contains(p.OrderBy, i) {
			continue
		}
		return fmt.Errorf("partition_by: %q is no column of the sorting key, and a row that changes partition would stay twice", name)
	}
	return nil
}

// identifiers returns the column names in a ClickHouse expression: words and
// quoted words that are neither called nor literals.
func identifiers(expr string) []string {
	var names []string
	for i := 0; i < len(expr); {
		switch c := expr[i]; {
		case c == '\'':
			i = quoteEnd(expr, i)
		case c == '`' || c == '"':
			end := quoteEnd(expr, i)
			names = append(names, unquote(expr[i:end]))
			i = end
		case isWordStart(c):
			end := i
			for end < len(expr) && (isWordStart(expr[end]) || expr[end] >= '0' && expr[end] <= '9') {
				end++
			}
			word := expr[i:end]
			called := strings.HasPrefix(strings.TrimLeft(expr[end:], " \t\n"), "(")
			if !called && !slices.Contains(expressionWords, strings.ToUpper(word)) {
				names = append(names, word)
			}
			i = end
		case c >= '0' && c <= '9':
			for i < len(expr) && (isWordStart(expr[i]) || expr[i] >= '0' && expr[i] <= '9' || expr[i] == '.') {
				i++
			}
		default:
			i++
		}
	}
	return names
}

// expressionWords stand in expressions without naming a column.
var expressionWords = []string{
	"AND", "OR", "NOT", "IN", "IS", "NULL", "DIV", "MOD", "CASE", "WHEN", "THEN", "ELSE", "END",
	"INTERVAL", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "AS", "TRUE", "FALSE",
	"BETWEEN", "LIKE",
}

func isWordStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// quoteEnd returns the index behind the quoted run that begins at i.
func quoteEnd(s string, i int) int {
	quote := s[i]
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case quote:
			return i + 1
		}
	}
	return len(s)
}

// unquote strips the quotes of an identifier.
func unquote(s string) string {
	quote := s[:1]
	return strings.NewReplacer(`\\`, `\`, `\`+quote, quote).Replace(strings.TrimSuffix(s[1:], quote))
}
