package monitor_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/taskhost/taskhost/monitor"
)

// serve is a server as taskhost has it: a mux inside of a mux, and a handler between the two that makes a request of its own.
func serve(t *testing.T, m *monitor.Monitor, inner *http.ServeMux) *httptest.Server {
	t.Helper()
	between := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		type key struct{}
		monitor.Route(inner).ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, 1)))
	})
	outer := http.NewServeMux()
	outer.Handle("/v1/", between)
	outer.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	srv := httptest.NewUnstartedServer(m.HTTP(outer))
	srv.Config.ErrorLog = nil
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func ask(t *testing.T, srv *httptest.Server, method, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+callerTrace+"-"+callerSpan+"-01")
	resp, err := srv.Client().Do(req)
	if err != nil {
		return nil
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestHTTP(t *testing.T) {
	m, reg := newMonitor(t, monitor.Config{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tasks/{id}", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.PathValue("id")) })
	mux.HandleFunc("POST /v1/tasks", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("POST /v1/fault", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	opened, end := make(chan struct{}), make(chan struct{})
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		close(opened)
		<-end
	})
	srv := serve(t, m, mux)
	for n := range 3 {
		if resp := ask(t, srv, http.MethodGet, fmt.Sprint("/v1/tasks/", n)); resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	ask(t, srv, http.MethodPost, "/v1/tasks")
	ask(t, srv, http.MethodGet, "/v1/tasks/1?wait=30s")
	ask(t, srv, http.MethodGet, "/v1/nowhere/secret")
	ask(t, srv, "MADE-UP", "/v1/tasks/1")
	ask(t, srv, http.MethodGet, "/healthz")
	ask(t, srv, http.MethodPost, "/v1/fault")
	stream := ask(t, srv, http.MethodGet, "/v1/events")
	<-opened
	expectContains(t, scrape(t, m, ""), "taskhost_http_event_streams 1\n", "taskhost_http_requests_active 1\n")
	close(end)
	if _, err := bufio.NewReader(stream.Body).ReadString('\n'); err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}
	srv.Close()
	expect(t, reg, `
# HELP taskhost_http_requests_total Requests that the server has answered.
# TYPE taskhost_http_requests_total counter
taskhost_http_requests_total{code="200",method="GET",route="/healthz"} 1
taskhost_http_requests_total{code="200",method="GET",route="/v1/events"} 1
taskhost_http_requests_total{code="200",method="GET",route="/v1/tasks/{id}"} 4
taskhost_http_requests_total{code="201",method="POST",route="/v1/tasks"} 1
taskhost_http_requests_total{code="404",method="GET",route="/v1/"} 1
taskhost_http_requests_total{code="405",method="other",route="/v1/"} 1
taskhost_http_requests_total{code="500",method="POST",route="/v1/fault"} 1
`, "taskhost_http_requests_total")
	body := scrape(t, m, "application/openmetrics-text; version=1.0.0")
	expectContains(t, body, "taskhost_http_event_streams 0.0\n", "taskhost_http_requests_active 0.0\n",
		`taskhost_http_request_duration_seconds_count{method="GET",route="/v1/tasks/{id}"} 3`,
		`taskhost_http_response_bytes_total{method="GET",route="/v1/tasks/{id}"} 4.0`,
		`taskhost_http_request_duration_seconds_count{method="GET",route="/v1/events"} 0`, `# {trace_id="`+callerTrace+`"}`)
	if strings.Contains(body, "secret") {
		t.Error("what a client asked for is a label")
	}
}

// TestHTTPIsBounded: clients can send what they like, and handlers can have any number of patterns.
func TestHTTPIsBounded(t *testing.T) {
	m, reg := newMonitor(t, monitor.Config{})
	mux := http.NewServeMux()
	for n := range 2 * monitor.MaxNames {
		mux.HandleFunc(fmt.Sprint("/r", n), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200 + n%1000) })
	}
	h := m.HTTP(mux)
	for n := range 2 * monitor.MaxNames {
		for _, path := range []string{"/r", "/none"} {
			r := httptest.NewRequest(fmt.Sprint("M", n), fmt.Sprint(path, n), nil)
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	n, err := testutil.GatherAndCount(reg, "taskhost_http_request_duration_seconds")
	if err != nil || n != monitor.MaxNames+1 {
		t.Errorf("%d series, %v", n, err)
	}
}
