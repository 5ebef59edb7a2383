package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"

	"github.com/millrace/millrace/source"
)

// defaultFile is read when it is in the working directory and --config is not given.
const defaultFile = "millrace.yaml"

// defaultSchema holds the tables that are meant when no schema is named.
const defaultSchema = "public"

// Config is everything that a user can set. Each field is filled from the key
// of the same name in the table of keys, and is valid.
type Config struct {
	Name   string
	Source struct {
		DSN         string // "" where the command needs none
		Slot        string
		Publication string
		ServerID    uint32 // never 0
	}
	Tables []TableConfig
	Target struct {
		DSN       string // "" where the command needs none
		TableName string // template with {schema} and {table}
		Settings  map[string]string
		Metadata  []string // of commit_time, position
	}
	State    string // path of the bbolt file
	Snapshot struct {
		Workers   int
		ChunkRows int
	}
	Flush struct {
		Rows     int
		Bytes    int64
		Interval time.Duration
	}
	Memory int64 // bytes
	HTTP   struct {
		Listen string // host:port, or "" for none
	}
	Log struct {
		Level  string // debug, info, warn or error
		Format string // text or json
	}
	ValuePolicy string // clamp or fail

	// entries are the file's entries with settings. They hold for their tables
	// also when the environment or a flag says which tables are selected: an
	// excluded column stays excluded.
	entries []TableConfig
}

// Selection says which tables are replicated.
func (c *Config) Selection() source.Selection {
	s := source.Selection{Default: defaultSchema}
	for _, t := range c.Tables {
		s.Patterns = append(s.Patterns, t.Pattern)
	}
	return s
}

// Table returns the settings of a source table, or nil when it has none.
func (c *Config) Table(schema, name string) *TableConfig {
	for i := range c.entries {
		if t := &c.entries[i]; *t.Name == (source.Name{Schema: schema, Table: name}) {
			return t
		}
	}
	return nil
}

// require returns a usage error for the keys among names that have no value.
func (c *Config) require(names []string) error {
	values := map[string]string{"source.dsn": c.Source.DSN, "target.dsn": c.Target.DSN}
	var missing []error
	for _, name := range names {
		if values[name] == "" {
			k := findKey(name)
			missing = append(missing, source.WithHint(fmt.Errorf("%s is not set", name),
				fmt.Sprintf("set it by --%s, by %s, by a file named in %s_FILE, or in %s", k.flag, k.env(), k.env(), defaultFile)))
		}
	}
	return usage(errors.Join(missing...))
}

// derive fills what follows from the pipeline's name.
func (c *Config) derive() {
	identifier := strings.ReplaceAll(c.Name, "-", "_")
	if c.Source.Slot == "" {
		c.Source.Slot = identifier
	}
	if c.Source.Publication == "" {
		c.Source.Publication = identifier
	}
	if c.Source.ServerID == 0 {
		h := fnv.New32a()
		h.Write([]byte(c.Name))
		c.Source.ServerID = max(1, h.Sum32())
	}
}

// loadConfig reads the configuration of a command that has the flags of
// addConfigFlags: file, then environment, then flags, later ones winning. The
// error is a usage error that names every fault found, or the required keys
// that have no value.
func loadConfig(cmd *cobra.Command, required ...string) (*Config, error) {
	l := loader{viper: viper.New(), origin: map[string]string{}}
	l.defaults()
	l.file(cmd)
	l.environment(os.Environ())
	l.flags(cmd.Flags())

	c := new(Config)
	for _, k := range keys {
		if err := k.kind.set(c, l.viper.Get(k.name)); err != nil {
			l.fail(l.origin[k.name], k.name, err)
		}
	}
	if len(l.faults) > 0 {
		return nil, usage(errors.Join(l.faults...))
	}
	c.entries = l.entries
	c.derive()
	return c, c.require(required)
}

// A loader gathers values in viper, which knows what outranks what.
type loader struct {
	viper   *viper.Viper
	origin  map[string]string // key → where the value that wins stands
	entries []TableConfig     // the file's, with settings
	faults  []error
}

// fail notes what is wrong at a place ("" for none that is worth naming).
func (l *loader) fail(where, key string, err error) {
	switch {
	case where == "":
		err = fmt.Errorf("%s: %w", key, err)
	case key == "":
		err = fmt.Errorf("%s: %w", where, err)
	default:
		err = fmt.Errorf("%s: %s: %w", where, key, err)
	}
	l.faults = append(l.faults, err)
}

func (l *loader) defaults() {
	l.viper.AllowEmptyEnv(true) // http.listen: "" says something
	for _, k := range keys {
		if k.kind.shape == scalar {
			l.viper.SetDefault(k.name, k.def)
		}
	}
}

// merge puts a value above the file's and below the flags'.
func (l *loader) merge(key string, value any, where string) {
	nested := map[string]any{}
	if section, name, ok := strings.Cut(key, "."); ok {
		nested[section] = map[string]any{name: value}
	} else {
		nested[key] = value
	}
	if err := l.viper.MergeConfigMap(nested); err != nil {
		l.fail(where, key, err)
		return
	}
	l.origin[key] = where
}

func (l *loader) file(cmd *cobra.Command) {
	path := defaultFile
	if f := cmd.Flags().Lookup("config"); f != nil && f.Changed {
		path = f.Value.String()
	} else if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return
	}
	text, err := readFile(path)
	if err != nil {
		l.fail("", "--config", err)
		return
	}
	values, faults := parseFile(path, text)
	for _, v := range values {
		l.merge(v.key, v.value, v.where)
		if list, ok := v.value.([]TableConfig); ok {
			l.entries = slices.DeleteFunc(slices.Clone(list), func(t TableConfig) bool { return t.Name == nil })
		}
	}
	l.faults = append(l.faults, faults...)
}
