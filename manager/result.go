package manager

import (
	"context"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// resultPoll is how often Result looks into the store by itself.
const resultPoll = time.Second

// waiter is what the Results of one task wait for.
type waiter struct {
	done  chan struct{} // closed when the task is final
	task  Task          // set before
	count int           // Results that wait
}

// Result waits for a task to end and returns it; for a finished task it returns at once. The error is that of the task if it
// failed or was cancelled: an *abi.Error with task, step, plugin and function; the Task beside it has Partial and the attempts.
// When ctx ends first, the error wraps ctx's, the Task is the one last seen, and the task goes on. When the manager stops first and
// leaves the task for later (see Config.KeepOnStop), the error is CodeClosed. For a task that ran here, Config.OnEvent has been told
// of the end before Result returns. The end of a task that another manager on the same store runs is noticed within a second.
func (m *Manager) Result(ctx context.Context, id string) (Task, error) {
	s := m.shard(id)
	w := s.await(id) // before the look into the store, so that no end is missed
	defer s.stopAwaiting(id, w)
	t, err := m.store.Get(ctx, id)
	if err != nil || t.Status.Final() {
		if r := s.run(id); r != nil { // its end is being told
			r.write.Lock()
			defer r.write.Unlock()
		}
		return t, or(err, t.Err())
	}
	poll := time.NewTicker(resultPoll)
	defer poll.Stop()
	for err == nil {
		select {
		case <-w.done:
			return w.task, w.task.Err()
		case <-poll.C:
			if t, err := m.store.Get(ctx, id); err == nil && t.Status.Final() {
				return t, t.Err()
			}
		case <-ctx.Done():
			err = &abi.Error{Code: abi.CodeOf(ctx.Err()), Task: id, Message: "no longer waiting for the result: " + ctx.Err().Error(), Err: ctx.Err()}
		case <-m.quit:
			if t, err := m.store.Get(ctx, id); err != nil || t.Status.Final() {
				return t, or(err, t.Err())
			}
			err = &abi.Error{Code: abi.CodeClosed, Task: id, Message: "the manager stopped; the task waits for its next start"}
		}
	}
	if now, e := m.Get(context.WithoutCancel(ctx), id); e == nil {
		t = now
	}
	return t, err
}

func (s *shard) await(id string) *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.waits[id]
	if w == nil {
		w = &waiter{done: make(chan struct{})}
		s.waits[id] = w
	}
	w.count++
	return w
}

func (s *shard) stopAwaiting(id string, w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.count--; w.count == 0 && s.waits[id] == w {
		delete(s.waits, id)
	}
}

// ended hands a final task to those that wait for it, and has old ones removed from time to time.
func (m *Manager) ended(t *Task) {
	s := m.shard(t.ID)
	s.mu.Lock()
	if w := s.waits[t.ID]; w != nil {
		delete(s.waits, t.ID)
		w.task = *t
		close(w.done)
	}
	s.mu.Unlock()
	if m.finished.Add(1) >= int64(min(sweepStep, m.cfg.MaxFinished/8+1)) ||
		m.finishedBytes.Add(t.Bytes()) >= m.cfg.MaxFinishedBytes/8 {
		select {
		case m.sweep <- struct{}{}:
		default:
		}
	}
	if m.stopping.Load() {
		m.checkDrained()
	}
}
