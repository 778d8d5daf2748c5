package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// server serves the metrics of a long run.
type server struct {
	addr net.Addr
	http *http.Server
	done chan error
}

// listen serves h on an address, of which the port may be 0.
func listen(ctx context.Context, addr string, h http.Handler) (*server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, usagef("--listen %s: %v", addr, err)
	}
	s := &server{
		addr: l.Addr(),
		http: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
			IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10},
		done: make(chan error, 1),
	}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// close stops serving, and waits for answers that are under way as long as ctx lasts.
func (s *server) close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
