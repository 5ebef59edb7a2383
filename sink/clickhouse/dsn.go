package clickhouse

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A DSN says where a target database is and how to reach it:
//
//	clickhouse://user:password@host:9000,other:9000/database?secure=true
//	https://user:password@host:8443/database
//
// User, password and database are percent-encoded where they hold special
// characters. Parameters are secure (TLS), skip_verify (trust any
// certificate), ca_file (PEM file of the authority to trust), compress (lz4,
// zstd or none; default lz4, and none to this machine) and dial_timeout (10s).
// Any other parameter is a setting that is sent with every query.
type DSN struct {
	HTTP        bool     // HTTP instead of the native protocol
	Hosts       []string // host:port
	User        string
	Database    string
	Secure      bool
	SkipVerify  bool
	CAFile      string
	Compress    string
	DialTimeout time.Duration
	Settings    map[string]string

	password string
}

// GoString returns the DSN without its password.
func (d DSN) GoString() string { return d.String() }

// String returns the DSN without its password.
func (d DSN) String() string {
	scheme := "clickhouse"
	if d.HTTP {
		scheme = "http"
		if d.Secure {
			scheme = "https"
		}
	}
	return scheme + "://" + url.PathEscape(d.User) + "@" + strings.Join(d.Hosts, ",") +
		"/" + url.PathEscape(d.Database)
}

// ParseDSN reads a DSN. Its errors never hold the password.
func ParseDSN(s string) (*DSN, error) {
	d := &DSN{User: "default", DialTimeout: 10 * time.Second, Settings: map[string]string{}}
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		return nil, errors.New("the target's DSN has no scheme: write clickhouse://user:password@host:9000/database")
	}
	switch scheme {
	case "clickhouse", "tcp":
	case "http":
		d.HTTP = true
	case "https":
		d.HTTP, d.Secure = true, true
	default:
		return nil, fmt.Errorf("the target's DSN has the scheme %q: it is clickhouse, http or https", scheme)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	if strings.Contains(tail, "#") || strings.Contains(tail, "@") && !strings.Contains(authority, "@") {
		return nil, errors.New("the target's DSN has a special character in its password or user: write / as %2F, ? as %3F, # as %23, @ as %40")
	}
	path, query, _ := strings.Cut(tail, "?")
	if err := d.parseUser(&authority); err != nil {
		return nil, err
	}
	if err := d.parseDatabase(path); err != nil {
		return nil, err
	}
	if err := d.parseParams(query); err != nil {
		return nil, err
	}
	if err := d.parseHosts(authority); err != nil { // the default port depends on secure
		return nil, err
	}
	if d.Compress == "" {
		d.Compress = d.defaultCompress()
	}
	return d, nil
}

// defaultCompress spares the loopback interface, which is faster than LZ4.
func (d *DSN) defaultCompress() string {
	for _, addr := range d.Hosts {
		host, _, _ := net.SplitHostPort(addr) // address joined it
		if ip := net.ParseIP(host); host != "localhost" && !ip.IsLoopback() {
			return "lz4"
		}
	}
	return "none"
}

func (d *DSN) parseUser(authority *string) error {
	at := strings.LastIndexByte(*authority, '@')
	if at < 0 {
		return nil
	}
	user, password, _ := strings.Cut((*authority)[:at], ":")
	*authority = (*authority)[at+1:]
	user, err := url.PathUnescape(user)
	if err != nil {
		return errors.New("the user in the target's DSN is not percent-encoded: write % as %25")
	}
	if user != "" {
		d.User = user
	}
	if password, err = url.PathUnescape(password); err != nil {
		return errors.New("the password in the target's DSN is not percent-encoded: write % as %25")
	}
	d.password = password
	return nil
}

func (d *DSN) parseDatabase(path string) error {
	name, err := url.PathUnescape(strings.Trim(path, "/"))
	if err != nil {
		return errors.New("the database in the target's DSN is not percent-encoded: write % as %25")
	}
	d.Database = name
	if name == "" {
		d.Database = "default"
	}
	return nil
}

func (d *DSN) parseParams(query string) error {
	params, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the parameters of the target's DSN are not percent-encoded: write % as %25, ; as %3B")
	}
	for key, values := range params {
		value := values[len(values)-1]
		switch key {
		case "secure":
			d.Secure, err = parseFlag(value)
		case "skip_verify":
			d.SkipVerify, err = parseFlag(value)
		case "ca_file":
			d.CAFile = value
		case "compress":
			d.Compress, err = parseCompress(value)
		case "dial_timeout":
			if d.DialTimeout, err = time.ParseDuration(value); err == nil && d.DialTimeout <= 0 {
				err = errors.New("it must be positive")
			}
		case "user", "username":
			d.User = value
		case "password":
			d.password = value
		case "database":
			d.Database = value
		default:
			d.Settings[key] = value
		}
		if err != nil {
			return fmt.Errorf("parameter %s of the target's DSN: %w", key, err)
		}
	}
	return nil
}

// parseFlag reads a boolean parameter; a bare name is true.
func parseFlag(s string) (bool, error) {
	if s == "" {
		return true, nil
	}
	v, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	return v, nil
}

func parseCompress(s string) (string, error) {
	switch s {
	case "lz4", "zstd", "none":
		return s, nil
	case "", "true", "1":
		return "lz4", nil
	case "false", "0":
		return "none", nil
	}
	return "", fmt.Errorf("%q is not lz4, zstd or none", s)
}

func (d *DSN) parseHosts(list string) error {
	for host := range strings.SplitSeq(list, ",") {
		addr, err := d.address(host)
		if err != nil {
			return err
		}
		if !slices.Contains(d.Hosts, addr) {
			d.Hosts = append(d.Hosts, addr)
		}
	}
	return nil
}

// address completes a host with the protocol's port.
func (d *DSN) address(host string) (string, error) {
	port := map[[2]bool]string{ // by HTTP, TLS
		{false, false}: "9000", {false, true}: "9440",
		{true, false}: "8123", {true, true}: "8443",
	}[[2]bool{d.HTTP, d.Secure}]
	name := host
	switch {
	case strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]"):
		name = host[1 : len(host)-1]
	case strings.Contains(host, ":"):
		var err error
		if name, port, err = net.SplitHostPort(host); err != nil {
			return "", fmt.Errorf("host %q in the target's DSN: write host:port, and an IPv6 address in brackets", host)
		}
	}
	if name == "" {
		return "", errors.New("the target's DSN names no host")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("host %q in the target's DSN: %q is not a port", host, port)
	}
	return net.JoinHostPort(name, port), nil
}

// tlsConfig returns nil when the connection is not to be encrypted.
func (d *DSN) tlsConfig() (*tls.Config, error) {
	if !d.Secure {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: d.SkipVerify}
	if d.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(d.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s holds no PEM certificate", d.CAFile)
	}
	return c, nil
}
