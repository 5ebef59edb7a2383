package main

import (
	"bytes"
	"log/slog"
	"runtime/debug"
	"strings"
	"testing"
)

// millrace runs a command line and returns what it wrote to stdout.
func millrace(args ...string) (string, error) {
	var out bytes.Buffer
	root := newRootCommand()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.Execute()
	return out.String(), err
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args string
		out  string // contained
		err  string // begun with; a usage error
	}{
		{"", "Usage:", ""},
		{"--help", "Exit codes: 0 done, 1 failed while running, 2 wrong usage", ""},
		{"version", versionText(), ""},
		{"--version", versionText(), ""},
		{"completion zsh --help", "autocompletion script for the zsh shell", ""},
		{"verzion", "", "unknown command verzion; did you mean version?; see 'millrace --help'"},
		{"frobnicate", "", "unknown command frobnicate; there are "},
		{"version now", "", "millrace version: takes no arguments; values belong to flags, like --source DSN; see 'millrace version --help'"},
		{"completion bash now", "", "millrace completion bash: takes no arguments"},
		{"version --vv", "", "unknown flag --vv; see 'millrace version --help'"},
	} {
		out, err := millrace(strings.Fields(c.args)...)
		switch {
		case c.err == "" && (err != nil || !strings.Contains(out, c.out)):
			t.Errorf("millrace %s: %v, %q; want %q", c.args, err, out, c.out)
		case c.err != "" && (err == nil || !strings.HasPrefix(err.Error(), c.err) || exitCode(err) != exitUsage):
			t.Errorf("millrace %s: %v; want the usage error %s", c.args, err, c.err)
		}
	}
}

func TestBuildVersion(t *testing.T) {
	info := &debug.BuildInfo{
		Main: debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "true"},
		},
	}
	if v, c := buildVersion(info, "", ""); v != "v1.2.3" || c != "0123456789ab, modified" {
		t.Errorf("recorded: %q %q", v, c)
	}
	if v, c := buildVersion(info, "v2", "abc"); v != "v2" || c != "abc" {
		t.Errorf("linked in: %q %q", v, c)
	}
	if v, c := buildVersion(&debug.BuildInfo{}, "", ""); v != "" || c != "" {
		t.Errorf("nothing known: %q %q", v, c)
	}
}

func TestLogger(t *testing.T) {
	c := new(Config)
	c.Log.Level, c.Log.Format = "warn", "json"
	var b bytes.Buffer
	l := loggerTo(&b, c)
	l.Info("unheard")
	l.Warn("heard", "table", "public.orders")
	if got := b.String(); strings.Contains(got, "unheard") || !strings.Contains(got, `"msg":"heard","table":"public.orders"}`) {
		t.Errorf("json at warn: %s", got)
	}
	b.Reset()
	c.Log.Level, c.Log.Format = "debug", "text"
	l = loggerTo(&b, c)
	l.Debug("heard")
	if got := b.String(); !strings.Contains(got, "level=DEBUG msg=heard") || !l.Enabled(t.Context(), slog.LevelDebug) {
		t.Errorf("text at debug: %s", got)
	}
}
