package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/pipeline"
	"github.com/millrace/millrace/mapper"
)

func newPlanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Print the tables that run would create, and which type becomes which",
		Long: `Print, for each selected table, how its columns are mapped and the CREATE TABLE
that run would send to ClickHouse. Nothing is changed. A table that cannot be
replicated is named with the reason.`,
		Example: `  millrace plan --source "$PG" --target "$CH" --tables public.orders`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd, "source.dsn", "target.dsn")
			if err != nil {
				return err
			}
			return plan(cmd.Context(), c, cmd.OutOrStdout())
		},
	}
	addConfigFlags(cmd)
	return cmd
}

func plan(ctx context.Context, c *Config, w io.Writer) error {
	log := newLogger(c)
	src := newSource(c, noMemory{}, log)
	defer src.Close()
	tables, err := src.Tables(ctx)
	if err != nil {
		return err
	}
	target, closing, err := openTarget(ctx, c, log, 0)
	if err != nil {
		return err
	}
	defer closing()
	plans, err := pipeline.Plans(tables, options(c), target)
	if err != nil {
		return err
	}
	for i, t := range tables {
		fmt.Fprintf(w, "-- %s\n", t)
		for _, note := range t.Notes {
			fmt.Fprintf(w, "-- note: %s\n", note)
		}
		if t.Problem != nil {
			fmt.Fprintf(w, "-- cannot be replicated: %v\n\n", t.Problem)
			continue
		}
		if err := writeMapping(w, plans[i]); err != nil {
			return err
		}
		ddl, err := target.DDL(ctx, plans[i])
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s;\n\n", ddl)
	}
	return nil
}

// writeMapping writes the type mapping as comments.
func writeMapping(w io.Writer, p *mapper.Plan) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range p.Columns {
		from := &p.Source.Columns[f.From]
		fmt.Fprintf(tw, "--   %s\t%s\t→ %s\n", from.Name, from.Native, f.Type)
	}
	return tw.Flush()
}
