package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// fileSuffix makes an environment variable name a file that holds the value.
const fileSuffix = "_FILE"

// maxValueFile bounds what is read of such a file.
const maxValueFile = 64 << 10

// foreignEnv are variables that others set: Kubernetes for a service that is
// called millrace, and this project's tests.
var foreignEnv = regexp.MustCompile(`^MILLRACE_(SERVICE_(HOST|PORT)|PORT$|PORT_[0-9]+_(TCP|UDP)|TEST_|SEAM$)`)

// environment takes the values of variables, and refuses those that look like
// millrace's and are not.
func (l *loader) environment(environ []string) {
	names := make([]string, 0, len(keys))
	for i := range keys {
		k := &keys[i]
		names = append(names, k.env())
		_ = l.viper.BindEnv(k.name, k.env()) // fails without a key only
	}
	for _, assignment := range environ {
		name, value, _ := strings.Cut(assignment, "=")
		if !strings.HasPrefix(name, envPrefix) || foreignEnv.MatchString(name) {
			continue
		}
		plain, isFile := strings.CutSuffix(name, fileSuffix)
		i := slices.Index(names, plain)
		switch {
		case i < 0:
			l.faults = append(l.faults, unknownEnv(name, names))
		case !isFile:
			l.origin[keys[i].name] = name
		case isSet(environ, plain):
			l.fail("", name, fmt.Errorf("%s is set as well; keep one of them", plain))
		default:
			l.valueFile(name, value, keys[i].name)
		}
	}
}

func isSet(environ []string, name string) bool {
	return slices.ContainsFunc(environ, func(s string) bool { return strings.HasPrefix(s, name+"=") })
}

// valueFile takes a key's value from a file, without the newline that editors
// leave at its end.
func (l *loader) valueFile(variable, path, key string) {
	b, err := readFile(path)
	switch {
	case err != nil:
		l.fail("", variable, err)
	case len(b) > maxValueFile || !utf8.Valid(b) || slices.Contains(b, 0):
		l.fail("", variable, fmt.Errorf("%s holds no text; the variable names a file that holds the value of %s", quoted(path), key))
	default:
		value := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
		l.merge(key, value, variable)
	}
}

// readFile reads a file that a user has named. Its error does not repeat a DSN
// that stands where a name should.
func readFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = fmt.Errorf("read %s: %w", quoted(path), cause.Err)
	}
	return b, err
}

func unknownEnv(name string, known []string) error {
	if !plainName.MatchString(name) {
		return errors.New("the environment has a variable that begins with " + envPrefix + " and is no name")
	}
	bare := make([]string, len(known))
	for i, k := range known {
		bare[i] = strings.ToLower(strings.TrimPrefix(k, envPrefix))
	}
	plain, isFile := strings.CutSuffix(name, fileSuffix)
	n := nearest(strings.TrimPrefix(plain, envPrefix), bare)
	if n == "" {
		return fmt.Errorf("unknown environment variable %s; a key like source.dsn is %sSOURCE_DSN", name, envPrefix)
	}
	n = envPrefix + strings.ToUpper(n)
	if isFile {
		n += fileSuffix
	}
	return fmt.Errorf("unknown environment variable %s; did you mean %s?", name, n)
}
