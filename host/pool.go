package host

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
)

// pool holds the instances of one version: at most as many as it has slots, idle ones for the next call.
// Any goroutine may use it.
type pool struct {
	v *version

	mu      sync.Mutex
	size    int         // slots
	free    int         // slots that no call has; 0 while calls wait
	waiting list.List   // of chan struct{}: calls that wait, closed when the slot is theirs
	idle    []*instance // the one used last is the last
	all     map[*instance]struct{}
	closed  bool
}

func newPool(v *version, size int) *pool {
	return &pool{v: v, size: size, free: size, all: map[*instance]struct{}{}}
}

// tryEnter takes a slot if there is one, and an idle instance with it; the instance is nil if there is none.
func (p *pool) tryEnter() (i *instance, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == 0 {
		return nil, false
	}
	p.free--
	return p.take(), true
}

// enter is tryEnter, but it waits for the slot, in the order of arrival. The error is the context's cause.
func (p *pool) enter(ctx context.Context) (*instance, error) {
	p.mu.Lock()
	if p.free > 0 {
		defer p.mu.Unlock()
		p.free--
		return p.take(), nil
	}
	mine := make(chan struct{})
	place := p.waiting.PushBack(mine)
	p.mu.Unlock()
	select {
	case <-mine:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-mine:
		if ctx.Err() == nil {
			return p.take(), nil
		}
		p.handOn()
	default:
		p.waiting.Remove(place)
	}
	return nil, context.Cause(ctx)
}

// handOn gives a slot to the call that has waited longest; mu is held.
func (p *pool) handOn() {
	first := p.waiting.Front()
	if first == nil {
		p.free++
		return
	}
	close(p.waiting.Remove(first).(chan struct{}))
}

// take returns an idle instance, or nil if there is none; mu is held.
func (p *pool) take() *instance {
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	i := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return i
}

// leave gives the slot back and makes the instance, which may be nil, idle.
func (p *pool) leave(i *instance, now time.Duration) {
	p.mu.Lock()
	closed := p.closed
	if i != nil && !closed {
		i.idleAt = now
		p.idle = append(p.idle, i)
	}
	p.handOn()
	p.mu.Unlock()
	switch {
	case i == nil:
	case closed:
		p.discard(i)
	default:
		p.v.host.budget.signal()
	}
}

// takeOldest returns the instance that has been idle for longest, or nil.
func (p *pool) takeOldest() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	i := p.idle[0]
	p.idle = slices.Delete(p.idle, 0, 1)
	return i
}

// put makes an instance idle that no call had.
func (p *pool) put(i *instance) {
	p.mu.Lock()
	i.idleAt = p.v.host.now()
	p.idle = append(p.idle, i)
	p.mu.Unlock()
}

// add counts a new instance.
func (p *pool) add(i *instance) {
	p.mu.Lock()
	p.all[i] = struct{}{}
	p.mu.Unlock()
}

// discard closes an instance that is in nobody's hands but the caller's.
func (p *pool) discard(i *instance) {
	i.close()
	p.mu.Lock()
	delete(p.all, i)
	n := len(p.all)
	p.mu.Unlock()
	if on := p.v.host.cfg.OnEvent; on != nil {
		e := p.v.event(EventInstanceGone)
		e.Instances = n
		on(e)
	}
}

// count is how many instances there are, and how many calls have a slot.
func (p *pool) count() (instances, calls int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all), p.size - p.free
}

// reap closes the instances that are idle since before t.
func (p *pool) reap(t time.Duration) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && p.idle[n].idleAt < t {
		n++
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.mu.Unlock()
	for _, i := range old {
		p.discard(i)
	}
}

// close closes the idle instances now and the others when they are put back.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, i := range idle {
		p.discard(i)
	}
}

// interrupt stops every call that runs.
func (p *pool) interrupt(cause error) {
	p.mu.Lock()
	all := make([]*instance, 0, len(p.all))
	for i := range p.all {
		all = append(all, i)
	}
	p.mu.Unlock()
	for _, i := range all {
		i.stop.interrupt(0, cause)
	}
}
