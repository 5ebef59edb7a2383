package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/source"
)

// addConfigFlags gives a command the flags that loadConfig reads.
func addConfigFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.String("config", "", "configuration `FILE` (default "+defaultFile+", if there is one)")
	for i := range keys {
		if k := &keys[i]; k.flag != "" {
			f.Var(newFlagText(k), k.flag, flagUsage(k))
		}
	}
	f.StringArray("set", nil, "set any `KEY=VALUE` of the configuration, like flush.interval=500ms")
}

func flagUsage(k *key) string {
	usage := strings.TrimSuffix(k.doc, ".")
	if k.def != "" {
		usage += " (default " + k.def + ")"
	}
	return usage
}

// flagText is the text that a flag gives to a key, as it stands there; of a
// list that is given piece by piece, all of it.
type flagText struct {
	text        string
	placeholder string // for the text, in the help
	list        bool
}

func newFlagText(k *key) *flagText {
	placeholder := strings.ToUpper(k.name[strings.LastIndexByte(k.name, '.')+1:])
	return &flagText{placeholder: placeholder, list: k.kind.shape != scalar}
}

func (t *flagText) String() string { return t.text }
func (t *flagText) Type() string   { return t.placeholder }

func (t *flagText) Set(s string) error {
	if t.list && t.text != "" {
		s = t.text + "," + s
	}
	t.text = s
	return nil
}

// flags takes the values of flags and of --set, which are of one rank.
func (l *loader) flags(f *pflag.FlagSet) {
	for i := range keys {
		k := &keys[i]
		if flag := f.Lookup(k.flag); flag != nil && k.flag != "" {
			_ = l.viper.BindPFlag(k.name, flag) // fails without a flag only
			if flag.Changed {
				l.origin[k.name] = "--" + k.flag
			}
		}
	}
	sets, err := f.GetStringArray("set")
	if err != nil {
		return // a command without it
	}
	for _, set := range sets {
		name, value, ok := strings.Cut(set, "=")
		k := findKey(name)
		switch {
		case !ok:
			l.fail("", "--set", errors.New("is written --set KEY=VALUE, like --set flush.interval=500ms"))
		case k == nil:
			l.fail("", "--set", unknown("key", name, keyNames()))
		case strings.HasPrefix(l.origin[name], "--"):
			l.fail("", "--set", fmt.Errorf("%s is set by %s already", name, l.origin[name]))
		default:
			l.viper.Set(name, value)
			l.origin[name] = "--set"
		}
	}
}

// flagError turns pflag's errors into usage errors that do not repeat values:
// a DSN behind a mistyped flag holds a password.
func flagError(cmd *cobra.Command, err error) error {
	var (
		missing *pflag.NotExistError
		noValue *pflag.ValueRequiredError
	)
	switch {
	case errors.As(err, &missing) && missing.GetSpecifiedShortnames() != "":
		err = errors.New("unknown short flag; flags are written with two dashes")
	case errors.As(err, &missing):
		err = unknownFlag(cmd, missing.GetSpecifiedName())
	case errors.As(err, &noValue):
		err = fmt.Errorf("--%s needs a value", noValue.GetSpecifiedName())
	default:
		var invalid *pflag.InvalidValueError
		if !errors.As(err, &invalid) {
			err = errors.New("a flag is malformed; write it like --name VALUE")
		} else {
			err = fmt.Errorf("--%s: %s is no %s", invalid.GetFlag().Name, quoted(invalid.GetValue()), invalid.GetFlag().Value.Type())
		}
	}
	return usage(source.WithHint(err, "see '"+cmd.CommandPath()+" --help'"))
}

func unknownFlag(cmd *cobra.Command, name string) error {
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if !plainName.MatchString(name) {
		return errors.New("unknown flag")
	}
	if n := nearest(name, known); n != "" {
		return fmt.Errorf("unknown flag --%s; did you mean --%s?", name, n)
	}
	return fmt.Errorf("unknown flag --%s", name)
}
