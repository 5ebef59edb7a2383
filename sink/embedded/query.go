package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// ErrNotRunning is matched by the error of [Find] when no engine runs on the
// folder.
var ErrNotRunning = errors.New("no ClickHouse runs on this folder")

// endpointName holds the HTTP URL of the engine that runs on the folder, or of
// the last one that did.
const endpointName = "endpoint"

func writeEndpoint(dir, url string) error {
	if err := os.WriteFile(filepath.Join(dir, endpointName), []byte(url+"\n"), 0o640); err != nil {
		return fmt.Errorf("write the engine's endpoint: %w", err)
	}
	return nil
}

// Find returns the HTTP URL of the engine that runs on a folder, whoever
// started it.
func Find(dir string) (string, error) {
	err := checkUnused(dir)
	if err == nil {
		return "", fmt.Errorf("%w: %q", ErrNotRunning, dir)
	}
	if !errors.Is(err, ErrInUse) {
		return "", err
	}
	text, readErr := os.ReadFile(filepath.Join(dir, endpointName))
	if errors.Is(readErr, fs.ErrNotExist) {
		return "", err // not one of ours
	}
	if readErr != nil {
		return "", fmt.Errorf("read the engine's endpoint: %w", readErr)
	}
	return strings.TrimSpace(string(text)), nil
}

// client keeps no connection: an idle one holds up the engine's orderly end.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Query runs one statement over HTTP, as user default in database default, and
// copies the result to w, in ClickHouse's format of that name unless the
// statement asks for another.
func Query(ctx context.Context, base, statement, format string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		base+"/?wait_end_of_query=1&default_format="+url.QueryEscape(format), strings.NewReader(statement))
	if err != nil {
		return fmt.Errorf("query ClickHouse: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("query ClickHouse: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		if err != nil {
			return fmt.Errorf("query ClickHouse: %s: %w", resp.Status, err)
		}
		return fmt.Errorf("query ClickHouse: %s", strings.TrimSpace(string(text)))
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("query ClickHouse: %w", err)
	}
	return nil
}
