package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/sink"
)

// probes are the types that not every supported server has, with a query that
// uses the type and the settings under which releases allowed it.
var probes = map[string]struct {
	query    string
	settings []string
}{
	"Time64": {"SELECT toTypeName(CAST(NULL AS Nullable(Time64(6))))", []string{"enable_time_time64_type"}},
	"JSON":   {"SELECT toTypeName(CAST('{}' AS JSON))", []string{"enable_json_type", "allow_experimental_json_type"}},
}

// Has reports whether the server has a type: "Time64" (since 25.6) or "JSON"
// (since 24.8). It was asked when the target was opened.
func (t *Target) Has(typ string) bool {
	_, ok := t.types[typ]
	return ok
}

// probeTypes asks the server for each type, first without a setting.
func (t *Target) probeTypes(ctx context.Context) error {
	t.types = map[string][]proto.Setting{}
	for typ, p := range probes {
		for _, name := range append([]string{""}, p.settings...) {
			var settings []proto.Setting
			if name != "" {
				settings = []proto.Setting{{Key: name, Value: "1", Important: true}}
			}
			err := t.exec(ctx, "", p.query, settings...)
			if err == nil {
				t.types[typ] = settings
				break
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if again := new(sink.RetryError); errors.As(err, &again) {
				return fmt.Errorf("ask ClickHouse for the type %s: %w", typ, err)
			}
		}
	}
	return nil
}

// typeSettings are the settings that a statement about these types needs.
func (t *Target) typeSettings(types []string) []proto.Setting {
	var settings []proto.Setting
	for typ, s := range t.types {
		for _, used := range types {
			if strings.Contains(used, typ) {
				settings = append(settings, s...)
				break
			}
		}
	}
	return settings
}
