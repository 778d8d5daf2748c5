package manager

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Stop refuses new tasks, works off the queue (see Config.KeepOnStop), and returns when nothing of the manager runs any more.
// When ctx ends before, it cancels what is left with CauseShutdown, waits for it at most Config.StopGrace, and returns an error
// that wraps ctx's and says how many tasks were cut off, or which of them do not return. Subscriptions end.
// A manager that was never started cancels what waits. A second Stop waits for the same end.
func (m *Manager) Stop(ctx context.Context) error {
	m.close()
	if !m.waitDrained(ctx) {
		m.cutShort()
		grace := time.NewTimer(m.cfg.StopGrace)
		defer grace.Stop()
		select {
		case <-m.workersDone:
		case <-grace.C:
			return m.stuck(ctx.Err())
		}
	}
	m.rest()
	n := m.cutOff.Load()
	if n == 0 || ctx.Err() == nil {
		return nil
	}
	what := "cancelled"
	if m.cfg.KeepOnStop {
		what = "put back"
	}
	return &abi.Error{Code: abi.CodeOf(ctx.Err()), Message: fmt.Sprintf("stopped before the queue was empty: %d tasks were %s", n, what), Err: ctx.Err()}
}

// drainPoll is how often Stop looks by itself whether the queue is empty: the store may have failed when it was asked, or other
// managers may work it off too.
const drainPoll = 250 * time.Millisecond

// waitDrained waits for the workers to leave; false: ctx ended before.
func (m *Manager) waitDrained(ctx context.Context) bool {
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	for {
		select {
		case <-m.workersDone:
			return true
		case <-ctx.Done():
			return false
		case <-poll.C:
			m.checkDrained()
		}
	}
}

// close refuses new tasks and lets the workers leave when the queue is empty.
func (m *Manager) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == stateStopping {
		return
	}
	m.submitting.Lock() // no task is being created
	m.stopping.Store(true)
	m.submitting.Unlock()
	close(m.closing)

	started := m.state == stateStarted
	m.state = stateStopping
	switch {
	case !started:
		m.stopClaims()
		m.cancelPending()
		close(m.workersDone)
	case m.cfg.KeepOnStop:
		m.stopClaims()
	default:
		m.checkDrained()
	}
}

// checkDrained lets the workers leave if nothing is left to do. It is called whenever that may be so.
func (m *Manager) checkDrained() {
	if m.claiming.Err() != nil {
		return
	}
	counts, err := m.store.Counts(m.base)
	if err != nil {
		m.emitError(Task{}, err)
	} else if counts.Pending == 0 && counts.Running == 0 {
		m.stopClaims()
	}
}

// cutShort cancels what is left.
func (m *Manager) cutShort() {
	m.hardOnce.Do(func() {
		close(m.hard)
		m.stopClaims()
		m.eachRun(func(r *run) {
			if r.isLive() {
				r.cancel(stopError(r.lease.ID, CauseShutdown))
			}
		})
		m.cancelPending()
	})
}

func (m *Manager) hardStopped() bool {
	select {
	case <-m.hard:
		return true
	default:
		return false
	}
}

// cancelPending cancels all that waits, unless it is to be kept.
func (m *Manager) cancelPending() {
	if m.cfg.KeepOnStop {
		return
	}
	f := Filter{Status: []Status{StatusPending}, Limit: MaxPage}
	for {
		page, err := m.store.List(m.base, f)
		if err != nil {
			m.emitError(Task{}, err)
			return
		}
		for i := range page.Tasks {
			id := page.Tasks[i].ID
			if done, err := m.cancelStored(m.base, id, CauseShutdown); done && err == nil {
				m.cutOff.Add(1)
			}
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			return
		}
	}
}

// rest ends what is left when the workers have gone.
func (m *Manager) rest() {
	m.closeOnce.Do(func() {
		if m.hardStopped() {
			m.cancelPending() // what failed meanwhile and would be tried again
		}
		close(m.quit)
		m.background.Wait()
		m.subs.closeAll()
	})
}

// stuck is the error of a stop whose tasks do not return although they were cancelled.
func (m *Manager) stuck(cause error) error {
	var ids []string
	m.eachRun(func(r *run) {
		if r.isLive() && len(ids) < 10 {
			ids = append(ids, r.lease.ID)
		}
	})
	return &abi.Error{
		Code:    abi.CodeTimeout,
		Message: fmt.Sprintf("tasks do not return %v after they were cancelled: %s", m.cfg.StopGrace, strings.Join(ids, ", ")),
		Err:     cause,
	}
}
