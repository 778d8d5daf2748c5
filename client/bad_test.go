package client_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// TestBadServers: what is no taskhost server, or a broken one, is an error that says so, within bounds.
func TestBadServers(t *testing.T) {
	write := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, tc := range map[string]struct {
		serve   http.HandlerFunc
		code    abi.Code
		message string
	}{
		"a page":            {write(200, "text/html; charset=utf-8", "<html>Welcome"), abi.CodeInvalid, `is no taskhost server, .*/v1/tasks/x 200 OK with "text/html`},
		"a page not found":  {write(404, "text/html", "<html>"), abi.CodeInvalid, "is no taskhost server"},
		"another API":       {write(404, "application/json", `{"message":"no route"}`), abi.CodeInvalid, "is no taskhost server"},
		"no content type":   {func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = nil }, abi.CodeInvalid, "no content type"},
		"a login page":      {write(401, "text/html", "<html>"), abi.CodeDenied, "give a token"},
		"a proxy":           {write(502, "text/html", "<html>nginx"), abi.CodeUnavailable, "behind a proxy"},
		"truncated JSON":    {write(200, "application/json", `{"id":"x","status":"pend`), abi.CodeUnavailable, "broke off"},
		"JSON of something": {write(200, "application/json", `{"id":[1]}`), abi.CodeInvalid, "another version of taskhost"},
		"a huge answer":     {write(200, "application/json", `{"id":"`+strings.Repeat("x", 5000)+`"}`), abi.CodeOutputLimit, "larger than 4096 bytes"},
		"a huge problem":    {write(400, "application/problem+json", `{"detail":"`+strings.Repeat("x", 2<<20)+`"}`), abi.CodeInvalid, "is no taskhost server"},
		"no code":           {write(409, "application/problem+json", `{"title":"Conflict"}`), abi.CodeConflict, "^Conflict$"},
		"a fault":           {write(500, "application/problem+json", `{"title":"Internal Server Error","detail":"oops","code":"internal"}`), abi.CodeInternal, "^oops$"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		},
			abi.CodeInvalid, `redirect to "https://evil.example/"`},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"id":`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, abi.CodeUnavailable, "broke off: unexpected EOF"},
		"no answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, abi.CodeUnavailable, "cannot be reached: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, tc.serve)
			c := connect(t, client.Config{BaseURL: s.URL, Token: "th_secret", RetryFor: -1, MaxAnswer: 4096})
			_, err := c.Get(t.Context(), "x")
			hasCode(t, err, tc.code)
			if err != nil && !regexp.MustCompile(tc.message).MatchString(err.Error()) {
				t.Errorf("%q does not match %q", err, tc.message)
			}
			if err != nil && strings.Contains(err.Error(), "th_secret") {
				t.Errorf("the token is in %q", err)
			}
		})
	}
}

// TestProblems: all that the server says of an error arrives.
func TestProblems(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"it trapped","code":"trap","plugin":"text",
			"function":"process","task":"42","step":2,"exit":7,"more":"stack"}`)
	}))
	_, err := connect(t, client.Config{BaseURL: s.URL}).Get(t.Context(), "42")
	e := abi.AsError(err)
	want := abi.Error{Code: abi.CodeTrap, Message: "it trapped", Plugin: "text", Func: "process", Task: "42", Step: 2, Exit: 7, Detail: "stack"}
	if e == nil || *e != want {
		t.Errorf("%+v", e)
	}
}

// TestUnreachable: a server that is not there, one that speaks no TLS, and one with a certificate of its own.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := connect(t, client.Config{BaseURL: "http://" + l.Addr().String(), RetryFor: 20 * time.Millisecond})
	_, err = c.Submit(t.Context(), manager.ProcessorTask("x", "text"), client.SubmitOptions{})
	hasCode(t, err, abi.CodeUnavailable)
	if err == nil || !strings.Contains(err.Error(), "is taskhost serve running there?") {
		t.Error(err)
	}

	plain := serve(t, http.NotFoundHandler())
	c = connect(t, client.Config{BaseURL: strings.Replace(plain.URL, "http:", "https:", 1)})
	_, err = c.Stats(t.Context())
	hasCode(t, err, abi.CodeUnavailable)
	if err == nil || !strings.Contains(err.Error(), "does not speak TLS") {
		t.Error(err)
	}

	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	t.Cleanup(secure.Close)
	c = connect(t, client.Config{BaseURL: secure.URL})
	_, err = c.Stats(t.Context())
	hasCode(t, err, abi.CodeUnavailable)
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

// TestSlowServers: a try has a bound, and so has a whole request: its context.
func TestSlowServers(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(release) })
	c := connect(t, client.Config{BaseURL: s.URL, Timeout: 20 * time.Millisecond, RetryFor: -1})
	_, err := c.Stats(t.Context())
	hasCode(t, err, abi.CodeUnavailable)
	if err == nil || !strings.Contains(err.Error(), "took longer than it may") {
		t.Error(err)
	}

	c = connect(t, client.Config{BaseURL: s.URL})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.Result(ctx, "x")
	hasCode(t, err, abi.CodeTimeout)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// TestRepeats: what may be sent again is, until it is answered or time is over; what may not is sent once.
func TestRepeats(t *testing.T) {
	var sent, busy atomic.Int64
	var abort atomic.Bool
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := sent.Add(1)
		switch {
		case n <= busy.Load() && abort.Load():
			panic(http.ErrAbortHandler)
		case n <= busy.Load():
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"title":"Service Unavailable","detail":"stopping","code":"closed"}`)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{}`)
		}
	}))
	patient := connect(t, client.Config{BaseURL: s.URL})
	hasty := func() error { // on a connection of its own, since the transport sends again what an old one did not take
		_, err := connect(t, client.Config{BaseURL: s.URL, RetryFor: -1}).Get(t.Context(), "x")
		return err
	}
	submit := func(c *client.Client, o client.SubmitOptions, spec manager.Spec) error {
		_, err := c.Submit(t.Context(), spec, o)
		return err
	}
	unique := manager.ProcessorTask("x", "text")
	unique.Unique.Key = "mine"
	existing := unique
	existing.Unique.Existing = true
	cancel := func() error { _, err := patient.Cancel(t.Context(), "x"); return err }
	for name, tc := range map[string]struct {
		busy  int64
		abort bool
		do    func() error
		sent  int64
		code  abi.Code
	}{
		"a get":                           {2, true, func() error { _, err := patient.Get(t.Context(), "x"); return err }, 3, ""},
		"a submit":                        {2, true, func() error { return submit(patient, client.SubmitOptions{}, manager.ProcessorTask("x", "text")) }, 3, ""},
		"a submit with a key of its own":  {2, true, func() error { return submit(patient, client.SubmitOptions{}, unique) }, 1, abi.CodeUnavailable},
		"one that takes the other":        {2, true, func() error { return submit(patient, client.SubmitOptions{}, existing) }, 3, ""},
		"a cancel that may have been":     {2, true, cancel, 1, abi.CodeUnavailable},
		"a cancel that was not":           {2, false, cancel, 3, ""},
		"a pause":                         {2, true, func() error { return patient.Pause(t.Context(), "q", true) }, 3, ""},
		"a get by a client without hope":  {2, true, hasty, 1, abi.CodeUnavailable},
		"a get of a server that is going": {1, false, hasty, 1, abi.CodeClosed},
	} {
		t.Run(name, func(t *testing.T) {
			sent.Store(0)
			busy.Store(tc.busy)
			abort.Store(tc.abort)
			err := tc.do()
			if abi.CodeOf(err) != tc.code {
				t.Errorf("%v, want the code %q", err, tc.code)
			}
			if n := sent.Load(); n != tc.sent {
				t.Errorf("sent %d times, want %d", n, tc.sent)
			}
		})
	}
}

// TestRetryAfter: the client waits as long as the server asks, and gives up at once when that is longer than it may wait.
func TestRetryAfter(t *testing.T) {
	var sent atomic.Int64
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sent.Add(1)
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"title":"Too Many Requests","detail":"the queue is full","code":"queue_full"}`)
	}))
	c := connect(t, client.Config{BaseURL: s.URL})
	_, err := c.Submit(t.Context(), manager.ProcessorTask("x", "text"), client.SubmitOptions{})
	hasCode(t, err, abi.CodeQueueFull)
	if n := sent.Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

// TestNew: what a Config must not say.
func TestNew(t *testing.T) {
	for name, cfg := range map[string]client.Config{
		"no scheme":    {BaseURL: "localhost:8080"},
		"a file":       {BaseURL: "file:///etc/passwd"},
		"no host":      {BaseURL: "http://"},
		"a password":   {BaseURL: "http://me:secret@localhost"},
		"and no port":  {BaseURL: "http://me:secret@localhost:x"},
		"no socket":    {BaseURL: "unix:"},
		"socket+TLS":   {BaseURL: "unix:/x", RootCAs: x509.NewCertPool()},
		"two clients":  {RootCAs: x509.NewCertPool(), HTTPClient: http.DefaultClient},
		"a query":      {BaseURL: "http://localhost/?x=1"},
		"a bad token":  {Token: "a\r\nX-Evil: 1"},
		"a bad agent":  {UserAgent: "a\r\nX-Evil: 1"},
		"a timeout":    {HTTPClient: &http.Client{Timeout: time.Second}},
		"no patience":  {Timeout: -1},
		"a bad escape": {BaseURL: "http://localhost/%zz"},
	} {
		if _, err := client.New(cfg); abi.CodeOf(err) != abi.CodeInvalid || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := connect(t, client.Config{BaseURL: "https://example.com/tasks/"})
	if c.URL() != "https://example.com/tasks" {
		t.Error(c.URL())
	}
}

// TestGoFunctions: they have no way to a server.
func TestGoFunctions(t *testing.T) {
	c := connect(t, client.Config{BaseURL: "http://127.0.0.1:1"})
	_, err := c.Submit(t.Context(), manager.FuncTask("f", func(context.Context, func(abi.Progress)) ([]byte, error) { return nil, nil }), client.SubmitOptions{})
	hasCode(t, err, abi.CodeInvalid)
}
