package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// binEnv names the folder of the binaries to use.
const binEnv = "MILLRACE_TEST_PG_BIN"

// binaries finds the newest installed version.
func binaries() (string, error) {
	if dir := os.Getenv(binEnv); dir != "" {
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
	return "", errors.New("no initdb found: apt-get install postgresql, or set " + binEnv)
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// init creates the data folder, owned by whom the server runs as.
func (s *Server) init(ctx context.Context) error {
	if err := os.Mkdir(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("create the data folder: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", s.cfg.Dir, "-A", "trust", "-U", "postgres",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	cmd.Dir = s.cfg.Dir
	if err := disown(cmd); err != nil {
		return err
	}
	if owner := cmd.SysProcAttr; owner != nil {
		if err := os.Chown(s.cfg.Dir, int(owner.Credential.Uid), int(owner.Credential.Gid)); err != nil {
			return fmt.Errorf("create the data folder: %w", err)
		}
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, output)
	}
	return nil
}

// disown makes cmd, which has not been started yet, run as user postgres when
// we are root.
func disown(cmd *exec.Cmd) error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("Postgres does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return fmt.Errorf("read the id of user %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return fmt.Errorf("read the group of user %s: %w", u.Username, err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return nil
}
