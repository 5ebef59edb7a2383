package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// privileges are what a pipeline uses on its database.
var privileges = []string{"SELECT", "INSERT", "CREATE TABLE", "TRUNCATE"}

// CheckGrants tests whether our user may do what a pipeline does. Servers that
// cannot be asked (before 24.11) give no finding.
func (t *Target) CheckGrants(ctx context.Context) ([]source.Finding, error) {
	const subject = "target privileges"
	var missing []string
	for _, privilege := range privileges {
		granted, known, err := t.checkGrant(ctx, privilege)
		if err != nil {
			return nil, fmt.Errorf("check the privilege %s: %w", privilege, err)
		}
		if !known {
			return nil, nil
		}
		if !granted {
			missing = append(missing, privilege)
		}
	}
	user := Ident(t.dsn.User)
	if len(missing) > 0 {
		list := strings.Join(missing, ", ")
		return []source.Finding{{
			Level: source.Fail, Subject: subject, Text: fmt.Sprintf("user %s lacks %s on database %s", user, list, Ident(t.dsn.Database)),
			Fix: fmt.Sprintf("GRANT %s ON %s.* TO %s", list, Ident(t.dsn.Database), user),
		}}, nil
	}
	return []source.Finding{{Subject: subject, Text: "user " + user + " may create, fill, read and empty tables of " + Ident(t.dsn.Database)}}, nil
}

// checkGrant asks for one privilege; known is false when the server does not
// know the question.
func (t *Target) checkGrant(ctx context.Context, privilege string) (granted, known bool, err error) {
	var result proto.ColUInt8
	err = t.Select(ctx, "CHECK GRANT "+privilege+" ON "+Ident(t.dsn.Database)+".*", proto.Results{{Data: &result}}, func(rows int) error {
		granted = rows > 0 && result[0] != 0
		return nil
	})
	if code, ok := exceptionCode(err); ok && code == proto.ErrSyntaxError {
		return false, false, nil
	}
	return granted, true, err
}
