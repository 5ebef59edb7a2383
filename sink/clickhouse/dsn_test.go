package clickhouse

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testenv"
)

func TestParseDSN(t *testing.T) {
	for _, c := range []struct {
		dsn, text, password string
	}{
		{"clickhouse://u:p@h:1/d", "clickhouse://u@h:1/d", "p"},
		{"clickhouse://h", "clickhouse://default@h:9000/default", ""},
		{"tcp://h/", "clickhouse://default@h:9000/default", ""},
		{"clickhouse://default:@h/d", "clickhouse://default@h:9000/d", ""},
		{"clickhouse://u:p@h/d?secure=true", "clickhouse://u@h:9440/d", "p"},
		{"clickhouse://u:p@h/d?secure", "clickhouse://u@h:9440/d", "p"},
		{"http://h/d", "http://default@h:8123/d", ""},
		{"https://h/d", "https://default@h:8443/d", ""},
		{"http://h/d?secure=1", "https://default@h:8443/d", ""},
		{"clickhouse://u:p@a:1,b,[::1]:2,[::2],a:1/d", "clickhouse://u@a:1,b:9000,[::1]:2,[::2]:9000/d", "p"},
		{"clickhouse://u%40x:p%40%3A%2F%3F%23%25@h/d%2Fe", "clickhouse://u@x@h:9000/d%2Fe", "p@:/?#%"},
		{"clickhouse://u:p:q@r@h/d", "clickhouse://u@h:9000/d", "p:q@r"},
		{"clickhouse://h?user=u&password=p%26&database=d", "clickhouse://u@h:9000/d", "p&"},
	} {
		d, err := ParseDSN(c.dsn)
		if err != nil {
			t.Errorf("%s: %v", c.dsn, err)
			continue
		}
		if text, _ := url.PathUnescape(d.String()); d.String() != c.text && text != c.text || d.password != c.password {
			t.Errorf("%s: %s with password %q, want %s with %q", c.dsn, d, d.password, c.text, c.password)
		}
	}
}

func TestParseDSNParameters(t *testing.T) {
	d, err := ParseDSN("clickhouse://h/d?compress=none&dial_timeout=3s&skip_verify=true&insert_quorum=2")
	if err != nil {
		t.Fatal(err)
	}
	if d.Compress != "none" || d.DialTimeout != 3*time.Second || !d.SkipVerify || d.Settings["insert_quorum"] != "2" || len(d.Settings) != 1 {
		t.Errorf("%+v", d)
	}
}

func TestDefaultCompression(t *testing.T) {
	for hosts, want := range map[string]string{
		"127.0.0.1": "none", "localhost:1,[::1]:2": "none", "example.com": "lz4", "127.0.0.1,10.0.0.1": "lz4",
	} {
		for query, want := range map[string]string{"": want, "?compress=lz4": "lz4", "?compress=zstd": "zstd", "?compress": "lz4", "?compress=0": "none"} {
			if d, err := ParseDSN("clickhouse://" + hosts + "/d" + query); err != nil || d.Compress != want {
				t.Errorf("%s%s: %+v, %v", hosts, query, d, err)
			}
		}
	}
}

func TestParseDSNErrors(t *testing.T) {
	const password = "hunter2"
	for _, c := range []struct{ dsn, says string }{
		{password, "no scheme"},
		{"postgres://u:hunter2@h/d", `"postgres"`},
		{"clickhouse://u:hunter2@/d", "names no host"},
		{"clickhouse://u:hunter2@h,/d", "names no host"},
		{"clickhouse://u:hunter2@h:x/d", "not a port"},
		{"clickhouse://u:hunter2@h:0/d", "not a port"},
		{"clickhouse://u:hunter2@h:99999/d", "not a port"},
		{"clickhouse://u:hunter2@::1/d", "in brackets"},
		{"clickhouse://u:hunter2/x@h/d", "%2F"},
		{"clickhouse://u:hunter2#x@h/d", "%23"},
		{"clickhouse://u:hunter2?x@h/d", "%3F"},
		{"clickhouse://u:hunter2%zz@h/d", "%25"},
		{"clickhouse://u%zz:hunter2@h/d", "%25"},
		{"clickhouse://u:hunter2@h/d%zz", "%25"},
		{"clickhouse://u:hunter2@h/d?x=%zz", "%25"},
		{"clickhouse://u:hunter2@h/d?secure=perhaps", "secure"},
		{"clickhouse://u:hunter2@h/d?compress=gzip", "compress"},
		{"clickhouse://u:hunter2@h/d?dial_timeout=3", "dial_timeout"},
		{"clickhouse://u:hunter2@h/d?dial_timeout=-3s", "dial_timeout"},
	} {
		d, err := ParseDSN(c.dsn)
		if err == nil {
			t.Errorf("%s: parsed as %s", c.dsn, d)
			continue
		}
		if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", c.dsn, err)
		}
	}
}

func TestPasswordIsNotPrinted(t *testing.T) {
	d, err := ParseDSN("clickhouse://u:hunter2@h/d")
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{d, *d, []any{d, *d}} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "hunter2") {
				t.Errorf("%s: %s", verb, text)
			}
		}
	}
}

func TestTLSConfig(t *testing.T) {
	plain, err := (&DSN{}).tlsConfig()
	if plain != nil || err != nil {
		t.Errorf("without secure: %v, %v", plain, err)
	}
	c, err := (&DSN{Secure: true, SkipVerify: true}).tlsConfig()
	if err != nil || !c.InsecureSkipVerify || c.MinVersion != tls.VersionTLS12 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := (&DSN{Secure: true, CAFile: "/nonexistent"}).tlsConfig(); err == nil {
		t.Error("a missing ca_file went unnoticed")
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&DSN{Secure: true, CAFile: empty}).tlsConfig(); err == nil {
		t.Error("an empty ca_file went unnoticed")
	}
}

// A server with a certificate that its own authority signed.
func TestTLS(t *testing.T) {
	ch := testenv.ClickHouse(t)
	for _, plain := range []string{ch.DSN(""), httpDSN(t, ch)} {
		u, err := url.Parse(plain)
		if err != nil {
			t.Fatal(err)
		}
		addr, ca := encrypted(t, u.Host)
		u.Host = addr
		t.Run(u.Scheme, func(t *testing.T) {
			secure := u.String() + "?secure=true"
			for _, params := range []string{"&skip_verify=true", "&ca_file=" + ca} {
				target := open(t, secure+params)
				if _, err := target.texts(t.Context(), "SELECT 'pong'"); err != nil {
					t.Error(err)
				}
			}
			_, err := Open(t.Context(), Config{DSN: secure})
			if err == nil || !strings.Contains(err.Error(), "ca_file") || isRetry(err) {
				t.Errorf("with an unknown authority: %v", err)
			}
		})
	}
}

func TestTLSToAPlainPort(t *testing.T) {
	u, err := url.Parse(httpDSN(t, testenv.ClickHouse(t)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Config{DSN: u.String() + "?secure=true"})
	if err == nil || !strings.Contains(err.Error(), "does not speak TLS") || isRetry(err) {
		t.Errorf("got %v", err)
	}
}

// encrypted puts TLS before a server.
func encrypted(t *testing.T, backend string) (addr, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(caFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	forward(t, l, backend, nil)
	return l.Addr().String(), caFile
}

// forward passes what l accepts on to a server. cut, when not nil, is called
// with each connection from a client before it is served.
func forward(t *testing.T, l net.Listener, backend string, cut func(net.Conn)) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			if cut != nil {
				cut(client)
			}
			go func() {
				defer client.Close()
				server, err := net.Dial("tcp", backend)
				if err != nil {
					return
				}
				defer server.Close()
				go func() {
					defer server.Close()
					_, _ = io.Copy(server, client)
				}()
				_, _ = io.Copy(client, server)
			}()
		}
	}()
}

func TestHostsAreTriedInOrder(t *testing.T) {
	ch := testenv.ClickHouse(t)
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	for _, dsn := range []string{ch.DSN(""), httpDSN(t, ch)} {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		scheme, userinfo, path := u.Scheme, u.User, u.Path
		for _, hosts := range [][]string{{refusing.Addr().String(), u.Host}, {u.Host, refusing.Addr().String()}} {
			target := open(t, scheme+"://"+userinfo.String()+"@"+strings.Join(hosts, ",")+path)
			create(t, target, plan("t", "id Int32"))
			if err := target.Insert(t.Context(), "t", rand.Text(), append(own(t, 1, 1), col(t, "id", "Int32", i64(1)))); err != nil {
				t.Errorf("%s %v: %v", scheme, slices.Index(hosts, u.Host), err)
			}
			if _, err := target.texts(t.Context(), "SELECT 'pong'"); err != nil {
				t.Error(err)
			}
		}
	}
}
