package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
)

// postgresBin finds the newest installed version.
func postgresBin() (string, error) {
	if dir := os.Getenv("MILLRACE_TEST_PG_BIN"); dir != "" {
		return dir, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("no initdb found: apt-get install postgresql, or set MILLRACE_TEST_PG_BIN")
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// init creates the data folder, owned by whom the server runs as.
func (p *PG) init() error {
	if err := os.Mkdir(p.data, 0o700); err != nil {
		return fmt.Errorf("create the data folder: %w", err)
	}
	cmd := exec.Command(filepath.Join(p.bin, "initdb"), "-D", p.data, "-A", "trust", "-U", "postgres",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	owner, err := unprivileged()
	if err != nil {
		return err
	}
	if owner != nil {
		if err := os.Chown(p.data, int(owner.Uid), int(owner.Gid)); err != nil {
			return fmt.Errorf("create the data folder: %w", err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	}
	cmd.Dir = p.data
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, output)
	}
	return nil
}

// unprivileged is the user postgres when we are root, else nil: Postgres
// refuses to run as root.
var unprivileged = sync.OnceValues(func() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("Postgres does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
})
