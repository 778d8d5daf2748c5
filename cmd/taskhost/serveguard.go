package main

import (
	"errors"
	"net/http"
	"runtime/debug"
	"time"
)

// guard is before everything that answers requests: it counts those that are being answered, and takes care of handlers that panic.
func (s *service) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		defer s.requests.Add(-1)
		g := &guarded{ResponseWriter: w}
		defer func() {
			if fault := recover(); fault != nil {
				s.panicked(g, r, fault)
			}
		}()
		next.ServeHTTP(g, r)
	})
}

// answered waits until no request is being answered, and returns how many are after a time.
func (s *service) answered(limit time.Duration) int64 {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(limit); s.requests.Load() > 0; {
		select {
		case <-tick.C:
		case <-over:
			return s.requests.Load()
		}
	}
	return 0
}

// panicked tells the log about a panic, and answers the request, or cuts an answer off that has begun.
func (s *service) panicked(w *guarded, r *http.Request, fault any) {
	if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	s.log.ErrorContext(r.Context(), "a request's handler panicked", "method", r.Method, "path", r.URL.Path, "panic", fault, "stack", string(debug.Stack()))
	if w.began {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	clear(h)
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte(`{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"a fault of the server; its log has more","code":"internal"}` + "\n"))
}

// guarded knows whether an answer has begun.
type guarded struct {
	http.ResponseWriter
	began bool
}

// Unwrap is for http.ResponseController.
func (w *guarded) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *guarded) WriteHeader(status int) {
	w.began = w.began || status >= http.StatusOK
	w.ResponseWriter.WriteHeader(status)
}

func (w *guarded) Write(b []byte) (int, error) {
	w.began = true
	return w.ResponseWriter.Write(b)
}

// FlushError is for http.ResponseController.
func (w *guarded) FlushError() error {
	w.began = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}
