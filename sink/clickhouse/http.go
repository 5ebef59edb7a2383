package clickhouse

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// An httpWire is the wire of the HTTP interface. Blocks go out as FORMAT
// Native, whose revision is 0 unless asked otherwise.
type httpWire struct {
	dsn      *DSN
	client   *http.Client
	log      *slog.Logger
	host     atomic.Int64 // index of the host that answered last
	encoders sync.Pool
}

func newHTTP(d *DSN, tlsConfig *tls.Config, log *slog.Logger) *httpWire {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         newDialer(d, nil),
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: d.DialTimeout,
		MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout:     2 * time.Second, // less than the server's keep_alive_timeout ever was
		DisableCompression:  d.Compress == "none",
	}
	return &httpWire{dsn: d, log: log, client: &http.Client{
		Transport: transport,
		// A redirect would carry the password to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (h *httpWire) close() { h.client.CloseIdleConnections() }

// A request is what is posted to whichever host answers.
type request struct {
	params      url.Values
	contentType string
	body        []byte
}

// post sends a query to the first host that can be reached and returns the
// body of its answer. It is an error unless the query has succeeded.
func (h *httpWire) post(ctx context.Context, q query, r request) (io.ReadCloser, error) {
	for _, s := range q.settings {
		r.params.Set(s.Key, s.Value)
	}
	if q.id != "" {
		r.params.Set("query_id", q.id)
	}
	r.params.Set("wait_end_of_query", "1") // the status is known when the query has ended
	first := int(h.host.Load())
	var errs []error
	for i := range h.dsn.Hosts {
		host := (first + i) % len(h.dsn.Hosts)
		resp, err := h.send(ctx, h.dsn.Hosts[host], r)
		if err == nil {
			h.host.Store(int64(host))
			logFailover(h.log, h.dsn.Hosts[host], errs)
			return answer(resp)
		}
		errs = append(errs, err)
		var op *net.OpError
		if ctx.Err() != nil || !errors.As(err, &op) || op.Op != "dial" {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (h *httpWire) send(ctx context.Context, addr string, r request) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: addr, Path: "/", RawQuery: r.params.Encode()}
	if h.dsn.Secure {
		u.Scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("address the host %s: %w", addr, err)
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	req.Header.Set("User-Agent", clientName)
	req.Header.Set("X-ClickHouse-User", h.dsn.User)
	req.Header.Set("X-ClickHouse-Key", h.dsn.password)
	// Never sent: it tells net/http that a request may be sent again when the
	// server has closed an idle connection.
	req.Header["X-Idempotency-Key"] = nil
	resp, err := h.client.Do(req)
	if err != nil {
		var urlErr *url.Error
		if errors.As(err, &urlErr) { // its text repeats the whole query
			err = urlErr.Err
		}
		return nil, fmt.Errorf("request to %s: %w", addr, err)
	}
	return resp, nil
}

// answer turns a response that is not a success into an error.
func answer(resp *http.Response) (io.ReadCloser, error) {
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("read an exception: %w", err)
	}
	return nil, httpException(resp.StatusCode, resp.Header.Get("X-ClickHouse-Exception-Code"), string(text))
}

var codePrefix = regexp.MustCompile(`^Code: (\d+)\. `)

// httpException reads "Code: 60. DB::Exception: Table … (UNKNOWN_TABLE)".
func httpException(status int, header, text string) error {
	text = strings.TrimSpace(text)
	if m := codePrefix.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if header == "" {
			header = m[1]
		}
	}
	code, err := strconv.Atoi(header)
	if err != nil || code == 0 {
		const most = 500
		return &statusError{status: status, text: text[:min(len(text), most)]}
	}
	return newServerError(proto.Error(code), text)
}

func (h *httpWire) insert(ctx context.Context, q query, cols []proto.InputColumn) error {
	e := h.encoder()
	if err := e.encode(cols); err != nil {
		return fmt.Errorf("encode a block: %w", err)
	}
	r := request{params: url.Values{"query": {q.text}}, body: e.body.Bytes()}
	if e.frames != nil {
		r.params.Set("decompress", "1")
	}
	reply, err := h.post(ctx, q, r)
	if err != nil {
		return err // net/http may still be reading the body
	}
	defer reply.Close()
	if _, err := io.Copy(io.Discard, reply); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	h.encoders.Put(e)
	return nil
}

// An encoder writes a block as the HTTP interface takes it.
type encoder struct {
	body   bytes.Buffer
	frames *frames // nil: the body is not compressed
	blocks *blockWriter
}

func (h *httpWire) encoder() *encoder {
	if e, ok := h.encoders.Get().(*encoder); ok {
		e.body.Reset()
		return e
	}
	e := &encoder{}
	e.blocks = newBlockWriter(&e.body)
	if method, ok := methods[h.dsn.Compress]; ok {
		e.frames = newFrames(&e.body, method)
		e.blocks = newBlockWriter(e.frames)
	}
	return e
}

func (e *encoder) encode(cols []proto.InputColumn) error {
	if err := e.blocks.write(0, cols); err != nil || e.frames == nil {
		return err
	}
	return e.frames.Flush()
}

func (h *httpWire) read(ctx context.Context, q query, results proto.Results, onBlock func(rows int) error) error {
	r := request{params: url.Values{"default_format": {"Native"}}, body: []byte(q.text)}
	if len(q.keys) > 0 {
		if err := r.attach(q); err != nil {
			return fmt.Errorf("encode keys: %w", err)
		}
	}
	if h.dsn.Compress != "none" {
		r.params.Set("enable_http_compression", "1")
	}
	reply, err := h.post(ctx, q, r)
	if err != nil {
		return err
	}
	defer reply.Close()
	return readBlocks(reply, results, onBlock)
}

// attach makes the query's keys an external table.
// Source: manual, "External data for query processing".
func (r *request) attach(q query) error {
	structure := make([]string, len(q.keys))
	for i, k := range q.keys {
		structure[i] = Ident(k.Name) + " " + string(k.Data.Type())
	}
	r.params.Set("query", q.text)
	r.params.Set(keysTable+"_format", "Native")
	r.params.Set(keysTable+"_structure", strings.Join(structure, ", "))
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile(keysTable, keysTable)
	if err == nil {
		err = newBlockWriter(part).write(0, q.keys)
	}
	if err == nil {
		err = form.Close()
	}
	r.contentType, r.body = form.FormDataContentType(), body.Bytes()
	return err
}

func readBlocks(from io.Reader, results proto.Results, onBlock func(rows int) error) error {
	r := proto.NewReader(from)
	for {
		var b proto.Block
		err := b.DecodeRawBlock(r, 0, results)
		if errors.Is(err, io.EOF) && b.Columns == 0 { // between two blocks
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a block: %w", err)
		}
		if b.Rows == 0 {
			continue
		}
		if err := onBlock(b.Rows); err != nil {
			return err
		}
	}
}
