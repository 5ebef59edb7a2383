package main

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// embeddedScheme begins a target that is a directory.
const embeddedScheme = "embedded:"

// The parts of a DSN. A host's port is digits: anything else behind a colon
// may be the end of a password.
const (
	userForm  = `[A-Za-z0-9._~%!$&'()*+;=-]*`
	passForm  = `[A-Za-z0-9._~%!$&'()*+,;=:-]*`
	hostForm  = `(?:[\pL\pN_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?`
	hostsForm = `(?:` + hostForm + `(?:,` + hostForm + `)*)?`
)

var (
	schemeForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]{0,15})://`)

	// dsnForm is a DSN that everyone takes apart in the same way.
	dsnForm = regexp.MustCompile(`^[a-z]+://(?:(` + userForm + `(?::` + passForm + `)?)@)?` + hostsForm + `(/[^@?#]*)?(?:\?([^#]*))?$`)

	// shownForm also takes passwords that should have been escaped: all up to
	// the last @ may belong to one.
	shownForm = regexp.MustCompile(`^([a-z]+://)(?:(` + userForm + `)(:.*)?@)?(` + hostsForm + `(?:/[\pL\pN_.$-]*)?)(\?.*)?$`)

	// secretive text may be a DSN, in whatever notation.
	secretive = regexp.MustCompile(`(?i)://|passw|@.*:|:.*@`)
)

// redact returns a DSN without its password and its parameters. Of one that is
// malformed it shows no more than the scheme. It is the only way for a DSN to
// get into a message; parsers' own errors quote what they could not parse.
func redact(dsn string) string {
	if strings.HasPrefix(dsn, embeddedScheme) {
		return dsn
	}
	m := shownForm.FindStringSubmatch(dsn)
	if m == nil {
		return schemeForm.FindString(dsn) + "***"
	}
	scheme, user, password, place, parameters := m[1], m[2], m[3], m[4], m[5]
	if password != "" {
		user += ":***"
	}
	if user != "" {
		user += "@"
	}
	if parameters != "" {
		parameters = "?***"
	}
	return scheme + user + place + parameters
}

// quoted shows a value that should have been another, unless it may be a DSN
// that got under the wrong key.
func quoted(value string) string {
	if secretive.MatchString(value) {
		return "the value"
	}
	return strconv.Quote(value)
}

func checkSource(dsn string) error {
	if dsn == "" {
		return nil
	}
	switch scheme(dsn) {
	case "postgres", "postgresql":
		return checkForm(dsn)
	case "mysql", "mariadb":
		return errors.New("this version does not replicate from MySQL or MariaDB yet; use a postgres:// source")
	case "":
		return errors.New("has no scheme; write it like postgres://USER:PASSWORD@HOST:5432/DATABASE")
	default:
		return fmt.Errorf("scheme %q is not known; use postgres://", scheme(dsn))
	}
}

func checkTarget(dsn string) error {
	if dsn == "" {
		return nil
	}
	if dir, ok := strings.CutPrefix(dsn, embeddedScheme); ok {
		if dir == "" {
			return errors.New("embedded: needs a directory; write it like embedded:./clickhouse")
		}
		return nil
	}
	switch scheme(dsn) {
	case "clickhouse", "http", "https":
		return checkForm(dsn)
	case "":
		return errors.New("has no scheme; write it like clickhouse://USER:PASSWORD@HOST:9000/DATABASE, or embedded:DIR")
	default:
		return fmt.Errorf("scheme %q is not known; use clickhouse://, http:// or https://, or embedded:DIR", scheme(dsn))
	}
}

func scheme(dsn string) string {
	return strings.TrimSuffix(schemeForm.FindString(dsn), "://")
}

// checkForm says of a malformed DSN what is most often wrong with it, rather
// than what a parser stumbled over: that would be a part of the password.
func checkForm(dsn string) error {
	m := dsnForm.FindStringSubmatch(dsn)
	if m != nil {
		_, user := url.PathUnescape(m[1])
		_, database := url.PathUnescape(m[2])
		_, parameters := url.ParseQuery(m[3])
		if user == nil && database == nil && parameters == nil {
			return nil
		}
	}
	return fmt.Errorf("%s is malformed; write it like %s://USER:PASSWORD@HOST:PORT/DATABASE, "+
		"and in user and password %%40 for @, %%2F for /, %%3F for ?, %%23 for # and %%25 for %%", redact(dsn), scheme(dsn))
}
