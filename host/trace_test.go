package host_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID      = "00f067aa0ba902b7"
	traceParent = "00-" + traceID + "-" + spanID + "-01"
)

// TestTraceParent checks that a call's traceparent goes out with its guest's requests, and what events tell of them.
func TestTraceParent(t *testing.T) {
	got := make(chan []string, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Values("Traceparent")
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(web.Close)
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on})
	swap(t, h, "env", `{"allowed_hosts": ["127.0.0.1"]}`)
	call := abi.Call{Plugin: "env", Function: "http_post", Task: "t-1", Step: 2, Attempt: 3}
	for n, c := range []struct{ parent, headers, want string }{
		{traceParent, ``, traceParent},
		{traceParent, `, "headers": {"X-Ask": "please"}`, traceParent},
		{traceParent, `, "headers": {"TraceParent": "mine"}`, "mine"},
		{"", ``, ""},
		{"00-bad\r\nX: y", ``, ""},
	} {
		call.TraceParent = c.parent
		call.Input = fmt.Appendf(nil, `{"url": "%s/a/secret?token=x", "method": "post" %s}`, strings.Replace(web.URL, "//", "//user:secret@", 1), c.headers)
		if _, err := h.Run(t.Context(), call, nil); err != nil {
			t.Fatal(err)
		}
		if sent := strings.Join(<-got, "|"); sent != c.want {
			t.Errorf("%q, %s: sent %q, want %q", c.parent, c.headers, sent, c.want)
		}
		e := events.nth(t, host.EventHTTP, n+1)
		want := host.HTTP{Method: "POST", Host: strings.TrimPrefix(web.URL, "http://"), Status: http.StatusTeapot}
		if e.HTTP != want || e.Err != nil || e.Duration <= 0 || e.Plugin != "env" || e.Function != "http_post" || e.Version == "" {
			t.Errorf("the event is %+v", e)
		}
		for _, e := range []host.Event{e, events.nth(t, host.EventCall, n+1)} {
			if e.Task != "t-1" || e.Step != 2 || e.Attempt != 3 || e.TraceParent != c.parent {
				t.Errorf("the event %s is of task %q, step %d, attempt %d, trace %q", e.Kind, e.Task, e.Step, e.Attempt, e.TraceParent)
			}
		}
	}
}

// TestHTTPEventsOfFailures checks that what a guest asks for is told, whatever becomes of it, and that its words are bounded.
func TestHTTPEventsOfFailures(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on})
	swap(t, h, "env", `{"allowed_hosts": ["127.0.0.1"]}`)
	for n, c := range []struct {
		request string
		code    abi.Code
		want    host.HTTP
	}{
		{`{"url": "http://example.com/"}`, abi.CodeDenied, host.HTTP{Method: "GET", Host: "example.com"}},
		{`{"url": "http://127.0.0.1:1/", "method": "MADE-UP"}`, abi.CodeUnavailable, host.HTTP{Method: "_OTHER", Host: "127.0.0.1:1"}},
		{`{"url": "http://\u0000/"}`, abi.CodeInvalid, host.HTTP{Method: "GET"}},
		{`{"url": "http://` + strings.Repeat("x", 1000) + `/"}`, abi.CodeInvalid, host.HTTP{Method: "GET", Host: strings.Repeat("x", 97) + "…"}},
	} {
		fails(t, h, "env:http", c.request, c.code)
		if e := events.nth(t, host.EventHTTP, n+1); e.HTTP != c.want || abi.CodeOf(e.Err) != c.code {
			t.Errorf("%.60s: %+v, %v", c.request, e.HTTP, e.Err)
		}
	}
}

// TestGuestLogsNameTheTrace: whoever looks at a trace finds the lines of its guests.
func TestGuestLogsNameTheTrace(t *testing.T) {
	logs := &logBook{}
	h := newHost(t, host.Config{Logger: slogTo(logs)})
	swap(t, h, "logs", "")
	if _, err := h.Run(t.Context(), abi.Call{Plugin: "logs", Function: "levels", Task: "t-9", TraceParent: traceParent}, nil); err != nil {
		t.Fatal(err)
	}
	for _, attr := range [][2]string{{"trace_id", traceID}, {"span_id", spanID}, {"task", "t-9"}} {
		if got := logs.messages(attr[0], attr[1]); len(got) != 5 {
			t.Errorf("%d lines have %s %s", len(got), attr[0], attr[1])
		}
	}
}
