package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

func TestManyUpdatesOfOneRow(t *testing.T) {
	r := newRig(t, "", "CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) i")
	r.set("flush.rows=777") // many parts of one version
	r.begin().stop()
	before := r.mark()
	r.start()
	r.exec("DO $$ BEGIN FOR i IN 1..20000 LOOP UPDATE t SET v = i WHERE id = 5; END LOOP; END $$")
	r.settle()
	r.equal("t")
	if v := r.ch.query("SELECT v FROM t FINAL WHERE id = 5"); v != "20000" {
		t.Errorf("the last update left %s", v)
	}
	r.ch.query("OPTIMIZE TABLE t FINAL")
	r.equal("t")
	// Again, cut at other places, on top of it.
	r.now.kill()
	r.replay(before)
	r.set("memory=1MiB", "flush.rows=1234")
	r.begin()
	r.settle()
	r.equal("t")
	r.ch.query("OPTIMIZE TABLE t FINAL")
	r.equal("t")
}

// A transaction of 300 MB flows through 32 MiB. The race detector would need
// a multiple of that, so this binary has none.
func TestLargeTransactionInLittleMemory(t *testing.T) {
	const limit = 350 << 10 // KiB
	r := newRig(t, "", "CREATE TABLE t (id int PRIMARY KEY, a text, b text)")
	r.binary = plainBinary(t)
	r.set("memory=32MiB")
	r.begin()
	r.transaction("INSERT INTO t SELECT i, repeat(md5(i::text), 4), repeat(md5((-i)::text), 5) FROM generate_series(1, 1000000) i")
	r.settle()
	peak := r.now.peak()
	t.Logf("peak %d MiB", peak>>10)
	if peak > limit {
		t.Errorf("it took %d MiB, want less than %d", peak>>10, limit>>10)
	}
	r.equal("t")
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak returns the largest resident size so far, in KiB.
func (p *process) peak() int {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.child.PID()))
	if err != nil {
		p.t.Fatal(err)
	}
	m := highWater.FindSubmatch(text)
	if m == nil {
		p.t.Fatalf("no VmHWM in %s", text)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// plainBinary is built without the race detector.
func plainBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "millrace")
	cmd := exec.Command("go", "build", "-o", path, "github.com/millrace/millrace/cmd/millrace")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build millrace: %v\n%s", err, output)
	}
	return path
}
