package sqlitestore

import (
	"bytes"
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/taskhost/taskhost/manager"
)

// Save replaces a task. A task that is running afterwards, with the cause and the checkpoint that it had, is applied a moment later.
// All else is on the disk when Save returns.
func (s *Store) Save(ctx context.Context, t manager.Task, l manager.Lease, records ...manager.Record) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	seq, u, ok := seqOf(t.ID)
	if !ok {
		return 0, manager.NotFound(t.ID)
	}
	was := t.Revision
	t.Revision++
	v := saving{s: s, t: &t, uuid: u, was: was, lease: l, records: records}
	for {
		wait, err := v.try(seq)
		switch {
		case err != nil:
			return 0, err
		case v.absent:
			if err := s.revive(ctx, seq, t.ID); err != nil {
				return 0, err
			}
			continue
		case wait != nil:
			select {
			case <-wait:
				continue
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		case v.evicted:
			if err := s.bringBack(ctx, seq, t.ID); err != nil {
				return 0, err
			}
			continue
		case v.encode:
			if v.row, err = nextRow(&t, seq, u, v.before); err != nil {
				return 0, err
			}
			continue
		case v.q != nil:
			if err := s.await(ctx, v.q); err != nil {
				return 0, err
			}
		}
		if v.slot > 0 {
			s.running.write(v.slot, &t, u)
		}
		return t.Revision, nil
	}
}

// saving is one Save.
type saving struct {
	s       *Store
	t       *manager.Task
	uuid    uuid.UUID
	before  *row // the task as it was encoded before; nil: unknown
	row     *row // nil: not encoded yet
	was     uint64
	lease   manager.Lease
	records []manager.Record

	absent  bool     // the task is not in memory
	evicted bool     // its payload is not, and is needed
	encode  bool     // it must be encoded first
	q       *request // what to wait for
	slot    int32    // of the attempt that began
}

// try checks a save, and makes it, or puts it into the line of the writer. It returns a channel to wait for before another try.
func (v *saving) try(seq int64) (wait <-chan struct{}, err error) {
	s, t := v.s, v.t
	v.absent, v.evicted, v.encode = false, false, false
	s.agenda.Lock()
	defer s.agenda.Unlock()
	if s.closed {
		return nil, errClosed()
	}
	if g := s.removing[seq]; g != nil {
		return g.done, nil
	}
	r := s.tasks[seq]
	if r == nil {
		v.absent = true
		return nil, nil
	}
	k := r.Payload
	switch {
	case k.status == none || k.uuid != v.uuid:
		return nil, manager.NotFound(t.ID)
	case v.lease.Token != 0 && !r.Held(v.lease.Token):
		if k.busy != nil {
			return k.busy.done, nil
		}
		s.dismiss(r)
		return nil, manager.LeaseLost(t.ID)
	case k.busy != nil:
		return k.busy.done, nil
	case k.rev != v.was:
		s.dismiss(r)
		return nil, manager.Changed(t.ID)
	}
	if len(v.records) == 0 && k.quick(t) {
		v.apply(r)
		return nil, nil
	}
	if k.task == nil && bigParts(t) != 0 {
		v.evicted = true // what is written over must be known, in case that it fails
		return nil, nil
	}
	if v.row == nil {
		v.encode, v.before = true, k.spec
		return nil, nil
	}
	c := change{r: r, row: v.row}
	if k.task != nil {
		c.kept = sameParts(t, k.task) &^ k.loose
	}
	if k.status.final() && !t.Status.Final() {
		if err := s.holdAgain(&c); err != nil {
			s.dismiss(r)
			return nil, err
		}
	}
	k.noteLabels(t)
	v.q = &request{changes: []change{c}, records: v.records}
	s.enqueue(v.q)
	return nil, nil
}

// holdAgain takes the unique key of a task that is to run again.
func (s *Store) holdAgain(c *change) error {
	t := c.row.task
	key := t.Spec.Unique.Key
	if key == "" {
		return nil
	}
	h, held := s.agenda.Holder(key)
	if held && h.Seq != c.r.Seq {
		return manager.KeyHeld(key, h.ID)
	}
	c.again, c.until = true, h.Until
	s.agenda.Hold(key, t.ID, c.r.Seq, h.Until, true)
	return nil
}

// quick reports whether a change need not be on the disk when Save returns.
func (k *kept) quick(t *manager.Task) bool {
	return k.task != nil && t.Status == manager.StatusRunning && (k.status == running || k.status == pending) &&
		t.Cause == k.task.Cause && bytes.Equal(t.Checkpoint, k.task.Checkpoint)
}

// apply makes a quick change.
func (v *saving) apply(r *record) {
	s, t, k := v.s, v.t, r.Payload
	changed := ^sameParts(t, k.task)
	k.loose |= changed
	k.big &^= changed
	k.noteLabels(t)
	begins := k.status == pending
	c := change{r: r, row: &row{task: t, stat: running, bytes: t.Spec.Bytes()}}
	s.replace(&c, time.Now())
	k.row = nil
	s.soil(r, s.ackedN+1)
	if begins {
		v.slot = s.takeSlot(k)
	}
}

// noteLabels remembers when a task gets other labels than its row has.
func (k *kept) noteLabels(t *manager.Task) {
	if k.task == nil || !sameTexts(k.task.Spec.Labels, t.Spec.Labels) {
		k.relabel = true
	}
}

func sameTexts(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, v := range a {
		if w, ok := b[name]; !ok || v != w {
			return false
		}
	}
	return true
}

// bringBack reads a task again that is in memory without its payload.
func (s *Store) bringBack(ctx context.Context, seq int64, id string) error {
	tt, err := s.readRow(ctx, seq, id)
	if err != nil {
		return err
	}
	s.agenda.Lock()
	defer s.agenda.Unlock()
	if r := s.tasks[seq]; r != nil && r.Payload.task == nil && r.Payload.rev == tt.task.Revision {
		s.setTask(r, &tt.task, nil)
	}
	return nil
}

// revive brings a task that is only in the table into memory.
func (s *Store) revive(ctx context.Context, seq int64, id string) error {
	tt, err := s.readRow(ctx, seq, id)
	if err != nil {
		return err
	}
	if !tt.task.Status.Final() {
		// It is not in memory only because it was not loaded yet, or has just been brought there.
		return s.waitLoaded(ctx)
	}
	s.agenda.Lock()
	defer s.agenda.Unlock()
	if s.tasks[seq] != nil || s.removing[seq] != nil {
		return nil
	}
	_, u, _ := seqOf(id)
	stat, _ := statusOf(tt.task.Status)
	k := &kept{
		uuid: u, rev: tt.task.Revision, bytes: tt.bytes, tableBytes: tt.bytes, status: stat, table: stat, big: tt.stored, stored: tt.stored,
	}
	r := &record{Seq: uint64(seq), Payload: k}
	s.tasks[seq] = r
	s.setTask(r, &tt.task, nil)
	return nil
}
