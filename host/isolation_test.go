package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// places are where the guest secrets keeps what it was given, in the order in which it gives them back.
var places = []string{"first page", "grown page", "global", "exported global", "var"}

// TestIsolation checks what one call finds of the call before: nothing under pristine and fresh, everything under reuse.
func TestIsolation(t *testing.T) { checkIsolation(t, newHost(t, host.Config{})) }

func checkIsolation(t *testing.T, h *host.Host) {
	t.Helper()
	secret := []byte("SECRET#1")
	for _, c := range []struct {
		isolation string
		survives  bool
	}{{"", false}, {"pristine", false}, {"fresh", false}, {"reuse", true}} {
		t.Run(c.isolation, func(t *testing.T) {
			swap(t, h, "secrets", fmt.Sprintf(`{"taskhost": {"isolation": %q, "max_instances": 1}}`, c.isolation))
			for range 3 {
				run(t, h, "secrets:write", string(secret))
				got := run(t, h, "secrets:read", "")
				for n, place := range places {
					if found := got[8*n : 8*n+8]; (found == string(secret)) != c.survives {
						t.Errorf("in its %s the next call finds %q", place, found)
					}
				}
				// The kernel's memory is each call's own under every isolation.
				for _, function := range []string{"dirty", "sweep"} {
					if got := run(t, h, "secrets:"+function, ""); strings.Trim(got, "\x00") != "" {
						t.Errorf("%s finds %.40q in the kernel's memory", function, strings.Trim(got, "\x00"))
					}
				}
			}
		})
	}
}

// TestIsolationOfTables checks the same for state that cannot be put back from outside.
func TestIsolationOfTables(t *testing.T) {
	h := newHost(t, host.Config{})
	for isolation, want := range map[string]byte{"pristine": 0, "fresh": 0, "reuse": 7} {
		swap(t, h, "secrets-table", fmt.Sprintf(`{"taskhost": {"isolation": %q, "max_instances": 1}}`, isolation))
		for range 3 {
			run(t, h, "secrets-table:write", "")
			if got := run(t, h, "secrets-table:read", ""); got != string([]byte{want}) {
				t.Errorf("%s: the next call reads %x, want %d", isolation, got, want)
			}
		}
		if i := info(t, h, "secrets-table"); string(i.Isolation) != isolation || i.Sandbox == "" {
			t.Errorf("%s: Inspect says isolation %q, sandbox %q", isolation, i.Isolation, i.Sandbox)
		}
	}
}

// TestIsolationOfKernel checks that what a hostile guest writes past the last block is not there for the next call.
func TestIsolationOfKernel(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, isolation := range []string{"pristine", "fresh"} {
		swap(t, h, "kernel-hostile", fmt.Sprintf(`{"taskhost": {"isolation": %q, "max_instances": 1}}`, isolation))
		for _, at := range []uint64{1024, 2048, 4096, 30_000, 65_528, 100_000, 300_000} {
			grow := record(sAlloc, 400_000, 0)
			shrink := record(sFree, resultOf(0, 0), 0)
			script := slices.Concat(grow, shrink, record(sStore64, at, 0x5ec12e7))
			if _, err := h.Run(t.Context(), abi.Call{Plugin: "kernel-hostile", Function: "script", Input: script}, nil); err != nil {
				t.Fatal(err)
			}
			script = slices.Concat(grow, record(sLoad64, at, 0))
			res, err := h.Run(t.Context(), abi.Call{Plugin: "kernel-hostile", Function: "script", Input: script}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if v := binary.LittleEndian.Uint64(res.Output[8:]); v == 0x5ec12e7 {
				t.Errorf("%s: at offset %d the next call finds what the one before wrote", isolation, at)
			}
		}
	}
}

// TestIsolationAfterFailure checks that a sandbox in which a call was ended serves no other, unless it was put back, and that a call
// that failed leaves nothing.
func TestIsolationAfterFailure(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on})
	for _, isolation := range []string{"reuse", "pristine", "fresh"} {
		swap(t, h, "spin", fmt.Sprintf(`{"timeout_ms": 5, "taskhost": {"isolation": %q}}`, isolation))
		version := info(t, h, "spin").Digest
		for range 2 {
			fails(t, h, "spin:nested", "", abi.CodeTimeout)
			if isolation == "reuse" {
				events.waitFor(t, host.EventInstanceGone, version)
				events.forget()
			}
			if got := run(t, h, "spin", "x"); got != "x" {
				t.Errorf("%s: the next call gives %q", isolation, got)
			}
		}
	}
	swap(t, h, "grow", `{"memory": {"max_pages": 20}}`)
	for range 3 {
		fails(t, h, "grow:touch", "", abi.CodeMemoryLimit)
		if got := run(t, h, "grow:size", ""); got != "2" {
			t.Errorf("after a call that grew and trapped there are %s pages", got)
		}
	}
	swap(t, h, "env", `{"taskhost": {"isolation": "reuse", "max_instances": 1}}`)
	run(t, h, "env:count", "")
	run(t, h, "env:count", "")
	fails(t, h, "env:config", "nothing", abi.CodeFailed) // it said so itself: its sandbox is in order
	if got := run(t, h, "env:count", ""); got != "3" {
		t.Errorf("after an error that the guest reported count gives %s, want 3", got)
	}
	fails(t, h, "env:http", "{", abi.CodeInvalid) // it was ended in the middle
	if got := run(t, h, "env:count", ""); got != "1" {
		t.Errorf("after a call that was ended count gives %s, want 1: its sandbox serves on", got)
	}
}

// doneSeen is a context that tells when somebody begins to wait for its end.
type doneSeen struct {
	context.Context
	once sync.Once
	seen chan struct{}
}

func (c *doneSeen) Done() <-chan struct{} {
	c.once.Do(func() { close(c.seen) })
	return c.Context.Done()
}

// TestMaxInstances checks that no more calls than max_instances run at once, that the others wait, and that a waiter can leave.
func TestMaxInstances(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "progress", `{"taskhost": {"max_instances": 2}}`)
	running := make(chan struct{}, 10)
	begin := func(ctx context.Context) chan error {
		ended := make(chan error, 1)
		go func() {
			_, err := h.Run(ctx, abi.Call{Plugin: "progress", Function: "wait"}, func(p abi.Progress) {
				if p.Step == 2 {
					running <- struct{}{}
				}
			})
			ended <- err
		}()
		return ended
	}
	first, stopFirst := context.WithCancel(t.Context())
	defer stopFirst()
	second, stopSecond := context.WithCancel(t.Context())
	defer stopSecond()
	ends := []chan error{begin(first), begin(second)}
	<-running
	<-running

	// A third call waits; cancelled, it leaves without ever having run.
	ctx, leave := context.WithCancelCause(t.Context())
	waiter := &doneSeen{Context: ctx, seen: make(chan struct{})}
	var res abi.Result
	var err error
	left := make(chan struct{})
	go func() {
		defer close(left)
		res, err = h.Run(waiter, abi.Call{Plugin: "progress", Function: "process", Input: []byte("1")}, nil)
	}()
	<-waiter.seen
	if i := info(t, h, "progress"); i.Running != 2 || i.Instances != 2 || i.MaxInstances != 2 {
		t.Errorf("%d calls run in %d instances of %d, want 2 of 2", i.Running, i.Instances, i.MaxInstances)
	}
	leave(nil)
	<-left
	wantCode(t, err, abi.CodeCancelled, "while waiting for one of its 2 instances", "plugin progress:process")
	if res.Usage.Wait <= 0 || res.Function != "process" || res.Version == "" || res.Usage.Ticks != 0 {
		t.Errorf("the result of a call that never ran is %+v", res)
	}

	// A fourth waits, and gets the place of the first when that ends.
	ctx4, cancel4 := context.WithCancel(t.Context())
	defer cancel4()
	waiter = &doneSeen{Context: ctx4, seen: make(chan struct{})}
	ends = append(ends, begin(waiter))
	<-waiter.seen
	select {
	case <-running:
		t.Error("a third call runs")
	default:
	}
	stopFirst()
	<-running
	wantCode(t, <-ends[0], abi.CodeCancelled)
	stopSecond()
	cancel4()
	<-ends[1]
	<-ends[2]
	eventually(t, "no call runs", func() bool { return info(t, h, "progress").Running == 0 })
}

// TestInstancesStayWithinBound checks with many calls that there are never more instances than allowed, under every isolation.
func TestInstancesStayWithinBound(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on, MaxInstances: 3})
	for _, isolation := range []string{"pristine", "reuse", "fresh"} {
		swap(t, h, "echo", fmt.Sprintf(`{"taskhost": {"isolation": %q}}`, isolation))
		var group sync.WaitGroup
		for n := range 8 {
			group.Go(func() {
				in := bytes.Repeat([]byte{byte('a' + n)}, 100*n)
				for range 25 {
					res, err := h.Run(t.Context(), abi.Call{Plugin: "echo", Function: "process", Input: in}, nil)
					if err != nil || !bytes.Equal(res.Output, in) {
						t.Errorf("%s: %.20q gives %.20q: %v", isolation, in, res.Output, err)
					}
				}
			})
		}
		group.Wait()
		if i := info(t, h, "echo"); i.Instances > 3 || i.Running != 0 || i.MaxInstances != 3 {
			t.Errorf("%s: afterwards there are %d instances and %d calls", isolation, i.Instances, i.Running)
		}
	}
	for _, kind := range []host.EventKind{host.EventInstantiate, host.EventInstanceGone} {
		for _, e := range events.all(kind) {
			if e.Instances > 3 {
				t.Errorf("there were %d instances at once, want at most 3", e.Instances)
			}
		}
	}
}

// TestIdleInstances checks that instances nobody needs are released, and made again when somebody does.
func TestIdleInstances(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on, IdleTimeout: 4 * time.Millisecond})
	for _, isolation := range []string{"reuse", "pristine"} {
		swap(t, h, "echo", fmt.Sprintf(`{"taskhost": {"isolation": %q}}`, isolation))
		for range 2 {
			if got := run(t, h, "echo", "x"); got != "x" {
				t.Errorf("%s: echo gives %q", isolation, got)
			}
			eventually(t, "the idle instance is released", func() bool { return info(t, h, "echo").Instances == 0 })
		}
	}
	for n, e := range events.all(host.EventInstanceGone) {
		if e.Plugin != "echo" || e.Version == "" {
			t.Errorf("event %d is %+v", n, e)
		}
	}
}
