package host

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// watchdog makes sure that calls can be stopped, at no cost for the short ones: a call that is still there when the watchdog has come
// by twice gets a timer and is tied to its context; one that ended before never had any of it.
// It sleeps while no call runs.
type watchdog struct {
	parked atomic.Bool
	wake   chan struct{}

	mu      sync.Mutex
	watched map[*interrupter]uint64 // state at the last round
}

// round is the time between two rounds of the watchdog: what it adds, at most twice, to stopping a call that just began.
const round = time.Millisecond

func newWatchdog() *watchdog {
	return &watchdog{wake: make(chan struct{}, 1), watched: map[*interrupter]uint64{}}
}

func (w *watchdog) add(n *interrupter) {
	w.mu.Lock()
	w.watched[n] = 0
	w.mu.Unlock()
}

func (w *watchdog) remove(n *interrupter) {
	w.mu.Lock()
	delete(w.watched, n)
	w.mu.Unlock()
}

// alert must be called after a call was armed.
func (w *watchdog) alert() {
	if w.parked.Load() {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// run makes rounds until ctx is done.
func (w *watchdog) run(ctx context.Context) {
	tick := time.NewTicker(round)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if w.patrol() {
			continue
		}
		w.parked.Store(true)
		if !w.patrol() { // once more: a call may have been armed before it could see that the watchdog is parked
			tick.Stop()
			select {
			case <-ctx.Done():
				return
			case <-w.wake:
			}
			tick.Reset(round)
		}
		w.parked.Store(false)
	}
}

// patrol makes one round and tells whether a call runs.
func (w *watchdog) patrol() (busy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, last := range w.watched {
		state := n.state.Load()
		if state != last {
			w.watched[n] = state
		}
		if state&armed == 0 {
			continue
		}
		busy = true
		if state == last {
			n.guard(state)
		}
	}
	return busy
}
