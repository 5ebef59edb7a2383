package postgres

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millrace/millrace/source"
)

// describer returns what tells a binary cell of a type in Postgres' own words,
// for messages and dead letters.
func describer(oid uint32) func(source.Cell) string {
	return func(cell source.Cell) string {
		m := pgtype.NewMap()
		if t, ok := m.TypeForOID(oid); ok {
			if v, err := t.Codec.DecodeValue(m, oid, pgtype.BinaryFormatCode, cell.Bytes); err == nil {
				if text, err := m.Encode(oid, pgtype.TextFormatCode, v, nil); err == nil {
					return string(text)
				}
			}
		}
		return fmt.Sprintf(`\x%x`, cell.Bytes)
	}
}
