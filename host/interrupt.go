package host

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/instrument"
)

// halt makes the guest's code stop where it is, within a slice of ticks; any goroutine may call it, while the guest runs or not.
// How that works is in package instrument: the code is rewritten when it is loaded, wazero's own switch is not used.
func (i *instance) halt() {
	for _, m := range i.modules {
		m.control.Interrupt()
	}
}

// yieldFunc is the function that guests' code leaves through after each slice of ticks: other goroutines get their turn. Without it they
// would wait until the scheduler's time slice of 10 ms is over, and so would whoever wants to stop the guest.
const yieldFunc = "yield"

// turn is how long a guest runs before it gives way where nobody seems to wait: giving way costs some 10 µs then, for the goroutine may
// go on on another core. Where somebody ran in between, which crowded tells by the time that it took, the guest gives way after each
// slice: with all cores busy that costs little, and what waits is many times as quick.
const (
	turn    = 500 * time.Microsecond
	crowded = 30 * time.Microsecond
)

// A slice of ticks takes a few microseconds where a guest computes, and a thousand times as long where every instruction waits for memory
// that the system has yet to provide. Nothing can stop or move the guest in between, and a garbage collection waits for it. So a slice
// that took longer than longSlice makes the next ones smaller, and one that was short larger again, up to what they began with.
const (
	longSlice  = 200 * time.Microsecond
	shortSlice = 50 * time.Microsecond
	minSlice   = instrument.DefaultSlice >> 10
)

// pace sets the size of the slices to come after one that took that long.
func (i *instance) pace(took time.Duration) {
	if took >= shortSlice && took <= longSlice {
		return
	}
	for _, m := range i.modules {
		switch n := m.control.Slice(); {
		case took > longSlice:
			m.control.SetSlice(max(n*int64(longSlice/2)/int64(took), minSlice))
		case took < shortSlice && n < instrument.DefaultSlice:
			m.control.SetSlice(n * 2)
		}
	}
}

func yield(i *instance, _ []uint64) {
	now := i.v.host.now()
	i.pace(now - max(i.resumed, i.stop.began))
	i.resumed = now
	if now < i.nextTurn {
		return
	}
	i.watch.GiveUp()
	runtime.Gosched()
	i.resumed = i.v.host.now()
	i.nextTurn = i.resumed
	if i.resumed-now < crowded {
		i.nextTurn += turn
	}
}

// instantiateYield gives a module of an instance that function.
func (h *Host) instantiateYield(m api.Module) (api.Module, error) {
	ctx := experimental.WithImportResolver(context.Background(), func(name string) api.Module {
		if name == instrument.YieldGuest {
			return m
		}
		return nil
	})
	return h.runtime.InstantiateModule(ctx, h.yield, h.anonymous)
}

// interrupter ends the guest's code of one instance when the call's context ends or its run time is over.
type interrupter struct {
	inst *instance

	// state is the number of the call in its upper bits and, below, armed while the call runs and touched once somebody else has taken
	// an interest in it. The number keeps what comes late for one call from hitting the next. All changes but those of the goroutine
	// that runs a call nobody has touched are made under mu.
	state atomic.Uint64

	// Set before the call is armed, and left alone while it is.
	ctx   context.Context
	began time.Duration // on the host's clock
	limit time.Duration
	cause error // why the call was interrupted; nil: it was not. Under mu while it is armed

	mu    sync.Mutex
	wake  context.CancelCauseFunc // ends what a function of the host waits for; nil: none waits
	timer *time.Timer             // for the limit, then for the time of grace; nil: the call is not guarded yet
	untie func() bool             // from the context
}

const (
	armed   = 1
	touched = 2
	number  = 4 // of the first call
)

// arm begins a call: from now on until disarm the guest is stopped when ctx is done or limit is over.
func (n *interrupter) arm(ctx context.Context, began, limit time.Duration) {
	n.ctx, n.began, n.limit, n.cause = ctx, began, limit, nil
	n.state.Store((n.state.Load()/number+1)*number | armed)
	n.inst.v.host.dog.alert()
}

// disarm ends a call and returns why it was interrupted, nil if it was not.
func (n *interrupter) disarm() error {
	if state := n.state.Load(); state&touched == 0 && n.state.CompareAndSwap(state, state&^armed) {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state.Store(n.state.Load() &^ (armed | touched))
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
	if n.untie != nil {
		n.untie()
		n.untie = nil
	}
	return n.cause
}

// touch keeps the call of that state, or whichever runs if it is 0, from ending unseen; false if it does not run. The caller holds mu.
func (n *interrupter) touch(state uint64) bool {
	for {
		now := n.state.Load()
		if now&armed == 0 || state != 0 && state/number != now/number {
			return false
		}
		if n.state.CompareAndSwap(now, now|touched) {
			return true
		}
	}
}

// guard ties the call to its context and gives it a timer, if it is still the one of that state.
func (n *interrupter) guard(state uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.touch(state) || n.timer != nil {
		return
	}
	n.timer = time.AfterFunc(n.left(), func() { n.interrupt(state, errRunTime) })
	if ctx := n.ctx; ctx.Done() != nil {
		n.untie = context.AfterFunc(ctx, func() { n.interrupt(state, context.Cause(ctx)) })
	}
}

// left is what is left of the run time.
func (n *interrupter) left() time.Duration { return n.began + n.limit - n.inst.v.host.now() }

// interrupt stops the call of that state, if it still runs; state 0 means whichever runs.
func (n *interrupter) interrupt(state uint64, cause error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.touch(state) || n.cause != nil {
		return
	}
	n.cause = cause
	if n.wake != nil {
		n.wake(cause)
	}
	grace := n.inst.v.grace
	if grace == 0 {
		n.inst.halt()
		return
	}
	if n.timer != nil {
		n.timer.Stop()
	}
	state = n.state.Load()
	n.timer = time.AfterFunc(grace, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.touch(state) {
			n.inst.halt()
		}
	})
}

// waiting is the context for a function of the host that waits: done when the call is interrupted, or is to be.
// The caller calls release when it waits no longer.
func (n *interrupter) waiting() (ctx context.Context, release func()) {
	n.inst.watch.GiveUp()
	ctx, cancel := context.WithCancelCause(n.ctx)
	ctx, stop := context.WithTimeoutCause(ctx, n.left(), errRunTime)
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
		stop()
		cancel(nil)
	}
}

// interrupted tells whether the running call was interrupted, or is to be.
func (n *interrupter) interrupted() bool {
	if n.ctx.Err() != nil {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cause != nil
}

// errRunTime is the cause when the call's own limit is over.
var errRunTime = errors.New("run time limit")

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
