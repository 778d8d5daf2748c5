package host_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// lines are the levels and texts of what a result has of the log.
func lines(res abi.Result) (list []string) {
	for _, l := range res.Log {
		list = append(list, l.Level+" "+l.Text)
	}
	return list
}

// TestLogLines checks which lines a result has: those of this call at level info and above, whether or not the host's log takes them.
func TestLogLines(t *testing.T) {
	warn, debug := slog.LevelWarn, slog.LevelDebug
	for _, logger := range []*slog.Logger{nil, slogTo(&logBook{}), slogTo(&logBook{from: &warn}), slogTo(&logBook{from: &debug})} {
		h := newHost(t, host.Config{Logger: logger})
		for _, isolation := range []string{"pristine", "reuse", "fresh"} {
			swap(t, h, "logs", fmt.Sprintf(`{"taskhost": {"isolation": %q}}`, isolation))
			before := time.Now()
			res, err := h.Run(t.Context(), step(t, "logs:levels", ""), nil)
			if err != nil || !slices.Equal(lines(res), []string{"info at info", "warn at warn", "error at error"}) {
				t.Errorf("%s: the result has %q: %v", isolation, lines(res), err)
			}
			for _, l := range res.Log {
				if l.Time.Before(before) || l.Time.After(time.Now()) {
					t.Errorf("%s: %q was logged at %v", isolation, l.Text, l.Time)
				}
			}
			if res, err := h.Run(t.Context(), step(t, "logs", "0 0"), nil); err != nil || res.Log != nil {
				t.Errorf("%s: a call that logs nothing has %q: %v", isolation, lines(res), err)
			}
		}
	}
}

// TestLogLinesOfFailures checks that a call that fails has its lines, whatever ends it, and those of standard error.
func TestLogLinesOfFailures(t *testing.T) {
	h := newHost(t, host.Config{})
	swapCommand(t, h, "filter-c", "")
	for range 2 {
		res, err := h.Run(t.Context(), abi.Call{Plugin: "filter-c", Input: []byte("#fail 7\nx")}, nil)
		wantCode(t, err, abi.CodeFailed)
		if got := lines(res); !slices.Equal(got, []string{"info failed as asked"}) {
			t.Errorf("the result of a command that fails has %q", got)
		}
		if res, err := h.Run(t.Context(), abi.Call{Plugin: "filter-c", Input: []byte("Hello")}, nil); err != nil || res.Log != nil {
			t.Errorf("the next call has %q: %v", lines(res), err)
		}
	}
	for _, isolation := range []string{"pristine", "reuse", "fresh"} {
		swap(t, h, "logs", fmt.Sprintf(`{"timeout_ms": 20, "taskhost": {"isolation": %q}}`, isolation))
		res, err := h.Run(t.Context(), step(t, "logs:flood", ""), nil)
		wantCode(t, err, abi.CodeTimeout)
		if got := lines(res); len(got) != abi.MaxLogLines || got[0] != "info a message of a plugin that does not stop logging" {
			t.Errorf("%s: the result of a call that never ends has %d lines, %q", isolation, len(got), got)
		}
	}
	h = newHost(t, host.Config{Logger: slogTo(&logBook{}), Limits: abi.Limits{Log: 1000}})
	swap(t, h, "logs", "")
	res, err := h.Run(t.Context(), step(t, "logs", "100 400"), nil)
	wantCode(t, err, abi.CodeLogLimit)
	if len(res.Log) == 0 {
		t.Error("the result of a call that logs too much has no lines")
	}
}

// TestLogLinesOfStart checks that what a plugin logs when it is loaded is in no call's result, and what it logs while a sandbox is made
// for a call is in that one's.
func TestLogLinesOfStart(t *testing.T) {
	h := newHost(t, host.Config{})
	for isolation, want := range map[string][]string{"pristine": nil, "reuse": nil, "fresh": {"info it starts"}} {
		swap(t, h, "vars", fmt.Sprintf(`{"taskhost": {"isolation": %q}}`, isolation))
		for range 2 {
			res, err := h.Run(t.Context(), step(t, "vars:get", ""), nil)
			if err != nil || !slices.Equal(lines(res), want) {
				t.Errorf("%s: the result has %q, want %q: %v", isolation, lines(res), want, err)
			}
		}
	}
}

// TestLogLinesOfFailedStart checks that a call for which no sandbox can be made has what the plugin said of it.
func TestLogLinesOfFailedStart(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "vars", `{"taskhost": {"isolation": "fresh"}}`)
	res, err := h.Run(t.Context(), abi.Call{Plugin: "vars", Function: "get", Config: map[string]string{"trap": "yes"}}, nil)
	wantCode(t, err, abi.CodeTrap, "while it starts")
	if !slices.Equal(lines(res), []string{"info it starts"}) || res.Output != nil || res.Vars != nil {
		t.Errorf("the result is %+v", res)
	}
}

// TestLogLinesBounds checks how many lines there are, the last ones, and how long they are.
func TestLogLinesBounds(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "logs", `{"taskhost": {"isolation": "reuse"}}`)
	for _, c := range []struct {
		input string
		lines int
		text  string // of each
	}{
		{"1 0", 1, ""},
		{"1 512", 1, strings.Repeat("l", 512)},
		{"1 513", 1, strings.Repeat("l", 509) + "…"},
		{"1 60000", 1, strings.Repeat("l", 509) + "…"},
		{"19 10", 19, "llllllllll"},
		{"20 10", 20, "llllllllll"},
		{"21 1", 20, "l"},
		{"1000 1000", 20, strings.Repeat("l", 509) + "…"},
	} {
		res, err := h.Run(t.Context(), step(t, "logs", c.input), nil)
		if err != nil || len(res.Log) != c.lines {
			t.Fatalf("%s: %d lines, want %d: %v", c.input, len(res.Log), c.lines, err)
		}
		for _, l := range res.Log {
			if l.Text != c.text || l.Level != "info" {
				t.Errorf("%s: a line %q at %s, want %q", c.input, l.Text, l.Level, c.text)
			}
		}
	}
	for _, count := range []int{1, 19, 20, 21, 45, 1000} {
		res, err := h.Run(t.Context(), step(t, "logs:numbers", fmt.Sprint(count)), nil)
		var want []string
		for n := max(1, count-abi.MaxLogLines+1); n <= count; n++ {
			want = append(want, fmt.Sprintf("warn %d", n))
		}
		if err != nil || !slices.Equal(lines(res), want) {
			t.Errorf("of %d lines the result has %q: %v", count, lines(res), err)
		}
	}
	res, err := h.Run(t.Context(), step(t, "logs:inject", ""), nil)
	if err != nil || len(res.Log) != 1 || !utf8.ValidString(res.Log[0].Text) || !strings.HasPrefix(res.Log[0].Text, "first line\nlevel=ERROR") {
		t.Errorf("the lines are %q: %v", lines(res), err)
	}
	if first, err := h.Run(t.Context(), step(t, "logs", "2 4"), nil); err != nil || first.Log[0].Text != "llll" || res.Log[0].Text == "llll" {
		t.Errorf("the lines are %q, and those of the call before %q: %v", lines(first), lines(res), err)
	}
}
