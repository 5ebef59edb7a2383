package sourcetest

import (
	"maps"
	"slices"
	"testing"
)

// Run tries everything that source.Source promises.
func Run(t *testing.T, env Env) {
	for _, group := range []struct {
		name  string
		tests map[string]func(*bench)
	}{
		{"tables", tableTests},
		{"copy", copyTests},
		{"resume", resumeTests},
		{"order", orderTests},
		{"rows", rowTests},
		{"position", positionTests},
		{"handler", handlerTests},
		{"fetch", fetchTests},
		{"teardown", teardownTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, name := range slices.Sorted(maps.Keys(group.tests)) {
				t.Run(name, func(t *testing.T) { group.tests[name](newBench(t, env, env.Database(t))) })
			}
		})
	}
	t.Run("server", func(t *testing.T) {
		for _, name := range slices.Sorted(maps.Keys(serverTests)) {
			t.Run(name, func(t *testing.T) { serverTests[name](t, env) })
		}
	})
}
