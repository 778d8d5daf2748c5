package manager

import (
	"time"

	"github.com/taskhost/taskhost/abi"
)

// sweepStep is how many tasks are removed at a time.
const sweepStep = 256

// keepLeases extends the leases of long attempts. An attempt whose lease is lost, or cannot be extended until it ends, is cancelled
// and writes nothing. It also learns here that somebody elsewhere asked for a task to stop.
func (m *Manager) keepLeases() {
	tick := time.NewTicker(m.cfg.LeaseTTL / 4)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.eachRun(m.extend)
		case <-m.quit:
			return
		}
	}
}

func (m *Manager) extend(r *run) {
	t, live := r.snapshot()
	now := time.Now()
	r.mu.Lock()
	expires := r.expires
	r.mu.Unlock()
	if !live || expires.Sub(now) > m.cfg.LeaseTTL*2/3 {
		return
	}
	stored, err := m.store.Extend(m.base, r.lease, m.cfg.LeaseTTL)
	switch code := abi.CodeOf(err); {
	case err == nil:
		r.mu.Lock()
		r.expires = now.Add(m.cfg.LeaseTTL)
		r.mu.Unlock()
		if stored.Cause != "" && t.Cause == "" {
			r.cancel(stopError(t.ID, stored.Cause))
		}
	case code == abi.CodeLeaseLost || code == abi.CodeNotFound:
		m.lost(r)
	default:
		m.emitError(t.header(), err)
		if !now.Before(expires) {
			m.lost(r)
		}
	}
}

// lost cancels an attempt whose lease is gone, unless it has just settled by itself.
func (m *Manager) lost(r *run) {
	if r.isLive() {
		r.cancel(stopError(r.lease.ID, CauseLeaseLost))
	}
}

// sweepFinished removes finished tasks that retention does not keep.
func (m *Manager) sweepFinished() {
	tick := time.NewTicker(min(max(m.cfg.MaxFinishedAge/10, time.Second), time.Minute))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-m.sweep:
		case <-m.quit:
			return
		}
		m.finished.Store(0)
		m.finishedBytes.Store(0)
		for {
			n, err := m.store.Sweep(m.base, Retention{
				FinishedAfter: time.Now().Add(-m.cfg.MaxFinishedAge), Tasks: m.cfg.MaxFinished, Bytes: m.cfg.MaxFinishedBytes,
			}, sweepStep)
			m.removed.Add(uint64(n))
			if err != nil {
				m.emitError(Task{}, err)
			}
			if n < sweepStep || err != nil {
				break
			}
		}
	}
}
