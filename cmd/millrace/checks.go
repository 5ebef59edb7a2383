package main

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxIdentifier is NAMEDATALEN-1, at which Postgres cuts names off.
const maxIdentifier = 63

var (
	nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	slotForm = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)
)

func checkFilled(s string) error {
	if s == "" {
		return errors.New("must not be empty")
	}
	return nil
}

func checkName(s string) error {
	if !nameForm.MatchString(s) {
		return fmt.Errorf("%s is no name; use a-z, 0-9, _ and -, at most %d of them, and begin with a letter or digit", quoted(s), maxIdentifier)
	}
	return nil
}

func checkSlot(s string) error {
	if s != "" && !slotForm.MatchString(s) {
		return fmt.Errorf("%s is no slot name; use a-z, 0-9 and _, at most %d of them", quoted(s), maxIdentifier)
	}
	return nil
}

func checkPublication(s string) error {
	if len(s) > maxIdentifier || strings.ContainsRune(s, 0) {
		return fmt.Errorf("%s is longer than the %d bytes of a publication's name", quoted(s), maxIdentifier)
	}
	return nil
}

func checkOneOf(s string, allowed []string) error {
	if !slices.Contains(allowed, s) {
		return fmt.Errorf("%s is not known; use %s", quoted(s), oneOfText(allowed))
	}
	return nil
}

// oneOfText writes "a, b or c".
func oneOfText(allowed []string) string {
	last := len(allowed) - 1
	if last < 1 {
		return strings.Join(allowed, "")
	}
	return strings.Join(allowed[:last], ", ") + " or " + allowed[last]
}

// checkTemplate accepts text around {schema} and {table}.
func checkTemplate(s string) error {
	rest := strings.NewReplacer("{schema}", "", "{table}", "").Replace(s)
	if s == "" || strings.ContainsAny(rest, "{}") {
		return fmt.Errorf("%s is no template; write it of {schema}, {table} and text, like {schema}_{table}", quoted(s))
	}
	return nil
}

func checkListen(s string) error {
	if s == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
		return fmt.Errorf(`%s is no address; write it like 127.0.0.1:8090, or "" for none`, quoted(s))
	}
	return nil
}
