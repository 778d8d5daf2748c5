package host_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// keeper keeps checkpoints as a store does: the slices that it is given.
type keeper struct {
	states [][]byte // all, in the order in which they came
	err    error
}

func (k *keeper) save(state []byte) error {
	if k.err != nil {
		return k.err
	}
	k.states = append(k.states, state)
	return nil
}

// last is what the next attempt begins with.
func (k *keeper) last() []byte {
	if len(k.states) == 0 {
		return nil
	}
	return k.states[len(k.states)-1]
}

// checkpointCall is a call of the guest checkpoint.
func checkpointCall(function, input string, k *keeper) abi.Call {
	return abi.Call{Plugin: "checkpoint", Function: function, Input: []byte(input), Task: "t-1", Checkpoint: k.last(), Save: k.save}
}

// TestCheckpoint checks that an attempt goes on from what the one before saved, under every isolation.
func TestCheckpoint(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, isolation := range []string{"pristine", "reuse", "fresh"} {
		swap(t, h, "checkpoint", fmt.Sprintf(`{"taskhost": {"isolation": %q}}`, isolation))
		var k keeper
		for attempt := 1; attempt <= 3; attempt++ {
			res, err := h.Run(t.Context(), checkpointCall("count", "", &k), nil)
			if attempt < 3 {
				wantCode(t, err, abi.CodeFailed, "not yet")
			} else if err != nil || string(res.Output) != "3" {
				t.Errorf("%s: the third attempt gives %q: %v", isolation, res.Output, err)
			}
			if got := string(k.last()); got != fmt.Sprint(attempt) || len(k.states) != attempt {
				t.Errorf("%s: after attempt %d the state is %q, saved %d times", isolation, attempt, got, len(k.states))
			}
		}
		// Another task finds nothing of it.
		if _, err := h.Run(t.Context(), checkpointCall("load", "", &keeper{}), nil); err == nil {
			t.Errorf("%s: another task finds a checkpoint", isolation)
		}
	}
}

// TestCheckpointInOneCall checks what a call loads after it has saved, that the host and the store have copies of their own, and that
// nothing is a checkpoint no more.
func TestCheckpointInOneCall(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "checkpoint", "")
	k := keeper{states: [][]byte{[]byte("old")}}
	old := k.last()
	for _, c := range []struct{ function, input, output, kept string }{
		{"load", "", "old", "old"},
		{"save", "", "kept", ""},
		{"save", "new", "kept", "new"},
		{"copies", "a state", "a state", "a state"},
		{"load", "", "a state", "a state"},
		{"forget", "", "0", ""},
		{"size", "65536", "kept", strings.Repeat("\x00", abi.MaxCheckpoint)},
	} {
		res, err := h.Run(t.Context(), checkpointCall(c.function, c.input, &k), nil)
		if err != nil || string(res.Output) != c.output || string(k.last()) != c.kept {
			t.Errorf("%s(%q) gives %q and leaves %.40q: %v", c.function, c.input, res.Output, k.last(), err)
		}
		if c.kept == "" && k.last() != nil {
			t.Errorf("%s: Save is called with an empty state, want nil", c.function)
		}
	}
	if string(old) != "old" || string(k.states[2]) != "new" {
		t.Errorf("what was kept has changed: %.60q", k.states)
	}
}

// TestCheckpointIsNotKept checks what the guest reads when there is no keeping it, and that what was kept before stays.
func TestCheckpointIsNotKept(t *testing.T) {
	logs := &logBook{}
	h := newHost(t, host.Config{Logger: slogTo(logs)})
	swap(t, h, "checkpoint", "")
	old := []byte("old")
	for _, c := range []struct {
		what, function, input string
		save                  func([]byte) error
		says                  string
	}{
		{"too large", "size", "65537", (&keeper{}).save, "checkpoint: it has 65537 bytes, at most 65536 are kept; save less"},
		{"too large, no store", "size", "65537", nil, "checkpoint: it has 65537 bytes, at most 65536 are kept; save less"},
		{"no store", "save", "x", nil, "checkpoint: this call keeps none"},
		{"the store fails", "save", "x", (&keeper{err: errors.New("disk full")}).save, "checkpoint: disk full"},
		{"the store says much", "save", "x", (&keeper{err: errors.New(strings.Repeat("\xff!", 10_000))}).save, "checkpoint: \uFFFD!"},
		{"the store panics", "save", "x", func([]byte) error { panic("a broken store") }, "checkpoint: saving it panicked: a broken store"},
		{"the store panics with an error", "save", "x", func([]byte) error { panic(abi.Errorf(abi.CodeClosed, "closed")) }, "checkpoint: saving it panicked: closed"},
	} {
		res, err := h.Run(t.Context(), abi.Call{Plugin: "checkpoint", Function: c.function, Input: []byte(c.input), Checkpoint: old, Save: c.save}, nil)
		if err != nil || !strings.HasPrefix(string(res.Output), c.says) || len(res.Output) > 5000 {
			t.Errorf("%s: the guest reads %.200q, want %q: %v", c.what, res.Output, c.says, err)
		}
		res, err = h.Run(t.Context(), abi.Call{Plugin: "checkpoint", Function: "load", Checkpoint: old, Save: c.save}, nil)
		if err != nil || string(res.Output) != "old" {
			t.Errorf("%s: the next call loads %q: %v", c.what, res.Output, err)
		}
	}
	if got := logs.messages("plugin", "checkpoint"); !slices.Equal(got, []string{"ERROR saving a checkpoint panicked", "ERROR saving a checkpoint panicked"}) {
		t.Errorf("the log says %q", got)
	}
	_, err := h.Run(t.Context(), abi.Call{Plugin: "checkpoint", Function: "count"}, nil)
	wantCode(t, err, abi.CodeFailed, "this call keeps none", "run it as a task")
}

// TestCheckpointWhileCancelled checks that a call that is cancelled, or out of time, while its checkpoint is saved ends then, and saves
// no other one.
func TestCheckpointWhileCancelled(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, isolation := range []string{"pristine", "reuse", "fresh"} {
		swap(t, h, "checkpoint", fmt.Sprintf(`{"taskhost": {"isolation": %q}}`, isolation))
		ctx, cancel := context.WithCancelCause(t.Context())
		var k keeper
		c := checkpointCall("flood", "state", &k)
		c.Save = func(state []byte) error {
			cancel(&abi.Error{Code: abi.CodeLeaseLost, Message: "another worker has it"})
			return k.save(state)
		}
		_, err := h.Run(ctx, c, nil)
		wantCode(t, err, abi.CodeLeaseLost, "another worker has it", "plugin checkpoint:flood")
		if len(k.states) != 1 {
			t.Errorf("%s: saved %d times, want once", isolation, len(k.states))
		}

		swap(t, h, "checkpoint", fmt.Sprintf(`{"timeout_ms": 30, "taskhost": {"isolation": %q}}`, isolation))
		k = keeper{}
		c = checkpointCall("flood", "state", &k)
		c.Save = func(state []byte) error {
			began := time.Now()
			eventually(t, "the call's time is over", func() bool { return time.Since(began) > 35*time.Millisecond })
			return k.save(state)
		}
		_, err = h.Run(t.Context(), c, nil)
		wantCode(t, err, abi.CodeTimeout, "longer than its limit of 30ms")
		if len(k.states) != 1 {
			t.Errorf("%s: saved %d times, want once", isolation, len(k.states))
		}

		// A guest that saves without an end ends with its time, whether a save takes some or none.
		k = keeper{}
		_, err = h.Run(t.Context(), checkpointCall("flood", "state", &k), nil)
		wantCode(t, err, abi.CodeTimeout, "raise timeout_ms")
		if len(k.states) < 2 {
			t.Errorf("%s: saved %d times, want many", isolation, len(k.states))
		}
		c.Save = func([]byte) error {
			began := time.Now()
			eventually(t, "some time has passed", func() bool { return time.Since(began) > 3*time.Millisecond })
			return nil
		}
		began := time.Now()
		_, err = h.Run(t.Context(), c, nil)
		wantCode(t, err, abi.CodeTimeout, "raise timeout_ms")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: with saves of 3 ms it ends after %v", isolation, took)
		}
		k = keeper{states: [][]byte{[]byte("x")}}
		if res, err := h.Run(t.Context(), checkpointCall("load", "", &k), nil); err != nil || string(res.Output) != "x" {
			t.Errorf("%s: the next call loads %q: %v", isolation, res.Output, err)
		}
	}
}

// TestCheckpointInGrace checks that a guest that is cancelled saves where it is while it has time to tidy up.
func TestCheckpointInGrace(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "checkpoint", `{"taskhost": {"cancel_grace_ms": 10000}}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var k keeper
	c := checkpointCall("tidy", "half way", &k)
	c.Save = func(state []byte) error {
		if ctx.Err() == nil {
			t.Error("it was saved before the call was cancelled")
		}
		return k.save(state)
	}
	_, err := h.Run(ctx, c, func(abi.Progress) { cancel() })
	wantCode(t, err, abi.CodeCancelled, "it said: stopped")
	if string(k.last()) != "half way" {
		t.Errorf("the checkpoint is %q", k.last())
	}
}
