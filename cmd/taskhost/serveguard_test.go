package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// guardServer serves a handler as a server does, and returns what the log gets.
func guardServer(t *testing.T, h http.HandlerFunc) (*service, *httptest.Server, *bytes.Buffer) {
	t.Helper()
	out := &bytes.Buffer{}
	s := &service{log: newServeLog(&console{w: out}, "info", "text")}
	srv := httptest.NewUnstartedServer(s.guard(h))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return s, srv, out
}

// TestStopWaitsForHandlers has a handler that works on after its connection was cut off.
func TestStopWaitsForHandlers(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	s, srv, _ := guardServer(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		<-end
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := srv.Client().Get(srv.URL); err == nil {
			_ = res.Body.Close()
			t.Error("it was answered")
		}
	}()
	<-began
	_ = srv.Config.Close()
	<-done
	if n := s.answered(20 * time.Millisecond); n != 1 {
		t.Errorf("%d requests are being answered", n)
	}
	time.AfterFunc(20*time.Millisecond, func() { close(end) })
	if n := s.answered(time.Minute); n != 0 {
		t.Errorf("%d requests are being answered", n)
	}
}

func TestPanicsAreToldAndAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		handler       http.HandlerFunc
		answered, log bool
	}{
		"before the answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "7")
			w.Header().Set("Set-Cookie", "a=b")
			panic("a fault")
		}, true, true},
		"in the answer": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "begun")
			panic(errors.New("a fault"))
		}, false, true},
		"after its head": {func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			panic("a fault")
		}, false, true},
		"on purpose": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, srv, out := guardServer(t, c.handler)
			res, err := srv.Client().Get(srv.URL + "/page")
			var data []byte
			if err == nil {
				data, err = io.ReadAll(res.Body)
				_ = res.Body.Close()
			}
			srv.Close() // waits for the handler
			if c.answered {
				var p struct{ Code, Detail string }
				if err != nil || res.StatusCode != http.StatusInternalServerError || res.Header.Get("Content-Type") != "application/problem+json" || res.Header.Get("Set-Cookie") != "" ||
					json.Unmarshal(data, &p) != nil || p.Code != "internal" || strings.Contains(string(data), "a fault\"") {
					t.Errorf("%v, %+v, %s", err, res, data)
				}
			} else if err == nil {
				t.Errorf("the answer seems to be whole: %d %q", res.StatusCode, data)
			}
			if told := strings.Contains(out.String(), `level=ERROR msg="a request's handler panicked" method=GET path=/page panic="a fault" stack=`) &&
				strings.Contains(out.String(), "serveguard_test.go"); told != c.log || !c.log && out.Len() > 0 {
				t.Errorf("the log: %s", out.String())
			}
		})
	}
}
