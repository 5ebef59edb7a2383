package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var binaries = struct {
	sync.Mutex
	built map[string]string
}{built: map[string]string{}}

// Binary builds cmd/millrace, once per process and set of build tags, and
// returns its path. It has the race detector when the test has.
func Binary(t testing.TB, tags ...string) string {
	t.Helper()
	binaries.Lock()
	defer binaries.Unlock()
	key := strings.Join(tags, ",")
	if path, ok := binaries.built[key]; ok {
		return path
	}
	dir, err := runDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, strings.Join(append([]string{"millrace"}, tags...), "-"))
	cmd := exec.Command("go", "build", "-tags", key, "-o", path)
	if race {
		cmd.Args = append(cmd.Args, "-race")
	} else {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	cmd.Args = append(cmd.Args, "github.com/millrace/millrace/cmd/millrace")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build millrace: %v\n%s", err, output)
	}
	binaries.built[key] = path
	return path
}
