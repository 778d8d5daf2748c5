package host

import (
	"context"
	"sync"
	"time"
)

// pool holds the instances of one version: at most as many as it has slots, idle ones for the next call.
// Any goroutine may use it.
type pool struct {
	v     *version
	slots chan struct{} // one token for each call that has a slot

	mu     sync.Mutex
	idle   []*instance // the one used last is the last
	all    map[*instance]struct{}
	closed bool
}

func newPool(v *version, size int) *pool {
	return &pool{v: v, slots: make(chan struct{}, size), all: map[*instance]struct{}{}}
}

// tryAcquire takes a slot if there is one.
func (p *pool) tryAcquire() bool {
	select {
	case p.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// acquire waits for a slot.
func (p *pool) acquire(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pool) release() { <-p.slots }

// take returns an idle instance, or nil if there is none.
func (p *pool) take() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	i := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return i
}

// takeOldest is take for the instance that has been idle for longest.
func (p *pool) takeOldest() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	i := p.idle[0]
	p.idle = append(p.idle[:0], p.idle[1:]...)
	return i
}

// put makes an instance idle, or closes it if the pool is closed.
func (p *pool) put(i *instance, now time.Time) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		i.idleAt = now
		p.idle = append(p.idle, i)
	}
	p.mu.Unlock()
	if closed {
		p.discard(i)
		return
	}
	p.v.host.budget.signal()
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
	return len(p.all), len(p.slots)
}

// reap closes the instances that are idle since before t.
func (p *pool) reap(t time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && p.idle[n].idleAt.Before(t) {
		n++
	}
	old := append([]*instance(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
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
