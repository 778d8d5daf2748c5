package httpapi_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// sink is a ResponseWriter that keeps the status alone.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// BenchmarkSubmit is what a submit costs besides net/http and the network: reading the task, the manager, the answer.
func BenchmarkSubmit(b *testing.B) {
	s := start(b, setup{plugins: []string{"upper=upper-wat"}, tasks: manager.Config{MaxQueue: 1 << 30, MaxQueueBytes: 1 << 40, MaxFinished: 1000}})
	body := []byte(`{"steps":["upper"],"content":"hello"}`)
	admin := auth.With(b.Context(), auth.Principal{ID: "local", Name: "local", Role: auth.RoleAdmin})
	reader := bytes.NewReader(body)
	req := httptest.NewRequest(http.MethodPost, "/v1/tasks", io.NopCloser(reader)).WithContext(admin)
	req.Header.Set("Content-Type", "application/json")
	req.ContentLength = int64(len(body))
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		w := sink{header: http.Header{}}
		s.api.ServeHTTP(&w, req)
		if w.status != http.StatusCreated {
			b.Fatal(w.status)
		}
	}
}

// BenchmarkManagerSubmit is the manager's part of it.
func BenchmarkManagerSubmit(b *testing.B) {
	s := start(b, setup{plugins: []string{"upper=upper-wat"}, tasks: manager.Config{MaxQueue: 1 << 30, MaxQueueBytes: 1 << 40, MaxFinished: 1000}})
	b.ReportAllocs()
	for b.Loop() {
		spec, err := manager.DecodeSpec([]byte(`{"steps":["upper"],"content":"hello"}`))
		if err == nil {
			_, err = s.tasks.Submit(b.Context(), spec)
		}
		if abi.CodeOf(err) != "" {
			b.Fatal(err)
		}
	}
}
