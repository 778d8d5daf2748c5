package sqlitestore

import (
	"context"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// Create adds pending tasks. When it returns they are on the disk.
func (s *Store) Create(ctx context.Context, tasks []manager.Task, o manager.CreateOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fresh := newBatch(s, tasks)
	if err := fresh.encode(); err != nil {
		return err
	}
	if fresh.links {
		if err := s.waitLoaded(ctx); err != nil {
			return err
		}
	}
	for {
		q, wait, err := s.tryCreate(fresh, &o)
		switch {
		case err != nil:
			return err
		case wait != nil:
			select {
			case <-wait:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		case len(fresh.unknown) > 0:
			if err := s.lookUp(ctx, fresh); err != nil {
				return err
			}
			continue
		}
		if q.group != nil {
			if err := s.await(ctx, q); err != nil {
				return err
			}
		}
		return fresh.finish(ctx)
	}
}

// batch is what one Create adds.
type batch struct {
	s        *Store
	tasks    []manager.Task
	rows     []*row
	links    bool
	existing map[int]string // numbers of tasks whose key another holds, and who does

	known   map[int64]bool // whether the table has a task, as far as was looked up
	unknown []int64        // what must be looked up
}

func newBatch(s *Store, tasks []manager.Task) *batch { return &batch{s: s, tasks: tasks} }

// encode checks the tasks by themselves, and makes their rows.
func (b *batch) encode() error {
	b.rows = make([]*row, len(b.tasks))
	for i := range b.tasks {
		t := &b.tasks[i]
		seq, u, ok := seqOf(t.ID)
		switch {
		case t.Status != manager.StatusPending:
			return &abi.Error{Code: abi.CodeInvalid, Task: t.ID, Message: "a new task must be pending"}
		case t.Spec.Func != nil:
			return &abi.Error{Code: abi.CodeInvalid, Task: t.ID, Message: "a Go function cannot be stored in a file: use the store in memory"}
		case !ok:
			return abi.Errorf(abi.CodeInvalid, "the id %.64q is no UUID", t.ID)
		}
		stored := *t
		stored.Revision = 1
		r, err := newRow(&stored, seq, u)
		if err != nil {
			return err
		}
		b.rows[i] = r
		b.links = b.links || r.links
	}
	return nil
}

// tryCreate checks the tasks against what is there, and puts them into the line of the writer. It returns a channel to wait for when
// that must be done before, and leaves in b.unknown what must be looked up in the table before.
func (s *Store) tryCreate(b *batch, o *manager.CreateOptions) (q *request, wait <-chan struct{}, err error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	if s.closed {
		return nil, nil, errClosed()
	}
	b.existing, b.unknown = nil, b.unknown[:0]
	added := make([]int, 0, len(b.rows))
	var bytes int64
	defer func() {
		if q == nil {
			for _, i := range added {
				delete(s.tasks, b.rows[i].seq)
			}
		}
	}()
	for i, r := range b.rows {
		other, wait, err := s.fresh(b, i, added)
		switch {
		case err != nil || wait != nil:
			return nil, wait, err
		case other != "":
			if b.existing == nil {
				b.existing = make(map[int]string)
			}
			b.existing[i] = other
			continue
		}
		s.tasks[r.seq] = &record{Seq: uint64(r.seq), Payload: &kept{uuid: r.uuid, status: none, table: none}}
		added = append(added, i)
		bytes += r.bytes
	}
	if len(b.unknown) > 0 {
		return nil, nil, nil
	}
	tasks := int(s.tally.Tasks[pending] + s.creating.Tasks[pending])
	if err := o.Limit.Check(tasks, s.tally.PendingBytes+s.creating.PendingBytes, len(added), bytes); err != nil {
		return nil, nil, err
	}
	q = &request{records: o.Records, changes: make([]change, 0, len(added))}
	now := time.Now()
	for _, i := range added {
		q.changes = append(q.changes, s.reserve(b.rows[i], now))
	}
	if len(added) > 0 || len(o.Records) > 0 {
		s.enqueue(q)
	}
	return q, nil, nil
}

// fresh checks one task. It returns the id of the task that holds its key, if that is to take its place.
func (s *Store) fresh(b *batch, i int, added []int) (other string, wait <-chan struct{}, err error) {
	r := b.rows[i]
	t := r.task
	if s.tasks[r.seq] != nil || s.removing[r.seq] != nil {
		return "", nil, manager.IDInUse(t.ID)
	}
	if s.inTable(b, r.seq) {
		return "", nil, manager.IDInUse(t.ID)
	}
	for _, id := range t.Spec.After {
		seq, u, ok := seqOf(id)
		if ok {
			if k := s.tasks[seq]; k != nil {
				ok = k.Payload.uuid == u
			} else {
				ok = s.removing[seq] == nil && s.inTable(b, seq)
			}
		}
		if !ok && len(b.unknown) == 0 {
			return "", nil, manager.UnknownAfter(id)
		}
	}
	key := t.Spec.Unique.Key
	if key == "" {
		return "", nil, nil
	}
	if h, held := s.agenda.Holder(key); held {
		if !t.Spec.Unique.Existing {
			return "", nil, manager.KeyHeld(key, h.ID)
		}
		if k := s.tasks[int64(h.Seq)]; k != nil && k.Payload.status == none {
			return "", k.Payload.busy.done, nil
		}
		return h.ID, nil, nil
	}
	for _, j := range added {
		if b.rows[j].task.Spec.Unique.Key == key {
			return "", nil, manager.KeyHeld(key, b.rows[j].task.ID)
		}
	}
	return "", nil, nil
}

// inTable reports whether the table has a task that is not in memory. What it cannot tell it adds to b.unknown.
func (s *Store) inTable(b *batch, seq int64) bool {
	if seq > s.gone {
		return false
	}
	has, ok := b.known[seq]
	if !ok {
		b.unknown = append(b.unknown, seq)
	}
	return has
}

// lookUp finds out whether the table has the tasks in b.unknown.
func (s *Store) lookUp(ctx context.Context, b *batch) error {
	if b.known == nil {
		b.known = make(map[int64]bool)
	}
	return s.read(ctx, func(c *reading) error {
		for _, seq := range b.unknown {
			has, err := c.has(seq)
			if err != nil {
				return err
			}
			b.known[seq] = has
		}
		return nil
	})
}

// reserve makes a change that adds a task, and takes its key.
func (s *Store) reserve(r *row, now time.Time) change {
	c := change{r: s.tasks[r.seq], row: r, create: true}
	s.creating.add(pending, r.bytes, 1)
	if u := &r.task.Spec.Unique; u.Key != "" {
		if u.Window > 0 {
			c.until = now.Add(u.Window).UnixNano()
		}
		s.agenda.Hold(u.Key, r.task.ID, uint64(r.seq), c.until, true)
	}
	return c
}

// finish tells the caller what the tasks are now.
func (b *batch) finish(ctx context.Context) error {
	for i := range b.tasks {
		id, ok := b.existing[i]
		if !ok {
			b.tasks[i].Revision = 1
			continue
		}
		t, err := b.s.Get(ctx, id)
		if err != nil {
			return manager.KeyHeld(b.tasks[i].Spec.Unique.Key, id)
		}
		b.tasks[i] = t
	}
	return nil
}
