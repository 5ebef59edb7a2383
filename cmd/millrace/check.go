package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/pipeline"
	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/sink/clickhouse"
	"github.com/millrace/millrace/source"
)

func newCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Test configuration, privileges, settings and tables of both sides",
		Long: `Test everything that run needs and change nothing: a line for each finding, ok,
warn or FAIL, with the statement that mends it. The exit code is 1 if there is
a FAIL.`,
		Example: `  millrace check --config shop.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd, "source.dsn", "target.dsn")
			if err != nil {
				return err
			}
			return check(cmd.Context(), c, cmd.OutOrStdout())
		},
	}
	addConfigFlags(cmd)
	return cmd
}

func check(ctx context.Context, c *Config, w io.Writer) error {
	log := newLogger(c)
	src := newSource(c, noMemory{}, log)
	defer src.Close()
	findings := src.Check(ctx)
	target, closing, err := openTarget(ctx, c, log, 0)
	if err != nil {
		findings = append(findings, failure("target", err))
	} else {
		defer closing()
		findings = append(findings, checkTables(ctx, c, src, target)...)
	}
	failed := false
	for _, f := range findings {
		failed = failed || f.Level == source.Fail
		fmt.Fprintf(w, "%-4s  %s: %s\n", f.Level, f.Subject, strings.ReplaceAll(f.Text, "\n", "\n      "))
		if f.Fix != "" && f.Level != source.OK {
			fmt.Fprintf(w, "      fix: %s\n", f.Fix)
		}
	}
	if failed {
		return errChecksFailed
	}
	return nil
}

// checkTables plans all tables and holds the plans against the target.
func checkTables(ctx context.Context, c *Config, src source.Source, target *clickhouse.Target) []source.Finding {
	findings := []source.Finding{{Subject: "target", Text: "ClickHouse " + target.Version() + ", database " + target.Database()}}
	grants, err := target.CheckGrants(ctx)
	if err != nil {
		return append(findings, failure("target privileges", err))
	}
	findings = append(findings, grants...)
	tables, err := src.Tables(ctx)
	if err != nil {
		return findings // the source's own check has said so
	}
	plans, err := pipeline.Plans(tables, options(c), target)
	if err != nil {
		return append(findings, failures("configuration", err)...)
	}
	for _, plan := range plans {
		if plan == nil {
			continue
		}
		subject := "target table " + plan.Target
		exists, err := target.Check(ctx, plan)
		switch {
		case err != nil:
			findings = append(findings, failures(subject, err)...)
		case exists:
			findings = append(findings, source.Finding{Subject: subject, Text: "exists and takes the rows of " + plan.Source.String()})
		default:
			findings = append(findings, source.Finding{Subject: subject, Text: "will be created for " + plan.Source.String()})
		}
	}
	if err := target.CheckHosts(ctx, targets(plans)); err != nil {
		findings = append(findings, failure("target", err))
	}
	return findings
}

func targets(plans []*mapper.Plan) []string {
	var names []string
	for _, p := range plans {
		if p != nil {
			names = append(names, p.Target)
		}
	}
	return names
}

// failures takes joined errors apart.
func failures(subject string, err error) []source.Finding {
	var findings []source.Finding
	for _, e := range parts(err) {
		findings = append(findings, failure(subject, e))
	}
	return findings
}

func failure(subject string, err error) source.Finding {
	f := source.Finding{Level: source.Fail, Subject: subject, Text: err.Error()}
	var hinted *source.HintError
	if errors.As(err, &hinted) {
		f.Text, f.Fix = trimHint(err, hinted), hinted.Hint
	}
	return f
}
