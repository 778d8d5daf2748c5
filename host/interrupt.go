package host

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// halt makes the guest's code stop where it is, within a slice of ticks; any goroutine may call it, while the guest runs or not.
// How that works is in package instrument: the code is rewritten when it is loaded, wazero's own switch is not used.
func (i *instance) halt() {
	for _, m := range i.modules {
		m.control.Interrupt()
	}
}

// interrupter ends the guest's code of one instance when the call's context ends or its run time is over.
// The zero value is ready.
type interrupter struct {
	inst *instance

	mu       sync.Mutex
	armed    bool
	call     uint64                  // counts the calls, so that what comes late for one does not hit the next
	deadline time.Time               // of the call
	cause    error                   // why it was interrupted; nil: it was not
	wake     context.CancelCauseFunc // ends what a function of the host waits for; nil: none waits

	timer *time.Timer
}

// arm begins a call: from now on until disarm the guest is stopped when ctx is done or limit is over.
// The function it returns must be called, before disarm, if it is not nil.
func (n *interrupter) arm(ctx context.Context, limit time.Duration) (stop func() bool) {
	n.mu.Lock()
	n.armed = true
	n.cause = nil
	n.call++
	call := n.call
	n.deadline = time.Now().Add(limit)
	n.mu.Unlock()
	if n.timer == nil {
		n.timer = time.AfterFunc(limit, n.timeOver)
	} else {
		n.timer.Reset(limit)
	}
	if ctx.Done() == nil {
		return nil
	}
	return context.AfterFunc(ctx, func() { n.interrupt(call, context.Cause(ctx)) })
}

// disarm ends a call and returns why it was interrupted, nil if it was not.
func (n *interrupter) disarm() error {
	n.timer.Stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.armed = false
	return n.cause
}

// interrupt stops the call with that number, if it still runs; number 0 means whichever runs.
func (n *interrupter) interrupt(call uint64, cause error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.armed || n.cause != nil || call != 0 && call != n.call {
		return
	}
	n.cause = cause
	if n.wake != nil {
		n.wake(cause)
	}
	if grace := n.inst.v.grace; grace > 0 {
		n.deadline = time.Now().Add(grace)
		n.timer.Reset(grace)
		return
	}
	n.inst.halt()
}

// waiting is the context for a function of the host that waits: done when the call is interrupted.
// The caller calls release when it waits no longer.
func (n *interrupter) waiting() (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(n.inst.parent)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cause != nil {
		cancel(n.cause)
	}
	n.wake = cancel
	return ctx, func() {
		n.mu.Lock()
		n.wake = nil
		n.mu.Unlock()
		cancel(nil)
	}
}

// errRunTime is the cause when the call's own limit is over.
var errRunTime = errors.New("run time limit")

// timeOver is called when the run time of the call is over, or the time of grace after an interruption.
func (n *interrupter) timeOver() {
	n.mu.Lock()
	early := time.Now().Before(n.deadline) // the timer was reset while this was on its way
	call, grace := n.call, n.cause != nil
	if grace && n.armed && !early {
		n.inst.halt()
	}
	n.mu.Unlock()
	if !early && !grace {
		n.interrupt(call, errRunTime)
	}
}

// interrupted tells whether the running call was interrupted.
func (n *interrupter) interrupted() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cause != nil
}

// interruption is the error of a call that was interrupted with that cause.
func interruption(cause error, limit time.Duration) *abi.Error {
	var e *abi.Error
	switch {
	case errors.Is(cause, errRunTime):
		return abi.Errorf(abi.CodeTimeout, "it ran longer than its limit of %v; raise timeout_ms in the manifest", limit)
	case errors.As(cause, &e):
		c := *e
		return &c
	case errors.Is(cause, context.DeadlineExceeded):
		return &abi.Error{Code: abi.CodeTimeout, Message: "the time allowed is over", Err: cause}
	}
	return &abi.Error{Code: abi.CodeCancelled, Message: "cancelled", Err: cause}
}
