//go:build !wasip1

package taskhost_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/taskhost/taskhost/abi"
	taskhost "github.com/taskhost/taskhost/sdk/go"
	"github.com/taskhost/taskhost/sdk/go/sdktest"
)

// run makes a call of a function that only does something.
func run(c sdktest.Call, f func() error) sdktest.Result {
	return sdktest.Run(c, func() int32 {
		return taskhost.Process(func([]byte) ([]byte, error) { return nil, f() })
	})
}

func TestWaysToFail(t *testing.T) {
	cause, r := errors.New("cause"), "abc"
	for _, c := range []struct {
		name    string
		f       func() error
		message string
		invalid bool
	}{
		{"error", func() error { return cause }, "cause", false},
		{"invalid input", func() error { return taskhost.InvalidInput(cause) }, "cause", true},
		{"invalid input, wrapped", func() error { return fmt.Errorf("line 3: %w", taskhost.InvalidInput(cause)) }, "line 3: cause", true},
		{"cancelled", func() error { return taskhost.ErrCancelled }, "cancelled", false},
		{"panic", func() error { panic("oh") }, "panic: oh (taskhost_test.go:41)", false},
		{"panic with an error", func() error { panic(cause) }, "panic: cause (taskhost_test.go:42)", false},
		{"runtime panic", func() error { return fmt.Errorf("%d", []int{1}[len(r)]) }, "panic: runtime error: index out of range [3] with length 1 (taskhost_test.go:43)", false},
	} {
		r := run(sdktest.Call{}, c.f)
		if r.Code != 1 || r.Error != c.message || r.Invalid != c.invalid || r.Output != nil {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	if taskhost.InvalidInput(nil) != nil {
		t.Error("InvalidInput(nil) is not nil")
	}
	if !errors.Is(taskhost.InvalidInput(cause), cause) {
		t.Error("InvalidInput hides its cause")
	}
}

func TestAPanicLogsItsStack(t *testing.T) {
	r := run(sdktest.Call{}, func() error { return fallOver(nil) })
	if len(r.Logs) != 1 || !strings.HasPrefix(r.Logs[0], "error: ") || !strings.Contains(r.Logs[0], "fallOver") {
		t.Errorf("logs %q", r.Logs)
	}
}

func fallOver(p *int) error { return fmt.Errorf("%d", *p) }

func TestProcessTakesAndGivesBytesOrText(t *testing.T) {
	type name string
	for _, f := range []func() int32{
		func() int32 { return taskhost.Process(func(b []byte) ([]byte, error) { return append(b, '!'), nil }) },
		func() int32 { return taskhost.Process(func(s string) (string, error) { return s + "!", nil }) },
		func() int32 { return taskhost.Process(func(b []byte) (string, error) { return string(b) + "!", nil }) },
		func() int32 { return taskhost.Process(func(s name) ([]byte, error) { return []byte(s + "!"), nil }) },
	} {
		if r := sdktest.Run(sdktest.Call{Input: []byte("é\xff")}, f); string(r.Output) != "é\xff!" {
			t.Errorf("got %q", r.Output)
		}
	}
}

func TestActionTakesOneObjectAndGivesOne(t *testing.T) {
	type args struct {
		N    int      `json:"n"`
		List []string `json:"list"`
		In   struct {
			Deep bool `json:"deep"`
		} `json:"in"`
	}
	typed := func() int32 { return taskhost.Action(func(a args) (args, error) { return a, nil }) }
	for _, c := range []struct{ in, want string }{
		{` {"n":1,"list":["<a>"],"in":{"deep":true}} `, `{"n":1,"list":["<a>"],"in":{"deep":true}}`},
		{"", `{"n":0,"list":null,"in":{"deep":false}}`},
	} {
		if r := sdktest.Run(sdktest.Call{Input: []byte(c.in)}, typed); string(r.Output) != c.want {
			t.Errorf("%s: got %s (%s)", c.in, r.Output, r.Error)
		}
	}
	for _, c := range []struct{ in, want string }{
		{`7`, "the arguments are not a JSON object"},
		{`null`, "the arguments are not a JSON object"},
		{`{"n":`, "the arguments are not a JSON object: unexpected EOF"},
		{`{"m":1}`, `there is no argument "m"`},
		{`{"n":"1"}`, "argument n: string where integer belongs"},
		{`{"in":{"deep":1}}`, "argument in.deep: number where bool belongs"},
		{`{} {}`, "something follows the JSON object of the arguments"},
	} {
		if r := sdktest.Run(sdktest.Call{Input: []byte(c.in)}, typed); r.Code != 1 || !r.Invalid || r.Error != c.want {
			t.Errorf("%s: %d %v %q, want %q", c.in, r.Code, r.Invalid, r.Error, c.want)
		}
	}
	needs := func() int32 {
		type args struct {
			Name string `json:"name" taskhost:"required"`
		}
		return taskhost.Action(func(a args) (args, error) { return a, nil })
	}
	for in, want := range map[string]string{`{"name":""}`: "", ``: "argument name is missing", `{"name":null}`: "argument name is missing"} {
		if r := sdktest.Run(sdktest.Call{Input: []byte(in)}, needs); r.Error != want || r.Invalid != (want != "") {
			t.Errorf("%s: %v %q, want %q", in, r.Invalid, r.Error, want)
		}
	}
	for _, c := range []struct {
		reply     any
		out, fail string
	}{
		{map[string]any(nil), "{}", ""},
		{map[string]any{"a": 1}, `{"a":1}`, ""},
		{[]int{1}, "", "the action's result is a []int, which is not a JSON object"},
		{math.NaN(), "", "the action's result is not JSON: json: unsupported value: NaN"},
	} {
		r := sdktest.Run(sdktest.Call{}, func() int32 {
			return taskhost.Action(func(map[string]any) (any, error) { return c.reply, nil })
		})
		if string(r.Output) != c.out || r.Error != c.fail {
			t.Errorf("%v: %s, %q", c.reply, r.Output, r.Error)
		}
	}
}

func TestConfigAndVars(t *testing.T) {
	c := sdktest.Call{Config: map[string]string{"a": "1", "empty": ""}, Vars: map[string][]byte{"old": []byte("x"), "gone": []byte("y")}}
	r := run(c, func() error {
		if v, ok := taskhost.Config("a"); !ok || v != "1" {
			t.Errorf("a: %q, %v", v, ok)
		}
		for _, key := range []string{"empty", "none"} {
			if v, ok := taskhost.Config(key); ok || v != "" {
				t.Errorf("%s: %q, %v", key, v, ok)
			}
		}
		if v, ok := taskhost.Var("old"); !ok || string(v) != "x" {
			t.Errorf("old: %q, %v", v, ok)
		}
		taskhost.SetVar("new", []byte("z"))
		taskhost.SetVar("gone", nil)
		_, ok := taskhost.Var("gone")
		if ok {
			t.Error("gone is there")
		}
		return nil
	})
	if want := map[string][]byte{"old": []byte("x"), "new": []byte("z")}; !reflect.DeepEqual(r.Vars, want) {
		t.Errorf("vars %q", r.Vars)
	}
}

func TestCheckpoints(t *testing.T) {
	for _, c := range []struct {
		what string
		call sdktest.Call
		f    func() error
		want string // what the next attempt begins with
		says string // the error
	}{
		{"nothing", sdktest.Call{}, func() error { return loads("") }, "", ""},
		{"loads", sdktest.Call{Checkpoint: []byte("old")}, func() error { return loads("old") }, "old", ""},
		{"saves", sdktest.Call{Checkpoint: []byte("old")}, func() error {
			return errors.Join(taskhost.SaveCheckpoint([]byte("one")), taskhost.SaveCheckpoint([]byte("two")), loads("two"))
		}, "two", ""},
		{"saves and fails", sdktest.Call{}, func() error { return errors.Join(taskhost.SaveCheckpoint([]byte("one")), io.EOF) }, "one", "EOF"},
		{"forgets", sdktest.Call{Checkpoint: []byte("old")}, func() error { return errors.Join(taskhost.SaveCheckpoint(nil), loads("")) }, "", ""},
		{"changes what it has", sdktest.Call{Checkpoint: []byte("old")}, func() error {
			state := []byte("new")
			err := taskhost.SaveCheckpoint(state)
			copy(state, "xxx")
			copy(taskhost.LoadCheckpoint(), "yyy")
			return errors.Join(err, loads("new"))
		}, "new", ""},
		{"as much as it may", sdktest.Call{}, func() error { return taskhost.SaveCheckpoint(make([]byte, abi.MaxCheckpoint)) },
			string(make([]byte, abi.MaxCheckpoint)), ""},
		{"too much", sdktest.Call{Checkpoint: []byte("old")}, func() error {
			err := taskhost.SaveCheckpoint(make([]byte, abi.MaxCheckpoint+1))
			return errors.Join(err, loads("old"))
		}, "old", "checkpoint: it has 65537 bytes, at most 65536 are kept; save less, such as where to go on"},
		{"not kept", sdktest.Call{Checkpoint: []byte("old"), Save: func(state []byte) error { return fmt.Errorf("%s: disk full", state) }}, func() error {
			return errors.Join(taskhost.SaveCheckpoint([]byte("new")), loads("old"))
		}, "old", "checkpoint: new: disk full"},
	} {
		r := run(c.call, c.f)
		if string(r.Checkpoint) != c.want || r.Error != c.says || (r.Checkpoint == nil) != (c.want == "") {
			t.Errorf("%s: the next attempt begins with %.40q, the error is %q", c.what, r.Checkpoint, r.Error)
		}
	}
}

// loads is an error if the checkpoint is another one.
func loads(want string) error {
	if got := taskhost.LoadCheckpoint(); string(got) != want {
		return fmt.Errorf("the checkpoint is %q, want %q", got, want)
	}
	return nil
}

func TestMetrics(t *testing.T) {
	r := run(sdktest.Call{}, func() error {
		return errors.Join(
			taskhost.MetricAdd("pages_total", 2, taskhost.Labels{"kind": "a"}),
			taskhost.MetricSet("level", -1, nil),
			taskhost.MetricObserve("seconds", 0.5, nil),
		)
	})
	want := []abi.Metric{
		{Kind: abi.MetricAdd, Name: "pages_total", Value: 2, Labels: map[string]string{"kind": "a"}},
		{Kind: abi.MetricSet, Name: "level", Value: -1},
		{Kind: abi.MetricObserve, Name: "seconds", Value: 0.5},
	}
	if r.Code != 0 || !reflect.DeepEqual(r.Metrics, want) {
		t.Errorf("%q, %+v", r.Error, r.Metrics)
	}
	_ = run(sdktest.Call{}, func() error {
		for _, err := range []error{
			taskhost.MetricAdd("Pages", 1, nil), taskhost.MetricAdd("", 1, nil), taskhost.MetricAdd(strings.Repeat("a", 65), 1, nil),
			taskhost.MetricAdd("a", -1, nil), taskhost.MetricSet("a", math.NaN(), nil), taskhost.MetricObserve("a", math.Inf(1), nil),
		} {
			if err == nil {
				t.Error("taken")
			}
		}
		return nil
	})
}

func TestProgressIsClamped(t *testing.T) {
	r := run(sdktest.Call{}, func() error {
		taskhost.Progress(5, 3, "")
		taskhost.Progress(-1, -1, "m")
		taskhost.Progress(math.MaxInt, math.MaxInt, "")
		taskhost.ProgressFraction(1.5, "")
		return nil
	})
	want := []abi.Progress{
		{Fraction: 1, Step: 3, Total: 3}, {Message: "m"}, {Fraction: 1, Step: math.MaxInt32, Total: math.MaxInt32}, {Fraction: 1},
	}
	if !slices.Equal(r.Progress, want) {
		t.Errorf("%+v", r.Progress)
	}
}

func TestLog(t *testing.T) {
	r := run(sdktest.Call{}, func() error {
		taskhost.Log(taskhost.LevelTrace, "a")
		taskhost.Log(taskhost.LevelWarn, "b %d", 1)
		return nil
	})
	if !slices.Equal(r.Logs, []string{"trace: a", "warn: b 1"}) {
		t.Errorf("%q", r.Logs)
	}
}

func TestHTTP(t *testing.T) {
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Header.Get("X-Sent"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, body)
	})
	r := run(sdktest.Call{HTTP: server}, func() error {
		got, err := taskhost.HTTP(taskhost.Request{Method: "PUT", URL: "http://h/p?q", Headers: map[string]string{"X-Sent": "1"}, Body: []byte("b")})
		if err != nil || got.Status != http.StatusTeapot || got.Headers["x-seen"] != "1" || string(got.Body) != "PUT http://h/p?q b" {
			t.Errorf("%+v, %v", got, err)
		}
		got, err = taskhost.HTTP(taskhost.Request{URL: "http://h/"})
		if err != nil || string(got.Body) != "GET http://h/ " {
			t.Errorf("%+v, %v", got, err)
		}
		return nil
	})
	if r.Code != 0 {
		t.Error(r.Error)
	}
	if r := run(sdktest.Call{}, func() error { _, err := taskhost.HTTP(taskhost.Request{URL: "http://h/"}); return err }); r.Code != 1 {
		t.Error("a request without a server is no error")
	}
}

func TestOutsideOfACallNothingHappens(t *testing.T) {
	taskhost.Progress(1, 2, "x")
	taskhost.Log(taskhost.LevelInfo, "x")
	taskhost.SetVar("a", []byte("b"))
	if _, ok := taskhost.Var("a"); ok || taskhost.Cancelled() {
		t.Error("there is a host")
	}
	if err := errors.Join(taskhost.MetricAdd("a", 1, nil), taskhost.SaveCheckpoint([]byte("b")), loads("")); err != nil {
		t.Error(err)
	}
}

func TestHammerCallsFromManyGoroutines(t *testing.T) {
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			input := strings.Repeat("x", i)
			for range 100 {
				r := sdktest.Run(sdktest.Call{Input: []byte(input)}, func() int32 {
					return taskhost.Process(func(s string) (string, error) {
						var inside sync.WaitGroup
						for k := range 4 {
							inside.Go(func() { taskhost.Progress(k, 4, ""); taskhost.SetVar("k", []byte{1}) })
						}
						inside.Wait()
						return s, nil
					})
				})
				if string(r.Output) != input || len(r.Progress) != 4 {
					t.Errorf("%d: %q, %d reports", i, r.Output, len(r.Progress))
				}
			}
		})
	}
	all.Wait()
}
