package manager

import (
	"context"

	"github.com/taskhost/taskhost/abi"
)

// Retry puts a task that failed or was cancelled back in the queue, with all the attempts that its spec allows. A processor task goes
// on with the step that failed, if the output of the step before was kept whole, and a plugin from its last checkpoint; with anew
// it begins from the start. A task that is pending, running or completed is CodeConflict, an unknown one CodeNotFound; after Stop it
// is CodeClosed, and CodeConflict again when another task holds its unique key by now.
func (m *Manager) Retry(ctx context.Context, id string, anew bool) (Task, error) {
	m.submitting.RLock()
	defer m.submitting.RUnlock()
	if m.stopping.Load() {
		return Task{}, errClosed()
	}
	for {
		t, err := m.store.Get(ctx, id)
		if err != nil {
			return Task{}, err
		}
		revision := t.Revision
		if t, err = transition(t, change{move: moveRevive, now: now(), anew: anew}); err != nil {
			return Task{}, err
		}
		err = m.announce(EventRetry, &t, func() (err error) {
			t.Revision, err = m.store.Save(ctx, t, Lease{})
			return err
		})
		if abi.CodeOf(err) != abi.CodeConflict {
			return t, err
		}
		if now, e := m.store.Get(ctx, id); e != nil || now.Revision == revision { // it was not the task that changed
			return Task{}, err
		}
	}
}

// RetryAll is Retry for every task that matches the filter and failed, or was cancelled where Filter.Status says so, oldest last. It
// returns how many were put back; the error, if any, is the first one, and the others were tried nevertheless.
func (m *Manager) RetryAll(ctx context.Context, f Filter, anew bool) (n int, err error) {
	if len(f.Status) == 0 {
		f.Status = []Status{StatusFailed}
	}
	for _, s := range f.Status {
		if s != StatusFailed && s != StatusCancelled {
			return 0, abi.Errorf(abi.CodeInvalid, "only tasks that failed or were cancelled can be retried, not those that are %s", s)
		}
	}
	f.Limit = MaxPage
	for {
		page, e := m.List(ctx, f)
		if e != nil {
			return n, or(err, e)
		}
		for i := range page.Tasks {
			switch _, e := m.Retry(ctx, page.Tasks[i].ID, anew); {
			case e == nil:
				n++
			case ctx.Err() != nil || abi.CodeOf(e) == abi.CodeClosed:
				return n, e
			case err == nil && abi.CodeOf(e) != abi.CodeNotFound:
				err = e
			}
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			return n, err
		}
	}
}

// CancelAll is Cancel for every task that matches the filter and has not ended; it returns how many that were.
func (m *Manager) CancelAll(ctx context.Context, f Filter) (n int, err error) {
	if len(f.Status) == 0 {
		f.Status = []Status{StatusPending, StatusRunning}
	}
	f.Limit = MaxPage
	for {
		page, e := m.List(ctx, f)
		if e != nil {
			return n, or(err, e)
		}
		for i := range page.Tasks {
			if page.Tasks[i].Status.Final() {
				continue
			}
			if e := m.Cancel(ctx, page.Tasks[i].ID); e == nil {
				n++
			} else if err == nil && abi.CodeOf(e) != abi.CodeNotFound {
				err = e
			}
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			return n, err
		}
	}
}

// Delete removes a task that has ended. One that has not is CodeConflict, an unknown one CodeNotFound.
func (m *Manager) Delete(ctx context.Context, id string) error { return m.store.Delete(ctx, id) }

// Queues lists the queues and plugins that have a limit or tasks that have not ended.
func (m *Manager) Queues(ctx context.Context) ([]QueueStatus, error) { return m.store.Queues(ctx) }

// SetLimit replaces the limit of a queue or a plugin; one without any bound removes it. It takes effect at once, for attempts that
// begin from then on, and stays in a store that persists.
func (m *Manager) SetLimit(ctx context.Context, l Limit) error { return m.store.SetLimit(ctx, l) }

// Pause stops attempts of a queue from beginning, or lets them begin again, and leaves its other limits as they are.
func (m *Manager) Pause(ctx context.Context, queue string, paused bool) error {
	l := Limit{Queue: queue}
	queues, err := m.store.Queues(ctx)
	if err != nil {
		return err
	}
	for _, q := range queues {
		if q.Queue == queue {
			l = q.Limit
		}
	}
	l.Paused = paused
	return m.store.SetLimit(ctx, l)
}

// Memory returns what an agent "plugin/id" remembers: the vars that its last completed task left. An agent that remembers nothing has none.
func (m *Manager) Memory(ctx context.Context, agent string) (map[string][]byte, error) {
	r := &run{}
	if err := m.recall(r, agent); err != nil {
		return nil, err
	}
	return r.vars, nil
}

// Forget makes an agent "plugin/id" remember nothing. An attempt that runs at this moment is tried again with what is there then.
func (m *Manager) Forget(ctx context.Context, agent string) error {
	for {
		rec, err := m.store.Record(ctx, recordMemory, agent)
		if abi.CodeOf(err) == abi.CodeNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		rec.Data = nil
		if err := m.store.Put(ctx, rec); abi.CodeOf(err) != abi.CodeConflict {
			return err
		}
	}
}
