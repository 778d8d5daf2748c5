package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// web is a real server on 127.0.0.1. Requests to /slow wait until they are given up or the test ends; each is told on slow.
type web struct {
	*httptest.Server
	slow, gaveUp chan struct{}
}

func newWeb(t *testing.T) *web {
	t.Helper()
	w := &web{slow: make(chan struct{}, 100), gaveUp: make(chan struct{}, 100)}
	end := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		rw.Header().Set("X-Method", r.Method)
		rw.Header().Add("X-Many", "a")
		rw.Header().Add("X-Many", "b")
		rw.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(rw, "%s %s %s", r.Method, r.Header.Get("X-Ask"), body)
	})
	mux.HandleFunc("/redirect", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	mux.HandleFunc("/large", func(rw http.ResponseWriter, r *http.Request) {
		_, _ = rw.Write(make([]byte, 2000))
	})
	mux.HandleFunc("/loop", func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		w.slow <- struct{}{}
		select {
		case <-r.Context().Done():
			w.gaveUp <- struct{}{}
		case <-end:
		}
	})
	w.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		close(end)
		w.Close()
	})
	return w
}

func (w *web) get(path string) string { return fmt.Sprintf(`{"url": %q}`, w.URL+path) }

// TestHTTP checks requests of a guest: what is sent, and what it sees of the answer.
func TestHTTP(t *testing.T) {
	w := newWeb(t)
	h := newHost(t, host.Config{})
	swap(t, h, "env", `{"allowed_hosts": ["127.0.0.1"]}`)
	if got := run(t, h, "env:http", w.get("/echo")); got != "GET  " {
		t.Errorf("the body is %q", got)
	}
	request := fmt.Sprintf(`{"url": %q, "method": "PUT", "headers": {"X-Ask": "please"}}`, w.URL+"/echo")
	if got := run(t, h, "env:http_post", request); got != "PUT please hello" {
		t.Errorf("the body is %q", got)
	}
	for path, want := range map[string]string{"/echo": "202", "/nowhere": "404", "/redirect?to=/echo": "202"} {
		if got := run(t, h, "env:status", w.get(path)); got != want {
			t.Errorf("the status of %s is %s, want %s", path, got, want)
		}
	}
	var headers map[string]string
	if err := json.Unmarshal([]byte(run(t, h, "env:headers", w.get("/echo"))), &headers); err != nil {
		t.Fatal(err)
	}
	if headers["x-method"] != "GET" || headers["x-many"] != "a,b" {
		t.Errorf("the headers are %v", headers)
	}
	if got := run(t, h, "env:http", w.get("/empty")); got != "" {
		t.Errorf("the body is %q", got)
	}
}

// TestHTTPDenied checks that only hosts of the manifest are reached, on redirects too, and that the error names the host.
func TestHTTPDenied(t *testing.T) {
	w := newWeb(t)
	h := newHost(t, host.Config{})
	other := strings.Replace(w.URL, "127.0.0.1", "localhost", 1)
	swapTo(t, h, "none", guest(t, "env"), "")
	swapTo(t, h, "any", guest(t, "env"), `{"allowed_hosts": ["*"]}`)
	swapTo(t, h, "one", guest(t, "env"), `{"allowed_hosts": ["127.0.0.1"]}`)
	swapTo(t, h, "other", guest(t, "env"), `{"allowed_hosts": ["localhost"]}`)
	for _, c := range []struct{ plugin, url, names string }{
		{"none", w.URL + "/echo", "127.0.0.1"},
		{"any", w.URL + "/echo", "127.0.0.1"}, // a pattern does not reach loopback
		{"any", other + "/echo", "localhost"},
		{"one", other + "/echo", "localhost"},
		{"one", w.URL + "/redirect?to=" + other + "/echo", "localhost"},
		{"one", w.URL + "/redirect?to=http://169.254.169.254/latest", "169.254.169.254"},
		{"other", w.URL + "/echo", "127.0.0.1"},
	} {
		e := fails(t, h, c.plugin+":http", fmt.Sprintf(`{"url": %q}`, c.url), abi.CodeDenied)
		wantCode(t, e, abi.CodeDenied, c.names, "plugin "+c.plugin)
	}
	for _, bad := range []string{`{`, `[]`, `{"url": 5}`, `{"url": "file:///etc/passwd"}`, `{"url": ""}`, `{"url": "http://127.0.0.1:1/ü\u0000"}`,
		`{"url": "` + w.URL + `", "method": "BAD METHOD"}`, `{"url": "` + w.URL + `", "headers": {"a\nb": "c"}}`} {
		fails(t, h, "one:http", bad, abi.CodeInvalid)
	}
	if got := run(t, h, "one:status", w.get("/echo")); got != "202" {
		t.Errorf("the next request gives %s", got)
	}
}

// TestHTTPResponseLimit checks the bound on a response's body, by the host, by the manifest, and down to nothing.
func TestHTTPResponseLimit(t *testing.T) {
	w := newWeb(t)
	h := newHost(t, host.Config{Limits: abi.Limits{HTTPResponse: 1999}})
	const allow = `"allowed_hosts": ["127.0.0.1"]`
	swapTo(t, h, "host", guest(t, "env"), `{`+allow+`}`)
	swapTo(t, h, "more", guest(t, "env"), `{`+allow+`, "memory": {"max_http_response_bytes": 2000}}`)
	swapTo(t, h, "none", guest(t, "env"), `{`+allow+`, "memory": {"max_http_response_bytes": 0}}`)
	e := fails(t, h, "host:http", w.get("/large"), abi.CodeOutputLimit)
	wantCode(t, e, abi.CodeOutputLimit, "1999 bytes", "max_http_response_bytes")
	if got := run(t, h, "more:http", w.get("/large")); len(got) != 2000 {
		t.Errorf("the body has %d bytes", len(got))
	}
	fails(t, h, "none:http", w.get("/echo"), abi.CodeOutputLimit)
	if got := run(t, h, "none:status", w.get("/empty")); got != "200" {
		t.Errorf("the status is %s", got)
	}
	if got := run(t, h, "host:http", w.get("/echo")); got != "GET  " {
		t.Errorf("the next request gives %q", got)
	}
}

// TestHTTPUnavailable checks the error for a server that is not there: it may pass.
func TestHTTPUnavailable(t *testing.T) {
	w := newWeb(t)
	h := newHost(t, host.Config{})
	swap(t, h, "env", `{"allowed_hosts": ["127.0.0.1"]}`)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	e := fails(t, h, "env:http", fmt.Sprintf(`{"url": %q}`, gone.URL), abi.CodeUnavailable)
	if !e.Code.Temporary() {
		t.Error("the error says that another attempt is of no use")
	}
	fails(t, h, "env:http", w.get("/loop"), abi.CodeUnavailable)
}

// TestHTTPIsInterrupted checks that a request ends at once with its call: cancelled, timed out, or because the host closes.
func TestHTTPIsInterrupted(t *testing.T) {
	w := newWeb(t)
	h := newHost(t, host.Config{})
	swap(t, h, "env", `{"allowed_hosts": ["127.0.0.1"]}`)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-w.slow
		cancel(&abi.Error{Code: abi.CodeLeaseLost, Message: "somebody else has it"})
	}()
	began := time.Now()
	failsWithin(ctx, t, h, "env:http", w.get("/slow"), abi.CodeLeaseLost)
	<-w.gaveUp // the server sees it, too
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the call ended after %v", took)
	}
	swap(t, h, "env", `{"allowed_hosts": ["127.0.0.1"], "timeout_ms": 30}`)
	e := fails(t, h, "env:http", w.get("/slow"), abi.CodeTimeout)
	wantCode(t, e, abi.CodeTimeout, "30ms", "timeout_ms")
	<-w.slow
	<-w.gaveUp

	swap(t, h, "env", `{"allowed_hosts": ["127.0.0.1"]}`)
	ended := make(chan error, 1)
	go func() {
		_, err := h.Run(t.Context(), abi.Call{Plugin: "env", Function: "http", Input: []byte(w.get("/slow"))}, nil)
		ended <- err
	}()
	<-w.slow
	over, stop := context.WithCancel(t.Context())
	stop()
	if err := h.Close(over); err != nil {
		t.Error(err)
	}
	wantCode(t, <-ended, abi.CodeShutdown)
}
