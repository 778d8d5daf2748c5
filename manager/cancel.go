package manager

import (
	"context"

	"github.com/taskhost/taskhost/abi"
)

// Cancel asks for a task to stop, with CauseUser. A pending task is cancelled when Cancel returns, and never runs. A running one is
// being stopped: its context is done; it becomes cancelled when its runner returns, for which Result waits. If it comes to its end
// just before it sees the cancel, it stays completed. A finished task is left as it is and the error is nil, so that a caller need
// not know whether it was in time: the task's status tells. An unknown id is CodeNotFound.
func (m *Manager) Cancel(ctx context.Context, id string) error {
	return m.cancel(ctx, id, CauseUser)
}

func (m *Manager) cancel(ctx context.Context, id string, cause Cause) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r := m.shard(id).run(id); r != nil {
			if done, err := m.cancelRun(r, cause); done || err != nil {
				return err
			}
		}
		done, err := m.cancelStored(ctx, id, cause)
		if err != nil && abi.CodeOf(err) != abi.CodeConflict {
			return err
		}
		if done {
			if r := m.shard(id).run(id); r != nil { // its attempt began here meanwhile
				_, err = m.cancelRun(r, cause)
			}
			return err
		}
	}
}

// cancelRun cancels an attempt of this process; done is false if it is over.
func (m *Manager) cancelRun(r *run, cause Cause) (done bool, err error) {
	r.write.Lock()
	defer r.write.Unlock()
	t, ok := r.snapshot()
	if !ok {
		return false, nil
	}
	if t.Cause == "" {
		err = m.save(r, &change{move: moveAsk, now: now(), cause: cause})
		switch abi.CodeOf(err) {
		case "":
			m.emit(EventCancel, r.next)
		case abi.CodeLeaseLost, abi.CodeNotFound: // it is no longer this process's
			return false, nil
		default:
			return false, err
		}
	}
	r.cancel(stopError(t.ID, cause))
	return true, nil
}

// cancelStored cancels a task that does not run here: a pending one at once; one that runs elsewhere learns of it when its worker
// extends its lease.
func (m *Manager) cancelStored(ctx context.Context, id string, cause Cause) (done bool, err error) {
	t, err := m.store.Get(ctx, id)
	if err != nil {
		return false, err
	}
	if t.Status.Final() || (t.Status == StatusRunning && t.Cause != "") {
		return true, nil
	}
	was := t
	t, err = transition(t, change{move: moveAsk, now: now(), cause: cause, err: stopError(id, cause)})
	if err != nil {
		return false, err
	}
	if t.Revision, err = m.store.Save(ctx, t, Lease{}); err != nil {
		return false, err
	}
	m.tellUntold(&was)
	if cause == CauseUser {
		m.emit(EventCancel, &t)
	}
	if t.Status.Final() {
		m.emit(EventFinish, &t)
		m.room.freed()
		m.ended(&t)
	}
	return true, nil
}
