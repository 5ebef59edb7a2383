package testenv

import (
	"context"
	"testing"
	"time"

	"github.com/millrace/millrace/sink/embedded"
)

const startDeadline = time.Minute

// StartClickHouse starts an engine on dir for this test alone, which may stop
// or kill it; [RestartClickHouse] brings it back. It is killed when the test
// ends.
func StartClickHouse(t testing.TB, dir string) *embedded.Server {
	t.Helper()
	s, err := startEngine(dir)
	if err != nil {
		t.Fatalf("ClickHouse: %v (in a checkout: make embedded)", err)
	}
	t.Cleanup(func() { s.Kill() })
	return s
}

// RestartClickHouse starts an engine that has ended again, on its folder and
// its ports.
func RestartClickHouse(t testing.TB, ended *embedded.Server) *embedded.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	s, err := embedded.Start(ctx, ended.Config())
	if err != nil {
		t.Fatalf("ClickHouse: %v", err)
	}
	t.Cleanup(func() { s.Kill() })
	return s
}

func startEngine(dir string) (*embedded.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	return embedded.Start(ctx, embedded.Config{Dir: dir, Users: map[string]embedded.User{
		User:   {Password: Password},
		Reader: {Grants: []string{"GRANT SELECT ON *.*"}},
	}})
}
