package postgres

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// A proxy stands between a source and its server.
type proxy struct {
	listener net.Listener
	server   string
	mu       sync.Mutex
	links    []link
}

type link struct{ client, server net.Conn }

// newProxy returns a proxy and the DSN that goes through it.
func newProxy(t *testing.T, dsn string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(&wg) })
	t.Cleanup(func() {
		p.listener.Close()
		p.each(func(l link) { l.client.Close(); l.server.Close() })
		wg.Wait()
	})
	u.Host = p.listener.Addr().String()
	return p, u.String()
}

func (p *proxy) accept(wg *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.links = append(p.links, link{client, server})
		p.mu.Unlock()
		wg.Go(func() {
			_, _ = io.Copy(server, client)
			// The server is told of nothing: that is what a vanished client does.
		})
		wg.Go(func() {
			_, _ = io.Copy(client, server)
			client.Close()
		})
	}
}

// each calls f with each connection so far, and forgets them.
func (p *proxy) each(f func(link)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		f(l)
	}
	p.links = nil
}
