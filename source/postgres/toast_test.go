package postgres

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
)

// A key may be so long that it is stored out of line. When it does not change,
// the new row leaves it out and the old key has it.
func TestStreamOfALongKey(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	key := make([]byte, 2500)
	for i := range key {
		key[i] = byte('a' + r.IntN(26))
	}
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, "CREATE TABLE t (k text PRIMARY KEY, n int)", "ALTER TABLE t ALTER k SET STORAGE EXTERNAL")
	s, tables, from := testStart(t, dsn)
	pg.Exec(t, dsn, "INSERT INTO t VALUES ('"+string(key)+"', 1)", "UPDATE t SET n = 2", "DELETE FROM t", "INSERT INTO t VALUES ('last', 3)")
	text := testStream(t, s, from, tables, "6c617374") // last
	if strings.Count(text, "(2500)") != 3 || !strings.Contains(text, "(2500) absent new unchanged") {
		t.Error(text)
	}
}
