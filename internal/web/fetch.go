package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/millrace/millrace/source"
)

// fetchTimeout is for a process on the same host that answers from memory.
const fetchTimeout = 5 * time.Second

// maxStatus bounds what is read of a status; a table takes some 300 bytes.
const maxStatus = 64 << 20

// Fetch asks the process whose http.listen is listen for its status. An
// address without a host, or with that of all interfaces, means this host.
func Fetch(ctx context.Context, listen string) (*Status, error) {
	if listen == "" {
		return nil, errors.New(`http.listen: is "", so no status is served`)
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("http.listen: %q is no address of the form host:port", listen)
	}
	address := net.JoinHostPort(reachable(host), port)

	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/status", nil)
	if err != nil {
		return nil, fmt.Errorf("http.listen: %q is no address of the form host:port", listen)
	}
	// The process is near: a proxy of the environment would only be in the way.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, source.WithHint(fmt.Errorf("no millrace answers at %s: %w", address, errors.Unwrap(err)),
			"start it with `millrace run`, or give this command the http.listen of the one that runs")
	}
	defer resp.Body.Close()
	return decode(resp, address)
}

func decode(resp *http.Response, address string) (*Status, error) {
	s := new(Status)
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("what listens at %s is no millrace: /status answers %q", address, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(s); err != nil {
		return nil, fmt.Errorf("what listens at %s is no millrace: read /status: %w", address, err)
	}
	return s, nil
}

// reachable turns an address to listen on into one to connect to.
func reachable(host string) string {
	switch {
	case host == "":
		return "127.0.0.1"
	case !net.ParseIP(host).IsUnspecified():
		return host
	case net.ParseIP(host).To4() != nil:
		return "127.0.0.1"
	default:
		return "::1"
	}
}
