package abi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
)

func TestCodeOf(t *testing.T) {
	var none *abi.Error
	for _, c := range []struct {
		err  error
		want abi.Code
	}{
		{nil, ""},
		{none, ""},
		{abi.Errorf(abi.CodeTrap, "x"), abi.CodeTrap},
		{fmt.Errorf("outer: %w", abi.Errorf(abi.CodeDenied, "x")), abi.CodeDenied},
		{context.DeadlineExceeded, abi.CodeTimeout},
		{fmt.Errorf("outer: %w", context.Canceled), abi.CodeCancelled},
		{io.EOF, abi.CodeInternal},
	} {
		if got := abi.CodeOf(c.err); got != c.want {
			t.Errorf("the code of %v is %q, want %q", c.err, got, c.want)
		}
		if e := abi.AsError(c.err); e != nil && e.Code != c.want {
			t.Errorf("%v as an Error has the code %q, want %q", c.err, e.Code, c.want)
		}
	}
}

func TestCodesAreDistinct(t *testing.T) {
	seen := map[abi.Code]bool{}
	for _, c := range abi.Codes() {
		if c == "" || seen[c] || strings.ToLower(string(c)) != string(c) {
			t.Errorf("code %q", c)
		}
		seen[c] = true
	}
	if !abi.CodeFailed.Temporary() || abi.CodeTrap.Temporary() || abi.CodeInvalid.Temporary() || abi.CodeCancelled.Temporary() {
		t.Error("the wrong errors can pass")
	}
}

func TestErrorNamesWhereItHappened(t *testing.T) {
	e := abi.Errorf(abi.CodeFailed, "cannot read: %w", io.ErrUnexpectedEOF)
	e.Plugin, e.Func, e.Task, e.Step = "text", "process", "42", 2
	if got, want := e.Error(), "task 42: step 2: plugin text:process: cannot read: unexpected EOF"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(e, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
}

func TestParseStep(t *testing.T) {
	for _, c := range []struct{ in, plugin, function string }{
		{"text", "text", ""},
		{"text:count", "text", "count"},
		{"a.b-c_1:_start", "a.b-c_1", "_start"},
	} {
		p, f, err := abi.ParseStep(c.in)
		if err != nil || p != c.plugin || f != c.function {
			t.Errorf("%q is %q, %q, %v", c.in, p, f, err)
		}
	}
	for _, in := range []string{"", ":", "text:", ":count", "../x", "a b", ".hidden", "-x", strings.Repeat("x", abi.MaxName+1)} {
		if _, _, err := abi.ParseStep(in); abi.CodeOf(err) != abi.CodeInvalid {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestUsageAdd(t *testing.T) {
	got := abi.Usage{Wait: 1, Duration: 2, PeakMemory: 5, Ticks: 10}.Add(abi.Usage{Wait: 3, Duration: time.Second, PeakMemory: 4, Ticks: 1})
	if want := (abi.Usage{Wait: 4, Duration: time.Second + 2, PeakMemory: 5, Ticks: 11}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestDigestShort(t *testing.T) {
	for in, want := range map[abi.Digest]string{"sha256:0123456789abcdef": "0123456789ab", "sha256:01": "01", "": ""} {
		if got := in.Short(); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func ExampleCodeOf() {
	err := fmt.Errorf("while saving: %w", abi.Errorf(abi.CodeQueueFull, "the queue holds 100 tasks already"))
	fmt.Println(abi.CodeOf(err), abi.CodeOf(err).Temporary())
	// Output: queue_full true
}
