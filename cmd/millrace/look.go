package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/web"
)

func newStatusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the running pipeline does: a line for each table",
		Long: `Ask the running millrace, by its http.listen, for the state of its tables, their
rows and how far it is behind the source.`,
		Example: `  millrace status
  millrace status --json | jq '.tables[] | select(.state == "failed")'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			s, err := web.Fetch(cmd.Context(), c.HTTP.Listen)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), s)
			}
			return s.WriteTable(cmd.OutOrStdout())
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what /status serves")
	return cmd
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func newTeardownCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "teardown",
		Short: "Drop what run made on the source: slot and publication",
		Long: `Drop the replication slot, and the publication if it is millrace's own, so that
the source no longer keeps its log for this pipeline. The target tables and the
state file stay. They can only be used again by copying everything again, with
resync --all.`,
		Example: `  millrace teardown --config shop.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd, "source.dsn")
			if err != nil {
				return err
			}
			src := newSource(c, noMemory{}, newLogger(c))
			defer src.Close()
			if err := src.Teardown(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "slot %s is gone, and publication %s if it was millrace's own; to copy everything again, run `millrace resync --all` before the next run\n",
				c.Source.Slot, c.Source.Publication)
			return nil
		},
	}
	addConfigFlags(cmd)
	return cmd
}

// errChecksFailed ends check with exit code 1; what failed has been printed.
var errChecksFailed = errors.New("some checks failed")
