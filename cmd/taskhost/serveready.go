package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// states of a server.
const (
	serverStarting int32 = iota
	serverReady
	serverStopping
)

// readyCheck finds out whether tasks can be taken and run. What it asks of the store is remembered for a moment, since anybody may ask it.
type readyCheck struct {
	state func() int32
	store func(ctx context.Context) error

	mu   sync.Mutex
	at   time.Time
	last error
}

// readyFor is how long an answer of the store counts.
const readyFor = time.Second

func (c *readyCheck) check(ctx context.Context) error {
	switch c.state() {
	case serverStarting:
		return errors.New("starting: plugins are being loaded")
	case serverStopping:
		return errors.New("stopping: running tasks are let to end")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) < readyFor {
		return c.last
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c.last, c.at = nil, time.Now()
	if err := c.store(ctx); err != nil {
		c.last = errors.New("the store does not answer: " + oneLine(err.Error()))
	}
	return c.last
}

// ServeHTTP answers GET /readyz.
func (c *readyCheck) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answerText(w, c.check(context.WithoutCancel(r.Context())))
}

// answerText answers ok, or why not.
func answerText(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(err.Error() + "\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
