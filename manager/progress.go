package manager

import (
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// dirtyRuns are the attempts whose progress is waiting to be stored and told.
type dirtyRuns struct {
	mu   sync.Mutex
	runs []*run
	kick chan struct{} // wakes flushProgress; has room for one
}

func (d *dirtyRuns) add(r *run) {
	d.mu.Lock()
	d.runs = append(d.runs, r)
	d.mu.Unlock()
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

func (d *dirtyRuns) take() []*run {
	d.mu.Lock()
	defer d.mu.Unlock()
	runs := d.runs
	d.runs = nil
	return runs
}

// report takes the progress of a step. It is cheap and never waits for the store: the plugin is waiting for it.
func (r *run) report(step int, p abi.Progress) {
	f, ok := fraction(p)
	message := cleanMessage(p.Message)
	r.mu.Lock()
	if r.step != step { // too late
		r.mu.Unlock()
		return
	}
	t := r.task
	if n := len(t.Spec.Steps); n > 1 {
		if ok {
			t.Progress = (float64(step-1) + f) / float64(n)
		}
	} else {
		if ok {
			t.Progress = f
		}
		if p.Total > 0 {
			t.CurrentStep, t.TotalSteps = min(max(p.Step, 0), p.Total), p.Total
		}
	}
	if message != "" {
		t.Message = message
	}
	r.unspoken = true
	first := !r.dirty
	r.dirty = true
	r.mu.Unlock()
	if first {
		r.m.progress.add(r)
	}
}

// enter begins a step; tell says whether to tell of it at once.
func (r *run) enter(step int, tell bool) {
	if !tell {
		r.mu.Lock()
		r.step = step
		r.mu.Unlock()
		return
	}
	r.write.Lock()
	defer r.write.Unlock()
	r.mu.Lock()
	r.step = step
	t := r.task
	t.CurrentStep, t.Message = step, ""
	t.Progress = float64(step-1) / float64(len(t.Spec.Steps))
	r.unspoken = false
	first := !r.dirty
	r.dirty = true
	now := *t
	r.mu.Unlock()
	r.m.emit(EventProgress, &now)
	if first {
		r.m.progress.add(r)
	}
}

// flushProgress stores and tells progress: at once when there was none for a while, else once in every interval.
func (m *Manager) flushProgress() {
	for {
		select {
		case <-m.progress.kick:
		case <-m.quit:
			return
		}
		for _, r := range m.progress.take() {
			m.flush(r)
		}
		pause := time.NewTimer(m.cfg.ProgressInterval)
		select {
		case <-pause.C:
		case <-m.quit:
			pause.Stop()
			return
		}
	}
}

func (m *Manager) flush(r *run) {
	r.write.Lock()
	defer r.write.Unlock()
	r.mu.Lock()
	t, tell, live := r.next, r.unspoken, r.live
	r.dirty, r.unspoken = false, false
	if live {
		*t = *r.task
	}
	r.mu.Unlock()
	if !live || t.Status != StatusRunning {
		return
	}
	revision, err := m.store.Save(m.base, *t, r.lease)
	if err == nil {
		t.Revision = revision
		r.saved(t)
	} else if abi.CodeOf(err) == abi.CodeLeaseLost || abi.CodeOf(err) == abi.CodeNotFound {
		r.cancel(stopError(t.ID, CauseLeaseLost))
		return
	} // else the next save brings it
	if tell {
		m.emit(EventProgress, t)
	}
}
