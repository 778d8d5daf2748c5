package manager

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/taskhost/taskhost/abi"
)

// Bounds on subscriptions.
const (
	MaxSubscribers = 1000   // open at a time
	MaxBuffer      = 10_000 // events of one subscription
)

// Subscription is a stream of events. It never slows the manager down: when its buffer is full, events are dropped and counted.
// So it is good for showing what goes on; whoever must not miss anything reads the tasks with Get or List, and uses events as a hint
// to do so.
type Subscription struct {
	filter  Filter
	events  chan Event
	dropped atomic.Uint64
	all     *subscriptions
	unwatch func() bool

	mu     sync.Mutex // of sending and closing
	closed bool
}

// subscriptions are those of one manager.
type subscriptions struct {
	open    atomic.Int64
	dropped atomic.Uint64
	mu      sync.RWMutex
	list    map[*Subscription]struct{}
	closed  bool
}

// Subscribe starts a subscription to events of tasks that match the filter; EventReject and EventError come only where the filter
// matches their task. buffer is how many events wait for a slow reader: default 256, at most MaxBuffer. The subscription ends with
// ctx, with Close, or when the manager has stopped. Errors: CodeInvalid, CodeClosed, and CodeUnavailable past MaxSubscribers.
func (m *Manager) Subscribe(ctx context.Context, f Filter, buffer int) (*Subscription, error) {
	switch {
	case buffer < 0 || buffer > MaxBuffer:
		return nil, abi.Errorf(abi.CodeInvalid, "a subscription's buffer of %d is not between 0 (the default) and %d", buffer, MaxBuffer)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	s := &Subscription{filter: f, events: make(chan Event, or(buffer, 256)), all: &m.subs}
	if err := m.subs.add(s); err != nil {
		return nil, err
	}
	unwatch := context.AfterFunc(ctx, s.Close)
	s.mu.Lock()
	s.unwatch = unwatch
	closed := s.closed
	s.mu.Unlock()
	if closed { // by Stop, meanwhile
		unwatch()
	}
	return s, nil
}

// Events is closed when the subscription ends: by Close, by the end of the context given to Subscribe, or by Stop.
// What was buffered before can still be read.
func (s *Subscription) Events() <-chan Event { return s.events }

// Dropped is how many events were lost so far because the buffer was full.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() {
	s.all.remove(s)
	s.close()
}

func (s *Subscription) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.events)
	if s.unwatch != nil {
		s.unwatch()
	}
}

func (s *Subscription) send(e *Event) {
	if !s.filter.Match(&e.Task) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	select {
	case s.events <- *e:
	default:
		s.dropped.Add(1)
		s.all.dropped.Add(1)
	}
}

func (l *subscriptions) add(s *Subscription) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errClosed()
	case len(l.list) >= MaxSubscribers:
		return abi.Errorf(abi.CodeUnavailable, "there are %d subscriptions already; close some", len(l.list))
	}
	if l.list == nil {
		l.list = make(map[*Subscription]struct{})
	}
	l.list[s] = struct{}{}
	l.open.Add(1)
	return nil
}

func (l *subscriptions) remove(s *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.list[s]; ok {
		delete(l.list, s)
		l.open.Add(-1)
	}
}

func (l *subscriptions) send(e *Event) {
	if l.open.Load() == 0 {
		return
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for s := range l.list {
		s.send(e)
	}
}

// closeAll ends all of them, and lets in no more.
func (l *subscriptions) closeAll() {
	l.mu.Lock()
	list := l.list
	l.list, l.closed = nil, true
	l.open.Store(0)
	l.mu.Unlock()
	for s := range list {
		s.close()
	}
}
