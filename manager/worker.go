package manager

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// work is one slot: it claims tasks and runs them, one after the other, until claiming ends.
func (m *Manager) work() {
	left := false
	defer func() {
		if !left { // a Go function ended its goroutine with runtime.Goexit: the slot goes on with another
			m.workers.Go(m.work)
		}
	}()
	for failures := 0; m.claiming.Err() == nil; {
		var err error
		var lease Lease
		b := bodies.Get().(*body)
		b.task, lease, err = m.store.Claim(m.claiming, m.cfg.LeaseTTL)
		switch {
		case err == nil:
			failures = 0
			m.attempt(b, lease)
		case m.claiming.Err() == nil:
			failures++
			m.emitError(Task{}, err)
			m.pause(m.claiming.Done(), failures)
		}
	}
	left = true
}

// pause waits before a store that failed is tried again; longer each time, at most about 5 seconds.
func (m *Manager) pause(done <-chan struct{}, failures int) {
	d := min(50*time.Millisecond<<min(failures, 10), 5*time.Second)
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
	}
}

// attempt runs a claimed task.
func (m *Manager) attempt(b *body, l Lease) {
	if m.listens() {
		m.tellUntold(&b.task)
	}
	r := newRun(m, b, l)
	if r.ready = m.prepareRun(r); r.ready != nil && r.ready.Code == abi.CodeUnavailable {
		m.abandon(r, r.ready)
		return
	}
	if !m.begin(r) {
		return
	}
	m.busy.Add(1)
	defer m.settle(r) // also when a Go function ends its goroutine
	r.execute()
}

// maxSettling is how many attempts may wait for the store to settle them while their slots go on.
const maxSettling = 1024

// settle frees the slot and settles the attempt: here, or, where the store waits for a disk, in a goroutine of its own.
func (m *Manager) settle(r *run) {
	if m.settling == nil {
		m.end(r)
		m.busy.Add(-1)
		return
	}
	m.unsettled.Add(1)
	defer m.busy.Add(-1)
	select {
	case m.settling <- r: // one is idle
		return
	default:
	}
	if m.settlers.Add(1) > maxSettling {
		m.settlers.Add(-1)
		m.settling <- r
		return
	}
	m.background.Go(func() { m.settleRuns(r) })
}

// settleRuns is a goroutine that settles attempts, one after the other, until the workers have left. New goroutines would cost more: they
// have to grow their stacks.
func (m *Manager) settleRuns(r *run) {
	for {
		m.end(r)
		m.unsettled.Done()
		select {
		case r = <-m.settling:
		case <-m.workersDone:
			return
		}
	}
}

// begin moves a claimed task to running, and reports whether there is something to run.
func (m *Manager) begin(r *run) bool {
	id := r.lease.ID
	r.write.Lock()
	defer r.write.Unlock()
	r.shard.setRun(id, r)
	waited := r.task.Status == StatusPending
	c := m.firstMove(r, now())
	err := m.saveTold(r, &c)
	if waited && err == nil {
		m.room.freed()
	}
	t := r.next
	switch {
	case err != nil:
		m.abandon(r, err)
		return false
	case t.Status != StatusRunning:
		m.finish(r)
		return false
	}
	r.arm(m.base)
	m.emit(EventStart, t)
	if m.hardStopped() {
		r.cancel(stopError(id, CauseShutdown))
	}
	return true
}

// firstMove says what to do with a task that was just claimed.
func (m *Manager) firstMove(r *run, now time.Time) change {
	t := r.task
	end := t.deadline()
	switch {
	case t.Status == StatusRunning:
		return change{move: moveLose, now: now}
	case !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt):
		return change{move: moveFail, now: now, err: expiredError(t)}
	case m.hardStopped() && m.cfg.KeepOnStop:
		return change{move: moveRelease, now: now}
	case m.hardStopped():
		m.cutOff.Add(1)
		return change{move: moveAsk, now: now, cause: CauseShutdown, err: stopError(t.ID, CauseShutdown)}
	case !end.IsZero() && !now.Before(end):
		return change{move: moveFail, now: now, err: timeoutError(t.ID, t.Spec.Timeout)}
	case r.ready != nil && r.ready.Code == abi.CodeDependency && t.Spec.AfterFailed == AfterSkip:
		return change{move: moveAsk, now: now, cause: CauseDependency, err: r.ready}
	case r.ready != nil:
		return change{move: moveFail, now: now, err: r.ready}
	}
	return change{move: moveStart, now: now}
}

func timeoutError(id string, after time.Duration) *abi.Error {
	return &abi.Error{Code: abi.CodeTimeout, Task: id, Message: "the task did not end within " + after.String()}
}

// finish ends an attempt whose task was saved and is not running, and tells what follows: it is final, or will be tried again.
func (m *Manager) finish(r *run) {
	r.over()
	if t := r.next; t.Status.Final() {
		m.emit(EventFinish, t)
		m.ended(t)
	}
	r.shard.dropRun(r.lease.ID, r) // after telling: Result relies on it
	r.release()
}

// end settles an attempt.
func (m *Manager) end(r *run) {
	id := r.lease.ID
	r.write.Lock()
	defer r.write.Unlock()
	c, keep := m.lastMove(r)
	r.cancel(nil) // frees the context
	if !keep {
		m.abandon(r, stopError(id, CauseLeaseLost))
		return
	}
	r.freeze()
	err := m.saveTold(r, &c)
	if abi.CodeOf(err) == abi.CodeConflict && r.memory != nil {
		e := *abi.AsError(err)
		e.Code, e.Task = abi.CodeUnavailable, id // another attempt begins with the memory as it is now
		err = m.saveTold(r, &change{move: moveFail, now: c.now, err: &e, ended: r.ended, jitter: rand.Float64()})
	}
	if err != nil {
		m.abandon(r, err)
		return
	}
	m.finish(r)
}

// lastMove says what became of an attempt; keep is false if the task is another worker's now.
func (m *Manager) lastMove(r *run) (c change, keep bool) {
	c = change{move: moveSucceed, now: now(), ended: r.ended}
	if r.err == nil {
		return c, true
	}
	if r.err == errGone {
		e := *errGone
		e.Task, r.err = r.lease.ID, &e
	}
	c.jitter = rand.Float64()
	c.move, c.err = moveFail, r.err
	if r.ctx.Err() == nil {
		return c, true
	}
	switch why := stopCode(r); why {
	case abi.CodeLeaseLost:
		return c, false
	case abi.CodeShutdown:
		m.cutOff.Add(1)
		c.move, c.cause = moveStop, CauseShutdown
		if m.cfg.KeepOnStop {
			c.move = moveRelease
		}
	case abi.CodeCancelled:
		c.move, c.cause = moveStop, CauseUser
	case abi.CodeTimeout:
		return c, true // execute made the error
	}
	c.err = stopError(r.lease.ID, c.cause)
	c.err.Step, c.err.Plugin, c.err.Func = r.err.Step, r.err.Plugin, r.err.Func
	return c, true
}

// saveTold saves a change, and if the task is pending then, so that somebody may claim it, tells so first. The task is in r.next then.
func (m *Manager) saveTold(r *run, c *change) error {
	if c.move != moveFail && c.move != moveLose {
		return m.savePatiently(r, c)
	}
	r.current(r.next)
	if err := r.next.move(c); err != nil || r.next.Status != StatusPending {
		return m.savePatiently(r, c)
	}
	return m.announce(EventRetry, r.next, func() error { return m.savePatiently(r, c) })
}

// savePatiently saves a change. A store that does not work is tried again for some seconds, because what was worked for is
// lost otherwise, and the task would run again.
func (m *Manager) savePatiently(r *run, c *change) (err error) {
	for failures := range 8 {
		err = m.save(r, c)
		if err == nil || abi.CodeOf(err) != abi.CodeUnavailable {
			return err
		}
		m.emitError(r.next.header(), err)
		m.pause(m.hard, failures)
	}
	return err
}

// save makes a change to the task of an attempt and stores it; the caller holds r.write. If somebody else changed the task, by
// asking for its cancel, it takes that over and tries again. The task is in r.next then.
func (m *Manager) save(r *run, c *change) error {
	for t := r.next; ; {
		r.current(t)
		if err := t.move(c); err != nil {
			return err
		}
		revision, err := m.store.Save(m.base, *t, r.lease, r.remember(c)...)
		if err == nil {
			t.Revision = revision
			r.saved(t)
			return nil
		}
		if abi.CodeOf(err) != abi.CodeConflict {
			return err
		}
		conflict := err
		stored, err := m.store.Get(m.base, t.ID)
		if err != nil {
			return err
		}
		if stored.Revision == t.Revision { // it was not the task that somebody changed
			return conflict
		}
		if stored.Status.Final() {
			return stopError(t.ID, CauseLeaseLost)
		}
		r.adopt(&stored)
	}
}

// abandon gives an attempt up without writing anything.
func (m *Manager) abandon(r *run, err error) {
	r.shard.dropRun(r.lease.ID, r)
	r.over()
	t := r.next
	r.current(t)
	switch abi.CodeOf(err) {
	case abi.CodeLeaseLost, abi.CodeNotFound:
		if t.Status == StatusRunning {
			m.emit(EventLost, t)
		}
	default:
		m.emitError(t.header(), errors.Join(errors.New("the task is left to whoever claims it next"), err))
	}
	r.release()
	if m.stopping.Load() {
		m.checkDrained()
	}
}
