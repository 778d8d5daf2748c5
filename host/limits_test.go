package host_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// TestMemoryLimit checks the bound on linear memory, for guests that ask nicely and for those that give up.
func TestMemoryLimit(t *testing.T) {
	h := newHost(t, host.Config{Limits: abi.Limits{Memory: 1 << 20}}) // 16 pages
	swap(t, h, "grow", "")
	if got := run(t, h, "grow", "5"); got != "7" {
		t.Errorf("after growing 2 pages by 5 the guest has %s", got)
	}
	if got := run(t, h, "grow:size", ""); got != "2" {
		t.Errorf("the next call begins with %s pages, want 2", got)
	}
	if got := run(t, h, "grow", "14"); got != "16" {
		t.Errorf("a guest can have %s pages, want all of its 16", got)
	}
	e := fails(t, h, "grow", "15", abi.CodeFailed) // the guest saw that memory.grow was refused, and said so
	wantCode(t, e, abi.CodeFailed, "memory.grow refused")
	fails(t, h, "grow:grow", "", abi.CodeFailed)
	fails(t, h, "grow", "65535", abi.CodeFailed)
	e = fails(t, h, "grow:touch", "", abi.CodeMemoryLimit)
	wantCode(t, e, abi.CodeMemoryLimit, "memory.max_pages", "1048576")
	for range 3 {
		if got := run(t, h, "grow", "14"); got != "16" {
			t.Errorf("after the failures a guest can have %s pages, want 16", got)
		}
	}
	swapTo(t, h, "small", guest(t, "grow"), `{"memory": {"max_pages": 3}}`)
	if got := run(t, h, "small", "1"); got != "3" {
		t.Errorf("with max_pages 3 the guest has %s pages", got)
	}
	fails(t, h, "small", "2", abi.CodeFailed)
	fails(t, h, "small:touch", "", abi.CodeMemoryLimit)
	if got := info(t, h, "small").Limits.Memory; got != 3*65536 {
		t.Errorf("Inspect says that the limit is %d", got)
	}
}

// TestMemoryLimitUsage checks that the peak shows what a call grew to.
func TestMemoryLimitUsage(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "grow", "")
	peak := func(pages string) uint64 {
		res, err := h.Run(t.Context(), abi.Call{Plugin: "grow", Function: "process", Input: []byte(pages)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return res.Usage.PeakMemory
	}
	if p := peak("100"); p < 102*65536 || p > 104*65536 {
		t.Errorf("the peak of a call that has 102 pages is %d bytes", p)
	}
}

// TestMemoryLimitAtStart checks that a module that asks for too much at once is refused, and by whose limit.
func TestMemoryLimitAtStart(t *testing.T) {
	h := newHost(t, host.Config{})
	_, err := h.Swap(t.Context(), "big", host.Source{Wasm: broken(t, "big-memory")})
	wantCode(t, err, abi.CodeMemoryLimit, "plugin big", "2147483648", "memory.max_pages")
	_, err = h.Swap(t.Context(), "big", host.Source{Wasm: guest(t, "grow"), Manifest: manifest(t, `{"memory": {"max_pages": 1}}`)})
	wantCode(t, err, abi.CodeMemoryLimit)
}

// TestKernelMemoryLimit checks the bound on input, output and messages together.
func TestKernelMemoryLimit(t *testing.T) {
	h := newHost(t, host.Config{Limits: abi.Limits{KernelMemory: 1 << 20}})
	swap(t, h, "alloc-flood", "")
	swap(t, h, "echo", "")
	e := fails(t, h, "alloc-flood", "", abi.CodeKernelMemoryLimit)
	wantCode(t, e, abi.CodeKernelMemoryLimit, "1048576", "taskhost.max_kernel_bytes")
	if got := run(t, h, "alloc-flood:one", "900000"); got != "900000" {
		t.Errorf("a block of 900000 bytes has %s", got)
	}
	for _, size := range []string{"1048576", "4294967295", "4294967296", "18446744073709551615", "9223372036854775808"} {
		fails(t, h, "alloc-flood:one", size, abi.CodeKernelMemoryLimit)
	}
	if got := run(t, h, "alloc-flood:zero", ""); got != "0" {
		t.Errorf("alloc(0) gives %s", got)
	}
	if got := run(t, h, "alloc-flood:balanced", "1000"); got != "1000" {
		t.Errorf("blocks that are freed add up: %s", got)
	}
	fails(t, h, "echo", strings.Repeat("x", 2<<20), abi.CodeKernelMemoryLimit) // the input alone
	fails(t, h, "echo", strings.Repeat("x", 600_000), abi.CodeKernelMemoryLimit)
	if got := run(t, h, "echo", "fine"); got != "fine" {
		t.Errorf("the next call gives %q", got)
	}
	swapTo(t, h, "tiny", guest(t, "echo"), `{"taskhost": {"max_kernel_bytes": 65536}}`)
	fails(t, h, "tiny", strings.Repeat("x", 40_000), abi.CodeKernelMemoryLimit)
	run(t, h, "tiny", strings.Repeat("x", 20_000))
}

// TestOutputLimit checks the bound on the output, to the byte.
func TestOutputLimit(t *testing.T) {
	h := newHost(t, host.Config{Limits: abi.Limits{Output: 1000}})
	swap(t, h, "output", "")
	swap(t, h, "echo", "")
	if got := run(t, h, "output", "1000"); len(got) != 1000 {
		t.Errorf("%d bytes of output, want 1000", len(got))
	}
	e := fails(t, h, "output", "1001", abi.CodeOutputLimit)
	wantCode(t, e, abi.CodeOutputLimit, "1000 bytes", "taskhost.max_output_bytes")
	fails(t, h, "output:beyond", "", abi.CodeTrap)
	if got := run(t, h, "output:twice", ""); got != "two" {
		t.Errorf("the output is %q, want the one that was set last", got)
	}
	if got := run(t, h, "output", "0"); got != "" {
		t.Errorf("an output of nothing is %q", got)
	}
	fails(t, h, "echo:same", strings.Repeat("x", 1001), abi.CodeOutputLimit)
	swapTo(t, h, "more", guest(t, "output"), `{"taskhost": {"max_output_bytes": 2000}}`)
	if got := run(t, h, "more", "2000"); len(got) != 2000 {
		t.Errorf("%d bytes of output, want 2000", len(got))
	}
}

// TestLogLimit checks the bound on what one call can log.
func TestLogLimit(t *testing.T) {
	logs := &logBook{}
	h := newHost(t, host.Config{Logger: slog.New(logs), Limits: abi.Limits{Log: 10_000}})
	swap(t, h, "logs", "")
	e := fails(t, h, "logs:flood", "", abi.CodeLogLimit)
	wantCode(t, e, abi.CodeLogLimit, "10000", "taskhost.max_log_bytes")
	if n := len(logs.messages("plugin", "logs")); n == 0 || n > 200 {
		t.Errorf("%d messages got through", n)
	}
	run(t, h, "logs", "1 5000")
	run(t, h, "logs", "1 5000") // the bound is each call's own
	fails(t, h, "logs", "3 5000", abi.CodeLogLimit)
	fails(t, h, "logs", "1000 0", abi.CodeLogLimit) // messages of nothing cost too
	if got := run(t, h, "logs", "5 10"); got != "5" {
		t.Errorf("the next call gives %q", got)
	}
}

// TestContextStopsGuest checks that a call ends with its context, and that the error's code says why.
func TestContextStopsGuest(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, isolation := range []string{"pristine", "reuse", "fresh"} {
		t.Run(isolation, func(t *testing.T) {
			swap(t, h, "spin", fmt.Sprintf(`{"taskhost": {"isolation": %q}}`, isolation))
			deadline, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer stop()
			failsWithin(deadline, t, h, "spin:nested", "", abi.CodeTimeout)

			for _, c := range []struct {
				cause error
				code  abi.Code
			}{
				{nil, abi.CodeCancelled},
				{fmt.Errorf("why not"), abi.CodeCancelled},
				{context.DeadlineExceeded, abi.CodeTimeout},
				{&abi.Error{Code: abi.CodeShutdown, Message: "the manager is stopping"}, abi.CodeShutdown},
				{&abi.Error{Code: abi.CodeLeaseLost, Message: "another worker has it"}, abi.CodeLeaseLost},
			} {
				ctx, cancel := context.WithCancelCause(t.Context())
				stopped := make(chan struct{})
				go func() { // as soon as the call runs
					defer close(stopped)
					eventually(t, "the call runs", func() bool { return info(t, h, "spin").Running == 1 })
					cancel(c.cause)
				}()
				e := failsWithin(ctx, t, h, "spin:calls", "", c.code)
				<-stopped
				if want, ok := errors.AsType[*abi.Error](c.cause); ok && (e.Message != want.Message || e == want || want.Plugin != "") {
					t.Errorf("the error is %+v, want a copy of %+v", e, want)
				}
			}
			// A context that ended before the call begins.
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(&abi.Error{Code: abi.CodeShutdown, Message: "too late"})
			failsWithin(ctx, t, h, "spin", "x", abi.CodeShutdown)
			if got := run(t, h, "spin", "fine"); got != "fine" {
				t.Errorf("the next call gives %q", got)
			}
		})
	}
}

// TestCancelGrace checks that a guest with a time of grace can tidy up, and that one that does not care is stopped all the same.
func TestCancelGrace(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "progress", `{"taskhost": {"cancel_grace_ms": 10000}}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen []abi.Progress
	_, err := h.Run(ctx, abi.Call{Plugin: "progress", Function: "wait"}, func(p abi.Progress) {
		if seen = append(seen, p); len(seen) == 2 {
			cancel()
		}
	})
	// The guest ended by itself, and far sooner than in ten seconds.
	wantCode(t, err, abi.CodeCancelled)
	if len(seen) != 2 || seen[1].Message != "waiting" {
		t.Errorf("the reports are %v", seen)
	}
	swap(t, h, "spin", `{"timeout_ms": 10, "taskhost": {"cancel_grace_ms": 20}}`)
	began := time.Now()
	fails(t, h, "spin:host", "", abi.CodeTimeout)
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("stopped after %v, before its time of grace was over", took)
	}
}

// TestModuleLimit checks the bound on a module's size, from memory and from files.
func TestModuleLimit(t *testing.T) {
	wasm := guest(t, "env")
	h := newHost(t, host.Config{Limits: abi.Limits{Module: int64(len(wasm)) - 1}})
	_, err := h.Swap(t.Context(), "env", host.Source{Wasm: wasm})
	wantCode(t, err, abi.CodeModuleLimit, "plugin env", "Limits.Module")
	_, err = h.Swap(t.Context(), "env", host.Source{Manifest: &abi.Manifest{Wasm: []abi.ManifestWasm{{Data: wasm}}}})
	wantCode(t, err, abi.CodeModuleLimit, "wasm[0]")
	file := filepath.Join(testdata(t), "guests", "env.wasm")
	_, err = h.Swap(t.Context(), "env", host.Source{Manifest: &abi.Manifest{Wasm: []abi.ManifestWasm{{Path: file}}}})
	wantCode(t, err, abi.CodeModuleLimit, "env.wasm")
	swap(t, h, "noop", "")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "env.wasm"), wasm)
	write(t, filepath.Join(dir, "noop.wasm"), guest(t, "noop"))
	h = newHost(t, host.Config{Dir: dir, WatchInterval: -1, Limits: abi.Limits{Module: int64(len(wasm)) - 1}})
	e := fails(t, h, "env", "", abi.CodeRefused)
	wantCode(t, e.Err, abi.CodeModuleLimit, "env.wasm")
	run(t, h, "noop", "")
}

// TestVarsLimit checks the bound on vars, and that they can be forbidden.
func TestVarsLimit(t *testing.T) {
	h := newHost(t, host.Config{Limits: abi.Limits{Vars: 1000}})
	swap(t, h, "env", `{"taskhost": {"isolation": "reuse", "max_instances": 1}}`)
	run(t, h, "env:var_set", "key "+strings.Repeat("v", 900))
	if got := run(t, h, "env:var_get", "key"); len(got) != 900 {
		t.Errorf("the var has %d bytes", len(got))
	}
	run(t, h, "env:var_set", "key "+strings.Repeat("w", 900)) // in its own place
	e := fails(t, h, "env:var_set", "other "+strings.Repeat("v", 900), abi.CodeKernelMemoryLimit)
	wantCode(t, e, abi.CodeKernelMemoryLimit, "1000", "memory.max_var_bytes")
	e = fails(t, h, "env:var_set", "key "+strings.Repeat("v", 1000), abi.CodeKernelMemoryLimit)
	wantCode(t, e, abi.CodeKernelMemoryLimit, "memory.max_var_bytes")
	run(t, h, "env:var_set", "other "+strings.Repeat("v", 900)) // an instance that failed is gone, and its vars with it
	run(t, h, "env:var_unset", "other")
	run(t, h, "env:var_set", "third "+strings.Repeat("v", 900))

	swapTo(t, h, "none", guest(t, "env"), `{"memory": {"max_var_bytes": 0}}`)
	e = fails(t, h, "none:var_set", "key value", abi.CodeDenied)
	wantCode(t, e, abi.CodeDenied, "max_var_bytes")
	fails(t, h, "none:var_get", "key", abi.CodeFailed)
	swapTo(t, h, "few", guest(t, "env"), `{"memory": {"max_var_bytes": 100}}`)
	run(t, h, "few:var_set", "key value")
	fails(t, h, "few:var_set", "key "+strings.Repeat("v", 100), abi.CodeKernelMemoryLimit)
}

// TestDeepRecursion checks that recursion which ends does end. What never does is in the corpus.
func TestDeepRecursion(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "recursion", "")
	if got := run(t, h, "recursion", "\x0c"); got != "\x0c" {
		t.Errorf("4096 calls deep the guest gives %q", got)
	}
}

// TestLimitsConfig checks that limits and counts that make no sense are refused by New, which names them.
func TestLimitsConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  host.Config
		word string
	}{
		{host.Config{Limits: abi.Limits{Memory: 1}}, "Limits.Memory"},
		{host.Config{Limits: abi.Limits{Memory: 1 << 40}}, "4 GiB"},
		{host.Config{Limits: abi.Limits{KernelMemory: -1}}, "Limits.KernelMemory"},
		{host.Config{Limits: abi.Limits{KernelMemory: 5 << 30}}, "4 GiB"},
		{host.Config{Limits: abi.Limits{Output: -1}}, "Limits.Output"},
		{host.Config{Limits: abi.Limits{Log: -1}}, "Limits.Log"},
		{host.Config{Limits: abi.Limits{RunTime: -time.Second}}, "Limits.RunTime"},
		{host.Config{Limits: abi.Limits{Module: 7}}, "Limits.Module"},
		{host.Config{Limits: abi.Limits{HTTPResponse: -1}}, "Limits.HTTPResponse"},
		{host.Config{MaxInstances: -1}, "MaxInstances"},
		{host.Config{IdleTimeout: -1}, "IdleTimeout"},
		{host.Config{KeepVersions: -1}, "KeepVersions"},
		{host.Config{Dir: filepath.Join(t.TempDir(), "nowhere")}, "nowhere"},
		{host.Config{Dir: "limits_test.go"}, "not a folder"},
	} {
		c.cfg.CacheDir = "off"
		h, err := host.New(t.Context(), c.cfg)
		if err == nil {
			_ = h.Close(context.Background())
		}
		wantCode(t, err, abi.CodeInvalid, c.word)
	}
}
