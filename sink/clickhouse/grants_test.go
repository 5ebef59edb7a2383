package clickhouse

import (
	"net/url"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

func TestCheckGrants(t *testing.T) {
	ch := testenv.ClickHouse(t)
	findings, err := open(t, ch.DSN("")).CheckGrants(t.Context())
	if err != nil || len(findings) != 1 || findings[0].Level != source.OK {
		t.Errorf("a user who may do everything gives %+v, %v", findings, err)
	}
	u, err := url.Parse(ch.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(testenv.Reader)
	findings, err = open(t, u.String()).CheckGrants(t.Context())
	if err != nil || len(findings) != 1 {
		t.Fatalf("a reader gives %+v, %v", findings, err)
	}
	want := "GRANT INSERT, CREATE TABLE, TRUNCATE ON `" + ch.Database + "`.* TO `reader`"
	if f := findings[0]; f.Level != source.Fail || f.Fix != want {
		t.Errorf("a reader gives %+v, want the fix %s", f, want)
	}
}
