package instrument

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero/api"
)

// Reason says why a call ended in a trap of this package.
type Reason uint32

// The reasons. ReasonNone means that the guest ended, or trapped, by itself.
const (
	ReasonNone Reason = iota
	ReasonInterrupted
	ReasonFuel
	ReasonStack
)

// String names the reason in a few words.
func (r Reason) String() string {
	switch r {
	case ReasonNone:
		return "none"
	case ReasonInterrupted:
		return "interrupted"
	case ReasonFuel:
		return "fuel used up"
	case ReasonStack:
		return "stack overflow"
	}
	return fmt.Sprintf("reason(%d)", uint32(r))
}

// Unlimited is a budget that no call can use up.
const Unlimited = math.MaxInt64 / 4

// Control is the host's side of one instance. Interrupt may be called from any goroutine at any time; everything else
// only from the goroutine that calls into the instance, and not while a call is under way.
type Control struct {
	ticks, fuel, cut, reason, stack, hidden api.MutableGlobal
	guest                                   []api.MutableGlobal
	start                                   api.Function
	memory                                  api.Memory
	slice, stackBytes                       int64
	budget                                  int64

	clean bool  // the last call returned: it left no reason
	left  int64 // of the budget, when clean

	mu     sync.Mutex // orders Interrupt and Begin
	raised atomic.Bool
	flag   api.MutableGlobal
}

// Bind finds what Rewrite added to the module in an instance of it.
func (r *Result) Bind(mod api.Module) (*Control, error) {
	c := &Control{slice: r.slice, stackBytes: r.stack, budget: Unlimited}
	for name, g := range map[string]*api.MutableGlobal{ExportTicks: &c.ticks, ExportFuel: &c.fuel, ExportSlice: &c.cut, ExportFlag: &c.flag,
		ExportReason: &c.reason, ExportStack: &c.stack, ExportHidden: &c.hidden} {
		if x := mod.ExportedGlobal(name); x != nil {
			*g = x.(api.MutableGlobal)
		}
	}
	if c.reason == nil || r.VirtualMemory != (c.hidden != nil) {
		return nil, fmt.Errorf("instrument: %s is not an instance of this module", mod.Name())
	}
	for _, g := range r.Globals {
		x, ok := mod.ExportedGlobal(g.Name).(api.MutableGlobal)
		if !ok {
			return nil, fmt.Errorf("instrument: %s has no global %s", mod.Name(), g.Name)
		}
		c.guest = append(c.guest, x)
	}
	if r.HasStart {
		c.start = mod.ExportedFunction(ExportStart)
	}
	if r.VirtualMemory {
		c.memory = mod.Memory()
	}
	return c, nil
}

// Slice is the number of ticks of the slices to come.
func (c *Control) Slice() int64 { return c.slice }

// SetSlice changes it, to at least one. It is for the goroutine that runs the guest; how many ticks a call takes does not depend on it.
func (c *Control) SetSlice(ticks int64) {
	if ticks = max(ticks, 1); c.cut != nil && ticks != c.slice {
		c.slice = ticks
		c.cut.Set(uint64(ticks))
	}
}

// Start runs the module's start function if it has one. Call Begin before.
func (c *Control) Start(ctx context.Context) error {
	if c.start == nil {
		return nil
	}
	_, err := c.start.Call(ctx)
	return err
}

// StartFunction is what Start runs, nil if there is none.
func (c *Control) StartFunction() api.Function { return c.start }

// Begin prepares the next call: a budget of ticks, an empty stack, no reason, and no interrupt; one that came before
// is forgotten. It is all an instance needs to be called again after a trap of this package.
func (c *Control) Begin(budget int64) {
	if c.stack != nil {
		c.stack.Set(uint64(c.stackBytes))
	}
	if c.raised.Load() {
		c.mu.Lock()
		c.raised.Store(false)
		c.flag.Set(0)
		c.mu.Unlock()
		c.clean = false
	}
	budget = min(max(budget, 0), Unlimited)
	if c.clean && budget == Unlimited && c.left > Unlimited/2 {
		c.budget = c.left // the slice that was begun goes on
	} else {
		c.budget = budget
		c.reason.Set(0)
		if c.ticks != nil {
			slice := min(c.slice, budget)
			c.ticks.Set(uint64(slice))
			c.fuel.Set(uint64(budget - slice))
		}
	}
	c.clean = false
}

// End is for the goroutine that made the call, after it: it returns the ticks that were used, as Used does. Returned tells that
// the call came back and did not trap, which makes the next Begin cheaper. To leave it out is no fault.
func (c *Control) End(returned bool) (used int64) {
	if c.ticks == nil {
		return 0
	}
	c.left = c.remains()
	c.clean = returned
	return c.budget - c.left
}

// Interrupt ends the call under way, if any, within a slice of ticks, or at the next check when the guest is in a function of the host. It
// stays in force until Begin.
func (c *Control) Interrupt() {
	if c.flag == nil {
		return
	}
	c.mu.Lock()
	c.raised.Store(true)
	c.flag.Set(1)
	// Below zero, so that the next check leaves to Go, and still good to count with. Where the guest counts in a local, that goes over it.
	//
	// The guest counts meanwhile, and the race detector makes eight of what is one access of eight bytes: the guest may find, and store
	// again, a mixture of two values. So they differ in the last byte alone, and those before it that could make it a large number are
	// zero. What is below zero leaves by itself.
	if ticks := int64(c.ticks.Get()); ticks >= 0 && ticks < maxSlice {
		c.ticks.Set(uint64(ticks - urgent))
	}
	c.mu.Unlock()
}

// Interrupted tells whether Interrupt is in force.
func (c *Control) Interrupted() bool { return c.raised.Load() }

// Used is the number of ticks taken since Begin. It can exceed the budget by what fits between two checks. While a call
// is under way it may be read from another goroutine, one that Begin happened before, and lags by up to a slice.
func (c *Control) Used() int64 {
	if c.ticks == nil {
		return 0
	}
	return c.budget - c.remains()
}

// urgent is what Interrupt takes from the ticks of the slice: more than a guest can use of it, and more than Unlimited.
const urgent = 1 << 62

// maxSlice bounds slices.
const maxSlice = 1 << 20

// remains is what is left of the budget. What Interrupt took is in the ticks, or in the fuel if the guest just cut its next slice.
func (c *Control) remains() int64 {
	left := int64(c.ticks.Get()) + int64(c.fuel.Get())
	if left < -urgent/2 {
		left += urgent
	}
	return left
}

// Remaining is what is left of the budget, never below zero.
func (c *Control) Remaining() int64 { return max(c.budget-c.Used(), 0) }

// Reason says which trap of this package ended the last call, ReasonNone when none did.
func (c *Control) Reason() Reason {
	r := Reason(c.reason.Get())
	if r == ReasonFuel && int64(c.fuel.Get()) < -urgent/2 { // what Interrupt took
		return ReasonInterrupted
	}
	return r
}

// State is what Save takes and Restore puts back: the guest's globals and the size of its memory. The content of the
// memory is the host's.
type State struct {
	globals []uint64
	pages   uint32
}

// Pages is the size of the memory as the guest saw it.
func (s *State) Pages() uint32 { return s.pages }

// Save takes the state, reusing s when it is not nil.
func (c *Control) Save(s *State) *State {
	if s == nil {
		s = &State{globals: make([]uint64, len(c.guest))}
	}
	for i, g := range c.guest {
		s.globals[i] = g.Get()
	}
	s.pages = c.Pages()
	return s
}

// Restore puts the guest's globals and the size of its memory back. Pages past that size are hidden, and the host must
// have zeroed them.
func (c *Control) Restore(s *State) {
	for i, g := range c.guest {
		g.Set(s.globals[i])
	}
	if c.hidden != nil {
		c.hidden.Set(uint64(c.realPages() - s.pages))
	}
}

// Pages is the size of the memory as the guest sees it; zero without a memory of its own.
func (c *Control) Pages() uint32 {
	if c.hidden == nil {
		return 0
	}
	return c.realPages() - uint32(c.hidden.Get())
}

// realPages is the size of the engine's memory. Size cannot tell 4 GiB from nothing; growing by nothing can.
func (c *Control) realPages() uint32 {
	if n := c.memory.Size(); n > 0 {
		return n >> 16
	}
	n, _ := c.memory.Grow(0)
	return n
}
