package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

func newResyncCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "resync TABLE… | --all",
		Short: "Copy tables again at the next run",
		Long: `Mark tables to be copied again. No millrace may run on the state file meanwhile.
The next run empties their target tables, copies them and follows them on; the
other tables stream on from where they were, once the copy is done.

--all begins anew: every table is copied, and the position is forgotten. It is
the way out when the source no longer has the log that is missing.`,
		Example: `  millrace resync public.orders
  millrace resync --all --config shop.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return errors.New("resync takes the names of tables, like public.orders, or --all")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return resync(c, args, all, cmd.OutOrStdout())
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "copy every table again, from a new position")
	return cmd
}

func resync(c *Config, names []string, all bool, w io.Writer) error {
	store, err := openState(c)
	if errors.Is(err, position.ErrLocked) {
		return source.WithHint(err, "stop the millrace that runs, resync, and start it again")
	}
	if err != nil {
		return err
	}
	defer store.Close()
	tables, err := store.Tables()
	if err != nil {
		return err
	}
	known := slices.Sorted(maps.Keys(tables))
	for i, name := range names {
		if !strings.Contains(name, ".") {
			names[i] = defaultSchema + "." + name
		}
		if _, ok := tables[names[i]]; !ok {
			return usage(unknown("table", names[i], known))
		}
	}
	if err := store.Resync(names, all); err != nil {
		return err
	}
	if all {
		names = known
	}
	fmt.Fprintf(w, "to be copied again by the next run: %s\n", strings.Join(names, ", "))
	return nil
}
