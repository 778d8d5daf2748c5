package host

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/taskhost/taskhost/abi"
)

// budget bounds the sum of the memories of all instances. Who finds no room waits: idle instances are closed first, then calls that
// end make room. Any goroutine may use it.
type budget struct {
	limit int64
	evict func() bool // closes an idle instance; false if there is none

	used    atomic.Int64
	waiting atomic.Int64 // goroutines that wait for room

	mu        sync.Mutex
	changed   chan struct{} // closed when room was made
	instances int           // that hold memory
	stuck     int           // instances whose guest waits to grow
}

func newBudget(limit int64, evict func() bool) *budget {
	return &budget{limit: limit, evict: evict, changed: make(chan struct{})}
}

// take takes n bytes if there is room.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.used.Add(-n)
	return false
}

// give gives n bytes back.
func (b *budget) give(n int64) {
	b.used.Add(-n)
	b.signal()
}

// signal wakes those who wait: there is room, or something idle to close.
func (b *budget) signal() {
	if b.waiting.Load() == 0 {
		return
	}
	b.mu.Lock()
	close(b.changed)
	b.changed = make(chan struct{})
	b.mu.Unlock()
}

// enter waits for room for a new instance of n bytes, and counts it.
func (b *budget) enter(ctx context.Context, n int64) error {
	if n > b.limit {
		return abi.Errorf(abi.CodeMemoryLimit, "it needs %d bytes of memory to start, and all plugins together may have %d; raise Config.MaxMemory of the host", n, b.limit)
	}
	if !b.wait(ctx, n, nil) {
		return context.Cause(ctx)
	}
	b.mu.Lock()
	b.instances++
	b.mu.Unlock()
	return nil
}

// leave takes an instance out of the count; its bytes were given back.
func (b *budget) leave() {
	b.mu.Lock()
	b.instances--
	b.mu.Unlock()
	b.signal()
}

// grow waits for room for n bytes more of an instance that runs. It is false when ctx ends, or when every instance waits to grow, so
// that none would ever end.
func (b *budget) grow(ctx context.Context, n int64) bool {
	return b.wait(ctx, n, func() bool { return b.stuck+1 < b.instances })
}

// wait waits for room. Patient, if it is given, is asked under mu whether there is hope.
func (b *budget) wait(ctx context.Context, n int64, patient func() bool) bool {
	if b.take(n) {
		return true
	}
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	for {
		b.mu.Lock()
		changed := b.changed
		b.mu.Unlock()
		for {
			if b.take(n) {
				return true
			}
			if !b.evict() {
				break
			}
		}
		if patient != nil {
			b.mu.Lock()
			hope := patient()
			if hope {
				b.stuck++
			}
			b.mu.Unlock()
			if !hope {
				return false
			}
		}
		var ended bool
		select {
		case <-changed:
		case <-ctx.Done():
			ended = true
		}
		if patient != nil {
			b.mu.Lock()
			b.stuck--
			b.mu.Unlock()
		}
		if ended {
			return false
		}
	}
}

// meter charges the memories of one instance to the budget. It is for the goroutine that runs the instance.
type meter struct {
	budget  *budget
	inst    *instance
	prepaid int64 // taken for the instance, not yet used
	starved bool  // the budget had no room for growth
}

// grow is asked before a memory grows by n bytes.
func (m *meter) grow(n uint64) bool {
	need := int64(n) - m.prepaid
	if need <= 0 {
		m.prepaid -= int64(n)
		return true
	}
	if !m.budget.take(need) {
		ctx, release := m.inst.stop.waiting()
		ok := need <= m.budget.limit && m.budget.grow(ctx, need)
		release()
		if !ok {
			m.starved = true
			return false
		}
	}
	m.prepaid = 0
	return true
}

// refusal is the error of a call whose guest was starved.
func (m *meter) refusal() *abi.Error {
	return abi.Errorf(abi.CodeUnavailable, "it needs more memory, and the plugins together have the %d bytes that they may; try again later, or raise Config.MaxMemory of the host",
		m.budget.limit)
}

// free is told after memories of n bytes are gone.
func (m *meter) free(n uint64) { m.budget.give(int64(n)) }

// settle gives back what was taken and not used.
func (m *meter) settle() {
	if m.prepaid > 0 {
		m.budget.give(m.prepaid)
		m.prepaid = 0
	}
}
