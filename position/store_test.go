package position_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/millrace/millrace/position"
)

func open(t *testing.T, path string) *position.Store {
	t.Helper()
	s, err := position.Open(path, "shop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreKeepsAllOverReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	if saved, err := s.Saved(); err != nil || saved != nil {
		t.Fatalf("a new file has %v, %v", saved, err)
	}
	want := position.Saved{
		Position: position.Position{Order: 1<<56 - 1, Text: "FF/FFFFFF"},
		Identity: position.Identity{Server: "7", Log: "1"},
		Epoch:    3,
	}
	must(t, s.Save(want))
	must(t, s.PutTable("public.a", position.Table{State: position.Waiting, Target: "a"}))
	must(t, s.PutTable("public.gone", position.Table{State: position.Failed}))
	must(t, s.StartCopy("public.a", []byte("old plan")))
	must(t, s.ChunkDone("public.a", 9, 1))
	must(t, s.StartCopy("public.a", []byte("plan")))
	must(t, s.ChunkDone("public.a", 0, 100))
	must(t, s.ChunkDone("public.a", 70000, 1<<40))
	must(t, s.DeleteTable("public.gone"))
	must(t, s.Put("slot", []byte("creating")))
	must(t, s.Close())

	s = open(t, path)
	saved, err := s.Saved()
	must(t, err)
	if diff := cmp.Diff(&want, saved); diff != "" {
		t.Error(diff)
	}
	plan, done, err := s.Copy("public.a")
	must(t, err)
	if string(plan) != "plan" {
		t.Errorf("plan is %q", plan)
	}
	if diff := cmp.Diff(map[int]int64{0: 100, 70000: 1 << 40}, done); diff != "" {
		t.Error(diff)
	}
	if v, err := s.Get("slot"); err != nil || string(v) != "creating" {
		t.Errorf("the source remembers %q, %v", v, err)
	}
	if v, err := s.Get("other"); err != nil || v != nil {
		t.Errorf("an unknown key gives %q, %v", v, err)
	}

	must(t, s.FinishCopy("public.a", position.Table{State: position.Copied, Target: "a", Rows: 5}))
	if plan, done, err := s.Copy("public.a"); err != nil || plan != nil || len(done) != 0 {
		t.Errorf("a finished copy leaves %q %v %v", plan, done, err)
	}
	tables, err := s.Tables()
	must(t, err)
	if diff := cmp.Diff(map[string]position.Table{"public.a": {State: position.Copied, Target: "a", Rows: 5}}, tables); diff != "" {
		t.Error(diff)
	}
}

func TestChunkDoneNeedsACopy(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	if err := s.ChunkDone("public.a", 0, 1); err == nil {
		t.Error("a chunk of no copy was accepted")
	}
}

func TestOpenRefusesASecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open(t, path)
	_, err := position.Open(path, "shop")
	if !errors.Is(err, position.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second open gives %v", err)
	}
}

func TestOpenRefusesAnotherPipeline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	must(t, open(t, path).Close())
	_, err := position.Open(path, "bank")
	if err == nil || !strings.Contains(err.Error(), `"shop"`) || !strings.Contains(err.Error(), `"bank"`) {
		t.Errorf("a foreign file gives %v", err)
	}
}

func TestOpenRefusesAnotherFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	must(t, open(t, path).Close())
	db, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("version"), []byte{99})
	}))
	must(t, db.Close())
	if _, err := position.Open(path, "shop"); err == nil || !strings.Contains(err.Error(), "format") {
		t.Errorf("a file of another format gives %v", err)
	}
}

func TestResync(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	must(t, s.Save(position.Saved{Position: position.Position{Order: 1, Text: "0/1"}}))
	must(t, s.PutTable("public.a", position.Table{State: position.Failed, Target: "a", UUID: "u", Rows: 4, Error: "e"}))
	must(t, s.PutTable("public.b", position.Table{State: position.Copied, Target: "b"}))
	must(t, s.StartCopy("public.a", []byte("plan")))
	if err := s.Resync([]string{"public.a", "public.none"}, false); err == nil || !strings.Contains(err.Error(), "public.none") {
		t.Fatalf("an unknown table gives %v", err)
	}
	must(t, s.Resync([]string{"public.a"}, false))
	tables, err := s.Tables()
	must(t, err)
	want := map[string]position.Table{
		"public.a": {State: position.Resync, Target: "a"},
		"public.b": {State: position.Copied, Target: "b"},
	}
	if diff := cmp.Diff(want, tables); diff != "" {
		t.Error(diff)
	}
	if plan, _, err := s.Copy("public.a"); err != nil || plan != nil {
		t.Errorf("its copy's progress is still there: %q, %v", plan, err)
	}
	if saved, err := s.Saved(); err != nil || saved == nil {
		t.Errorf("the position is gone: %v, %v", saved, err)
	}
	must(t, s.Resync(nil, true))
	if saved, err := s.Saved(); err != nil || saved != nil {
		t.Errorf("after all tables the position is %v, %v", saved, err)
	}
	tables, err = s.Tables()
	must(t, err)
	if tables["public.b"].State != position.Resync {
		t.Errorf("table b is %v", tables["public.b"])
	}
}
