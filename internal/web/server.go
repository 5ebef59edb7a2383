package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/source"
)

// A reader that is slower than these is cut off, so that none can hold a
// connection for good.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 2 * time.Second
	maxHeaderBytes    = 16 << 10
)

// Config is what a Server shows. Status and Ready are called from any
// goroutine and must not block.
type Config struct {
	Listen   string        // host:port; "" serves nothing
	Status   func() Status // the caller's to keep: it is not changed afterwards
	Ready    func() bool
	Registry *prometheus.Registry
	Logger   *slog.Logger
}

// A Server answers HTTP requests about one pipeline.
type Server struct {
	config   Config
	listener net.Listener
}

// New returns a server that does nothing before Listen or Run.
func New(c Config) *Server { return &Server{config: c} }

// Listen takes the address, so that one in use is known before anything else
// starts. It is called before Run, or left to it. A server that listens must
// run to give the address back.
func (s *Server) Listen() error {
	if s.listener != nil || s.config.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", s.config.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return source.WithHint(fmt.Errorf("http.listen: %s is in use by another process", s.config.Listen),
			`set http.listen to a free address, or to "" for none`)
	}
	if err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	s.listener = l
	return nil
}

// Addr is the address taken, or "" when there is none.
func (s *Server) Addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Run serves until ctx ends and then returns nil, having answered the requests
// under way or cut them off. Without an address to listen on it returns at once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	if s.listener == nil {
		return nil
	}
	s.config.Logger.Info("serving HTTP", "address", s.Addr())

	h := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}

	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := h.Shutdown(drain); err != nil {
		_ = h.Close() // cuts off those that did not finish
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP on %s: %w", s.Addr(), err)
	}
	return nil
}
