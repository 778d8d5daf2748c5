package sqlitestore

import (
	"context"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// Claim waits for a task and leases it. Every Claim must have returned before Close is called, or its context end.
func (s *Store) Claim(ctx context.Context, ttl time.Duration) (manager.Task, manager.Lease, error) {
	for {
		var t *manager.Task
		var r *record
		var l manager.Lease
		err := s.agenda.Claim(ctx, ttl, func(got *record, token uint64, ends time.Time) {
			r, t = got, got.Payload.task
			l = manager.Lease{Token: token, Expires: ends}
		})
		if err != nil {
			return manager.Task{}, l, err
		}
		if t == nil {
			if t, err = s.fetch(ctx, r, l.Token); err != nil {
				return manager.Task{}, manager.Lease{}, err
			}
			if t == nil {
				continue // somebody else has settled it meanwhile
			}
		}
		l.ID = t.ID
		return *t, l, nil
	}
}

// fetch reads a leased task from the table, and keeps it in memory while it is leased. It returns nil when the lease is over.
func (s *Store) fetch(ctx context.Context, r *record, token uint64) (*manager.Task, error) {
	for {
		tt, err := s.readRow(ctx, int64(r.Seq), r.Payload.uuid.String())
		s.agenda.Lock()
		k := r.Payload
		switch {
		case !r.Held(token):
			s.agenda.Unlock()
			return nil, nil //nolint:nilnil // said above
		case k.task != nil: // it was saved meanwhile
			t := k.task
			s.agenda.Unlock()
			return t, nil
		case err != nil:
			s.agenda.Requeue(r, s.retryDue())
			s.agenda.Unlock()
			if abi.CodeOf(err) == abi.CodeNotFound {
				err = abi.Errorf(abi.CodeUnavailable, "%s: the row of task %s is missing: restore a backup", s.cfg.Path, k.uuid)
			}
			return nil, err
		case k.rev == tt.task.Revision:
			s.setTask(r, &tt.task, nil)
			s.agenda.Unlock()
			return &tt.task, nil
		}
		s.agenda.Unlock() // it was saved, applied and let go meanwhile
	}
}

// retryDue is when a task whose row could not be read is tried again.
func (s *Store) retryDue() int64 { return time.Now().Add(time.Second).UnixNano() }

// Extend makes a lease last.
func (s *Store) Extend(ctx context.Context, l manager.Lease, ttl time.Duration) (manager.Task, error) {
	seq, _, ok := seqOf(l.ID)
	if !ok {
		return manager.Task{}, manager.NotFound(l.ID)
	}
	s.agenda.Lock()
	r := s.tasks[seq]
	if r == nil || !r.Held(l.Token) {
		known := r != nil && r.Payload.status != none
		s.agenda.Unlock()
		if !known {
			if _, err := s.Get(ctx, l.ID); err != nil {
				return manager.Task{}, err
			}
		}
		return manager.Task{}, manager.LeaseLost(l.ID)
	}
	s.agenda.Extend(r, time.Now().Add(ttl))
	t := r.Payload.task
	s.agenda.Unlock()
	if t == nil {
		whole, err := s.Get(ctx, l.ID)
		return header(&whole), err
	}
	return header(t), nil
}

// Get returns a task with all its bytes.
func (s *Store) Get(ctx context.Context, id string) (manager.Task, error) {
	seq, u, ok := seqOf(id)
	if !ok {
		return manager.Task{}, manager.NotFound(id)
	}
	s.agenda.Lock()
	closed := s.closed
	if r := s.tasks[seq]; r != nil {
		k := r.Payload
		if k.status == none || k.uuid != u {
			s.agenda.Unlock()
			return manager.Task{}, manager.NotFound(id)
		}
		if t := k.task; t != nil {
			s.agenda.Unlock()
			return *t, nil
		}
	}
	s.agenda.Unlock()
	if closed {
		return manager.Task{}, errClosed()
	}
	tt, err := s.readRow(ctx, seq, id)
	return tt.task, err
}

// Counts tells how many tasks there are in each status.
func (s *Store) Counts(context.Context) (manager.Counts, error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	return s.tally.counts(), nil
}
