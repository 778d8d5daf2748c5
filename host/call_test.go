package host_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// TestRunEcho checks that inputs of many sizes come back whole, whichever way the guest takes.
func TestRunEcho(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "echo", `{"taskhost": {"isolation": "reuse"}}`)
	for _, function := range []string{"process", "by_eight", "same"} {
		for _, n := range []int{0, 1, 7, 8, 9, 15, 16, 17, 1000, 65535, 65536, 65537, 1 << 20} {
			in := bytes.Repeat([]byte("0123456789abcdef-"), n/17+1)[:n]
			res, err := h.Run(t.Context(), abi.Call{Plugin: "echo", Function: function, Input: in}, nil)
			if err != nil {
				t.Fatalf("%s of %d bytes: %v", function, n, err)
			}
			if !bytes.Equal(res.Output, in) {
				t.Errorf("%s of %d bytes gives %d other bytes", function, n, len(res.Output))
			}
		}
	}
}

// TestRunLeavesInputAlone checks that the output is no view of the input, nor of what the next call uses.
func TestRunLeavesInputAlone(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "echo", `{"taskhost": {"isolation": "reuse"}}`)
	in := []byte("first")
	first, err := h.Run(t.Context(), abi.Call{Plugin: "echo", Function: "same", Input: in}, nil)
	if err != nil {
		t.Fatal(err)
	}
	copy(first.Output, "FIRST")
	if string(in) != "first" {
		t.Error("writing to the output changed the input")
	}
	run(t, h, "echo:same", "other")
	if string(first.Output) != "FIRST" {
		t.Errorf("the next call changed the output of the one before to %q", first.Output)
	}
}

// TestRunChoosesFunction checks the function that runs when none is named: process, else the only one.
func TestRunChoosesFunction(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "echo", "")
	swap(t, h, "noop", "")
	swap(t, h, "signatures", "")
	for plugin, want := range map[string]string{"echo": "process", "noop": "noop"} {
		res, err := h.Run(t.Context(), abi.Call{Plugin: plugin}, nil)
		if err != nil || res.Function != want {
			t.Errorf("the default function of %s is %q, want %q: %v", plugin, res.Function, want, err)
		}
		if got := info(t, h, plugin).Default; got != want {
			t.Errorf("Inspect says that the default function of %s is %q", plugin, got)
		}
	}
	e := fails(t, h, "signatures", "", abi.CodeInvalid)
	wantCode(t, e, abi.CodeInvalid, "signatures:FUNCTION", "nothing", "one", "_hidden")
	if got, want := functionNames(info(t, h, "signatures")), []string{"_hidden", "nothing", "one"}; !slices.Equal(got, want) {
		t.Errorf("the functions of signatures are %q, want %q", got, want)
	}
	for _, function := range []string{"nothing", "one", "_hidden"} {
		run(t, h, "signatures:"+function, "")
	}
	for _, function := range []string{"parameters", "wide", "two", "float", "memory", "table", "counter"} {
		fails(t, h, "signatures:"+function, "", abi.CodeNotFound)
	}
}

// TestRunUnknown checks the errors for plugins and functions that are not there.
func TestRunUnknown(t *testing.T) {
	h := newHost(t, host.Config{})
	e := fails(t, h, "echo", "", abi.CodeNotFound)
	wantCode(t, e, abi.CodeNotFound, "none")
	swap(t, h, "echo", "")
	swap(t, h, "trap", "")
	e = fails(t, h, "ehco", "", abi.CodeNotFound)
	wantCode(t, e, abi.CodeNotFound, "did you mean echo?", "echo, trap", "plugin ehco")
	e = fails(t, h, "something-else", "", abi.CodeNotFound)
	if strings.Contains(e.Message, "did you mean") {
		t.Errorf("a suggestion for a name that is like no other: %v", e)
	}
	e = fails(t, h, "echo:proces", "", abi.CodeNotFound)
	wantCode(t, e, abi.CodeNotFound, "did you mean process?", "by_eight, process, same", "plugin echo:proces")
	for _, name := range []string{"", "../echo", strings.Repeat("x", 1<<16), "\xff\x00"} {
		_, err := h.Run(t.Context(), abi.Call{Plugin: name}, nil)
		wantCode(t, err, abi.CodeNotFound)
	}
	_, err := h.Run(t.Context(), abi.Call{Plugin: "echo", Function: "memory"}, nil)
	wantCode(t, err, abi.CodeNotFound)
	_, err = h.Inspect("nobody")
	wantCode(t, err, abi.CodeNotFound, "plugin nobody")
	_, err = h.Versions("nobody")
	wantCode(t, err, abi.CodeNotFound)
	_, err = h.Rollback(t.Context(), "nobody")
	wantCode(t, err, abi.CodeNotFound)
}

// TestRunNamesTask checks that errors carry the names of their call.
func TestRunNamesTask(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "fail", "")
	_, err := h.Run(t.Context(), abi.Call{Plugin: "fail", Input: []byte("no luck"), Task: "t-1", Step: 3}, nil)
	e := abi.AsError(err)
	if e.Plugin != "fail" || e.Func != "process" || e.Task != "t-1" || e.Step != 3 {
		t.Errorf("the error has other names: %+v", e)
	}
	if want := "task t-1: step 3: plugin fail:process: no luck"; e.Error() != want {
		t.Errorf("the error says %q, want %q", e, want)
	}
}

// TestGuestFails checks the ways in which guests say that they failed.
func TestGuestFails(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "fail", "")
	swap(t, h, "exit", "")
	for _, c := range []struct {
		step, input string
		code        abi.Code
		exit        uint32
		message     string
	}{
		{"fail", "disk full", abi.CodeFailed, 1, "disk full"},
		{"fail:code", "7", abi.CodeFailed, 7, "it returned 7 and set no error message"},
		{"fail:code", "4294967295", abi.CodeFailed, math.MaxUint32, "it returned 4294967295 and set no error message"},
		{"fail:invalid", "not a date", abi.CodeInvalid, 1, "not a date"},
		{"fail:message_only", "", abi.CodeFailed, 0, "a message, and yet 0"},
		{"fail:with_output", "", abi.CodeFailed, 1, "stopped half way"},
		{"fail:gives_up", "panic: no luck", abi.CodeFailed, 0, "panic: no luck"},
		{"fail:refuses", "not a date", abi.CodeInvalid, 0, "not a date"},
		{"fail", strings.Repeat("x", 60_000), abi.CodeFailed, 1, ""},
		{"fail", "bad \xff\xfe utf-8", abi.CodeFailed, 1, ""},
		{"fail", "", abi.CodeFailed, 1, "it returned 1 and set no error message"},
		{"exit", "3", abi.CodeFailed, 3, ""},
		{"exit", "255", abi.CodeFailed, 255, ""},
	} {
		e := fails(t, h, c.step, c.input, c.code)
		if e.Exit != c.exit {
			t.Errorf("%s(%.20q): the exit code is %d, want %d", c.step, c.input, e.Exit, c.exit)
		}
		if c.message != "" && e.Message != c.message {
			t.Errorf("%s(%.20q): the message is %q, want %q", c.step, c.input, e.Message, c.message)
		}
		if len(e.Message) > 5000 || !utf8.ValidString(e.Message) {
			t.Errorf("%s(%.20q): the message has %d bytes or is no UTF-8", c.step, c.input, len(e.Message))
		}
		if got := run(t, h, "fail:fine", ""); got != "fine" {
			t.Errorf("after %s the next call gives %q", c.step, got)
		}
	}
	if got := run(t, h, "exit", "0"); got != "before" {
		t.Errorf("exit with code 0 gives %q, want the output that was set before", got)
	}
}

// TestGuestTraps checks that each trap is named, and that the detail shows where it was.
func TestGuestTraps(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "trap", "")
	for function, want := range map[string]string{
		"unreachable":            "unreachable",
		"divide_by_zero":         "integer divide by zero",
		"overflow":               "integer overflow",
		"convert":                "invalid conversion to integer",
		"load_out_of_bounds":     "out of bounds memory access",
		"store_out_of_bounds":    "out of bounds memory access",
		"fill_out_of_bounds":     "out of bounds memory access",
		"init_out_of_bounds":     "out of bounds memory access",
		"indirect_out_of_bounds": "invalid table access",
		"indirect_null":          "invalid table access",
		"indirect_type":          "indirect call type mismatch",
	} {
		e := fails(t, h, "trap:"+function, "", abi.CodeTrap)
		if e.Message != "it trapped: "+want {
			t.Errorf("%s: the message is %q, want the trap %q", function, e.Message, want)
		}
		if e.Detail != function {
			t.Errorf("%s: the detail is %q, want a stack of the function alone", function, e.Detail)
		}
		if e.Err == nil {
			t.Errorf("%s: the error has no cause", function)
		}
	}
	swap(t, h, "fail", "")
	if e := fails(t, h, "fail:gives_up", "", abi.CodeTrap); e.Message != "it trapped: unreachable" {
		t.Errorf("without a message of its own, the message is %q", e.Message)
	}
	if e := fails(t, h, "fail:gives_up", "no luck", abi.CodeFailed); e.Detail != "gives_up\ninput (7 bytes): \"no luck\"" {
		t.Errorf("the detail is %q, want the stack, which is the function alone, and the input", e.Detail)
	}
	e := fails(t, h, "trap", "trap", abi.CodeTrap)
	first, second, third := strings.Index(e.Detail, "first"), strings.Index(e.Detail, "second"), strings.Index(e.Detail, "third")
	if third < 0 || second < third || first < second {
		t.Errorf("the detail does not show third, second, first: %s", e.Detail)
	}
	if got := run(t, h, "trap", "fine"); got != "fine" {
		t.Errorf("after the traps a call gives %q", got)
	}
}

// TestRunResult checks what a result tells besides the output, of calls that succeed and of those that fail.
func TestRunResult(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on})
	wasm := guest(t, "trap")
	sum := sha256.Sum256(wasm)
	want := abi.Digest("sha256:" + hex.EncodeToString(sum[:]))
	if v := swap(t, h, "trap", ""); v.Digest != want || !v.Current || v.Size != int64(len(wasm)) {
		t.Errorf("Swap says %+v, want the file's sha256 %s", v, want)
	}
	for _, c := range []struct {
		function, input string
		code            abi.Code
	}{{"", "x", ""}, {"", "trap", abi.CodeTrap}, {"unreachable", "", abi.CodeTrap}} {
		res, err := h.Run(t.Context(), abi.Call{Plugin: "trap", Function: c.function, Input: []byte(c.input), Task: "t"}, nil)
		wantCode(t, err, c.code)
		function := c.function
		if function == "" {
			function = "process"
		}
		if res.Version != want || res.Function != function {
			t.Errorf("%+v: version %s, function %q", c, res.Version, res.Function)
		}
		if res.Usage.Duration <= 0 || res.Usage.PeakMemory < 65536 || res.Usage.PeakMemory > 1<<20 || res.Usage.Wait < 0 {
			t.Errorf("%+v: usage %+v", c, res.Usage)
		}
		if err != nil && res.Output != nil {
			t.Errorf("%+v: an output beside an error: %q", c, res.Output)
		}
		calls := events.all(host.EventCall)
		e := calls[len(calls)-1]
		if e.Function != function || e.Version != want || e.Task != "t" || e.Usage != res.Usage || (e.Err == nil) != (err == nil) {
			t.Errorf("%+v: the event is %+v", c, e)
		}
	}
	res, err := h.Run(t.Context(), abi.Call{Plugin: "trap", Function: "nothing"}, nil)
	if wantCode(t, err, abi.CodeNotFound); res.Version != want || res.Function != "nothing" {
		t.Errorf("for an unknown function the result is %+v", res)
	}
}

// TestUsageIsDeterministic checks that ticks do not depend on when a call runs, and that they grow with the work.
func TestUsageIsDeterministic(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "echo", "")
	ticks := func(n int) uint64 {
		res, err := h.Run(t.Context(), abi.Call{Plugin: "echo", Function: "by_eight", Input: make([]byte, n)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return res.Usage.Ticks
	}
	small, large := ticks(800), ticks(80_000)
	if small == 0 || large < 50*small {
		t.Errorf("100 times the work costs %d ticks, once %d", large, small)
	}
	for range 3 {
		if got := ticks(800); got != small {
			t.Errorf("the same call costs %d ticks, then %d", small, got)
		}
	}
}

// TestProgress checks what reaches the report function, and that it may be nil.
func TestProgress(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "progress", "")
	reports := func(function, input string) (list []abi.Progress) {
		_, err := h.Run(t.Context(), abi.Call{Plugin: "progress", Function: function, Input: []byte(input)}, func(p abi.Progress) { list = append(list, p) })
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	list := reports("process", "4")
	if len(list) != 4 {
		t.Fatalf("%d reports, want 4: %v", len(list), list)
	}
	for n, p := range list {
		want := abi.Progress{Fraction: float64(n+1) / 4, Step: n + 1, Total: 4, Message: fmt.Sprintf("step %d", n+1)}
		if p != want {
			t.Errorf("report %d is %+v, want %+v", n, p, want)
		}
	}
	odd := reports("odd", "")
	if len(odd) != 12 {
		t.Fatalf("%d odd reports: %v", len(odd), odd)
	}
	want := []abi.Progress{
		{Fraction: 1, Step: 3, Total: 3}, {}, {}, {Step: 1}, {Fraction: 1, Step: math.MaxInt32, Total: math.MaxInt32},
		{}, {Fraction: 1}, {Fraction: 1}, {},
	}
	for n, p := range odd {
		if n < len(want) && p != want[n] {
			t.Errorf("odd report %d is %+v, want %+v", n, p, want[n])
		}
		if len(p.Message) > abi.MaxProgressMessage || !utf8.ValidString(p.Message) {
			t.Errorf("odd report %d has a message of %d bytes: %.20q", n, len(p.Message), p.Message)
		}
	}
	if !strings.HasPrefix(odd[9].Message, "mmmm") || !strings.HasPrefix(odd[10].Message, "bad ") || odd[11].Message != "" {
		t.Errorf("the odd messages are %.20q, %q, %q", odd[9].Message, odd[10].Message, odd[11].Message)
	}
	if got := run(t, h, "progress", "3"); got != "3" { // with a nil report
		t.Errorf("without a report function the output is %q", got)
	}
}
