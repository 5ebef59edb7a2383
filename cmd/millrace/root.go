package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/source"
)

const rootLong = `millrace copies tables from Postgres into ClickHouse: a snapshot first, then every
change, for as long as it runs. It needs a source, a target and a file of its own:

  millrace run --source postgres://cdc:secret@127.0.0.1:5432/shop \
               --target clickhouse://default:@127.0.0.1:9000/shop

Everything can be set in a YAML file (millrace.yaml in the working directory, or
--config FILE), by environment variables and by flags; later ones win. The key
source.dsn is MILLRACE_SOURCE_DSN in the environment, MILLRACE_SOURCE_DSN_FILE names
a file that holds it, and --set source.dsn=… is its flag.

Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration.`

const rootExample = `  millrace check --config shop.yaml              what is missing, and the statement that mends it
  millrace plan --tables 'public.*'              the tables that run would create
  millrace run --once --set flush.interval=2s    copy, catch up, and end
  MILLRACE_SOURCE_DSN_FILE=/run/secrets/source millrace run`

// newRootCommand returns the command line with all its commands.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:                   "millrace",
		DisableFlagsInUseLine: true,
		Short:                 "Replicate tables from Postgres into ClickHouse",
		Long:                  rootLong,
		Example:               rootExample,
		Version:               versionText(),
		Args:                  cobra.ArbitraryArgs,
		RunE:                  runRoot,
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableAutoGenTag:     true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newRunCommand(),
		newCheckCommand(),
		newPlanCommand(),
		newStatusCommand(),
		newResyncCommand(),
		newTeardownCommand(),
		newClickHouseCommand(),
		newVersionCommand(),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	checkArguments(root)
	return root
}

// runRoot is what runs when the first word is no command.
func runRoot(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	return usage(source.WithHint(unknown("command", args[0], known), "see 'millrace --help'"))
}

// checkArguments makes every command refuse arguments that it does not ask for,
// with a usage error that does not repeat them: one may be a DSN.
func checkArguments(parent *cobra.Command) {
	for _, c := range parent.Commands() {
		checkArguments(c)
		if c.Name() == "help" {
			continue
		}
		if check := c.Args; check != nil && parent.Name() != "completion" { // whose check repeats them
			c.Args = func(cmd *cobra.Command, args []string) error { return usage(check(cmd, args)) }
		} else {
			c.Args = noArguments
		}
	}
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := errors.New("takes no arguments; values belong to flags, like --source DSN")
	return usage(source.WithHint(fmt.Errorf("%s: %w", cmd.CommandPath(), err), "see '"+cmd.CommandPath()+" --help'"))
}
