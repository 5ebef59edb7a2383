package clickhouse

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/sink"
)

// virtualColumns are what MergeTree tables have beside their own columns. The
// server refuses the first three as names; the others it would let a column
// hide from its own queries. Source: manual, "MergeTree", Virtual columns.
var virtualColumns = []string{
	"_row_exists", "_block_number", "_block_offset",
	"_part", "_part_index", "_part_starting_offset", "_part_offset", "_part_granule_offset",
	"_part_uuid", "_part_data_version", "_partition_id", "_partition_value",
	"_sample_factor", "_disk_name", "_distance", "_table", "_database",
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// CheckNames refuses names of a plan that clash with millrace's own columns,
// with each other, or with what ClickHouse reserves. Its error lists all of
// them, with the setting that gives the column another name.
func CheckNames(p *mapper.Plan) error {
	var problems []error
	if p.Target == "" {
		problems = append(problems, fmt.Errorf("table %s has no target name: set target in its entry under tables", p.Source))
	}
	if p.Target == sink.DeadLetters {
		problems = append(problems, fmt.Errorf("table %s would go to %s, which is millrace's own: set target in its entry under tables", p.Source, p.Target))
	}
	seen := map[string]bool{}
	for _, m := range p.Metadata {
		seen[m.Column()] = true
	}
	for _, f := range p.Columns {
		reason := nameProblem(f.Name)
		if reason == "" && seen[f.Name] {
			reason = "stands twice in the target"
		}
		seen[f.Name] = true
		if reason != "" {
			problems = append(problems, fmt.Errorf("column %q of table %s %s: give it another name with rename, tables: [{name: %s, columns: [{name: %s, rename: …}]}]",
				f.Name, p.Source, reason, p.Source, p.Source.Columns[f.From].Name))
		}
	}
	for name := range p.Settings {
		if !settingName.MatchString(name) {
			problems = append(problems, fmt.Errorf("%q under target.settings is not the name of a setting", name))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &sink.TableError{Table: p.Target, Err: errors.Join(problems...)}
}

func nameProblem(name string) string {
	switch {
	case name == "":
		return "has an empty name in the target"
	case name == mapper.VersionColumn, name == mapper.IsDeletedColumn:
		return "has the name of a column that millrace adds"
	case slices.Contains(virtualColumns, name):
		return "has a name that ClickHouse reserves"
	case strings.Contains(name, "."):
		return "has a dot in its name, which ClickHouse reads as a nested column"
	}
	return ""
}
