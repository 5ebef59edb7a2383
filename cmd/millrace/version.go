package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and commit are set by -ldflags "-X main.version=… -X main.commit=…"
// where they are known better than the Go tool knows them.
var version, commit string

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionText())
			return err
		},
	}
}

// versionText is "millrace v1.2.3 (commit 0123456789ab, go1.26.0 linux/amd64)".
func versionText() string {
	v, c := version, commit
	if info, ok := debug.ReadBuildInfo(); ok {
		v, c = buildVersion(info, v, c)
	}
	if v == "" {
		v = "(devel)"
	}
	if c == "" {
		c = "unknown"
	}
	return fmt.Sprintf("millrace %s (commit %s, %s %s/%s)", v, c, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildVersion fills what is empty with what the Go tool has recorded.
func buildVersion(info *debug.BuildInfo, version, commit string) (v, c string) {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if version == "" {
		version = info.Main.Version
	}
	if commit == "" {
		commit = settings["vcs.revision"]
		commit = commit[:min(len(commit), 12)]
		if commit != "" && settings["vcs.modified"] == "true" {
			commit += ", modified"
		}
	}
	return version, commit
}
