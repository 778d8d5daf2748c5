package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/sdk/go/sdktest"
)

func call(t *testing.T, c sdktest.Call, args string, f func() int32) (sdktest.Result, map[string]any) {
	t.Helper()
	c.Input = []byte(args)
	r := sdktest.Run(c, f)
	var reply map[string]any
	if r.Code == 0 {
		if err := json.Unmarshal(r.Output, &reply); err != nil {
			t.Fatalf("%s: %v", r.Output, err)
		}
	}
	return r, reply
}

func TestStatusHonoursVerbose(t *testing.T) {
	_, short := call(t, sdktest.Call{}, "", status)
	_, long := call(t, sdktest.Call{}, `{"verbose":true}`, status)
	if short["status"] != "ok" || short["sandbox"] != nil {
		t.Errorf("short: %v", short)
	}
	if sandbox, ok := long["sandbox"].(map[string]any); !ok || sandbox["log_level"] != "trace" {
		t.Errorf("verbose: %v", long)
	}
}

func TestEchoKeepsNumbersAsTheyAre(t *testing.T) {
	const args = `{"a":12345678901234567890,"b":"<é>","c":{"z":1,"y":[null,1.50]}}`
	r, _ := call(t, sdktest.Call{}, args, echo)
	if string(r.Output) != args {
		t.Errorf("got %s, want %s", r.Output, args)
	}
}

func TestWrongArgumentsAreInvalidInputThatNamesThem(t *testing.T) {
	for _, c := range []struct {
		f          func() int32
		args, want string
	}{
		{status, `{"verbos":true}`, `there is no argument "verbos"`},
		{status, `{"verbose":"yes"}`, `argument verbose: string where bool belongs`},
		{status, `[1]`, `not a JSON object`},
		{status, `{"verbose":true} more`, `something follows`},
		{count, `{"steps":-1}`, `argument steps: -1 is not between 0 and 1000000`},
		{count, `{"delay_ms":60001}`, `argument delay_ms`},
		{count, `{"work":2000000000}`, `argument work`},
		{summarize, `{}`, `argument text is missing`},
		{summarize, `{"text":"A.","sentences":51}`, `argument sentences`},
		{fetch, `{}`, `argument url is missing`},
		{fetch, `{"url":"file:///etc/passwd"}`, `not an http or https address`},
		{fetch, `{"url":"http://x/","method":"BREW"}`, `argument method`},
	} {
		r, _ := call(t, sdktest.Call{}, c.args, c.f)
		if r.Code != 1 || !r.Invalid || !strings.Contains(r.Error, c.want) {
			t.Errorf("%s: code %d, invalid %v, error %q; want %q", c.args, r.Code, r.Invalid, r.Error, c.want)
		}
	}
}

func TestCountReportsEachStep(t *testing.T) {
	r, reply := call(t, sdktest.Call{}, `{"steps":4,"work":1000}`, count)
	if len(r.Progress) != 5 || r.Progress[4].Fraction != 1 || r.Progress[2].Message != "counted to 2" {
		t.Errorf("progress %+v", r.Progress)
	}
	_, again := call(t, sdktest.Call{}, `{"steps":4,"work":1000,"delay_ms":1}`, count)
	if reply["counted"] != 4.0 || reply["checksum"] != again["checksum"] {
		t.Errorf("%v, then %v", reply, again)
	}
}

func TestCountStopsWhenCancelled(t *testing.T) {
	asked := 0
	r, _ := call(t, sdktest.Call{Cancelled: func() bool { asked++; return asked > 3 }}, `{"steps":1000000,"delay_ms":0}`, count)
	if r.Code != 1 || r.Error != "cancelled after 3 of 1000000 steps" {
		t.Errorf("code %d, %q", r.Code, r.Error)
	}
}

func TestFetch(t *testing.T) {
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain")
		switch r.URL.Path {
		case "/post":
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, r.Method+" "+r.Header.Get("X-Test")+" "+string(body))
		case "/binary":
			_, _ = w.Write([]byte{0xff, 0, 1})
		case "/long":
			_, _ = io.WriteString(w, "ééé")
		default:
			http.NotFound(w, r)
		}
	})
	for _, c := range []struct{ args, key, want string }{
		{`{"url":"http://h/post","method":"post","headers":{"X-Test":"1"},"body":"b"}`, "text", "POST 1 b"},
		{`{"url":"http://h/binary"}`, "base64", "/wAB"},
		{`{"url":"http://h/long","max_bytes":3}`, "text", "é"},
		{`{"url":"http://h/none"}`, "text", "404 page not found\n"},
	} {
		r, reply := call(t, sdktest.Call{HTTP: server}, c.args, fetch)
		if reply[c.key] != c.want {
			t.Errorf("%s: %s (%s)", c.args, r.Output, r.Error)
		}
		if len(r.Metrics) != 2 || r.Metrics[0].Name != "fetch_responses_total" {
			t.Errorf("%s: metrics %+v", c.args, r.Metrics)
		}
	}
}
