package sqlitestore

import (
	"context"
	"time"

	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/internal/agenda"
)

// request is what one caller wants to have written.
type request struct {
	changes []change
	records []manager.Record
	limit   *manager.Limit
	remove  []int64 // tasks
	size    int     // bytes, about

	group *group
	err   error // of this one alone
	n     int   // answer: how many were removed
	gone  tally // answer: those
}

// failed reports whether a request is wrong by itself, whatever becomes of its group.
func (q *request) failed() bool { return q.err != nil }

// change is a new state of a task.
type change struct {
	r      *record
	row    *row
	kept   partMask // parts that are as they were
	create bool
	again  bool  // the task was final, and took its unique key again
	until  int64 // create, again: the end of the unique key's window; 0: none
}

// group is what is committed together.
type group struct {
	requests []*request
	size     int
	taken    bool          // by the writer: it is too late to withdraw
	done     chan struct{} // closed when err is set and memory says what the file says
	err      error
	// committed says that the file has it, although, with an error, perhaps not the disk.
	committed bool
	firstN    int64 // journal rows of this group: from firstN
	lastN     int64 // to lastN; less than firstN: none
}

// maxGroup is how many bytes a group and a row of the journal hold, about.
const maxGroup = 4 << 20

// enqueue puts a request into the line of the writer. The lock is held.
func (s *Store) enqueue(q *request) {
	for i := range q.changes {
		q.size += q.changes[i].row.size()
	}
	for i := range q.records {
		q.size += len(q.records[i].Data)
	}
	var g *group
	if n := len(s.queue); n > 0 && s.queue[n-1].size+q.size <= maxGroup {
		g = s.queue[n-1]
	} else {
		g = &group{done: make(chan struct{})}
		s.queue = append(s.queue, g)
	}
	g.requests = append(g.requests, q)
	g.size += q.size
	q.group = g
	for i := range q.changes {
		q.changes[i].r.Payload.busy = g
	}
	s.wakeWriter()
}

// await waits for a request to be committed.
func (s *Store) await(ctx context.Context, q *request) error {
	g := q.group
	select {
	case <-g.done:
	case <-ctx.Done():
		if s.withdraw(q) {
			return ctx.Err()
		}
		<-g.done // it is on its way
	}
	if g.err != nil {
		return g.err
	}
	return q.err
}

// withdraw takes a request out of the line; false: the writer has it already.
func (s *Store) withdraw(q *request) bool {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	g := q.group
	if g.taken {
		return false
	}
	for i, other := range g.requests {
		if other == q {
			g.requests = append(g.requests[:i], g.requests[i+1:]...)
			g.size -= q.size
			break
		}
	}
	for i := range q.changes {
		s.undo(&q.changes[i])
	}
	for _, seq := range q.remove {
		delete(s.removing, seq)
	}
	// Others may wait for the group because of a record of this request: an empty group is committed, too.
	return true
}

// undo forgets a change that was not made.
func (s *Store) undo(c *change) {
	k := c.r.Payload
	k.busy = nil
	if c.create {
		s.creating.add(pending, c.row.bytes, -1)
		if key := c.row.task.Spec.Unique.Key; key != "" {
			s.agenda.Unhold(key, c.r.Seq)
		}
		delete(s.tasks, int64(c.r.Seq))
		return
	}
	if c.again {
		s.agenda.Release(c.row.task.Spec.Unique.Key, c.r.Seq)
	}
	if lost := bigParts(c.row.task) &^ c.kept; lost != 0 && k.task != nil {
		// The table blobs may have what was not to be.
		k.big &^= lost
		k.loose |= lost
		k.stored |= lost
		s.soil(c.r, s.ackedN+1)
	}
	s.dismiss(c.r)
}

// settle ends a group: its changes are made in memory when they are in the file, else forgotten. The callers are woken.
func (s *Store) settle(g *group, err error) {
	s.agenda.Lock()
	g.err = err
	if err == nil && g.lastN > s.ackedN {
		s.ackedN = g.lastN
	}
	now := time.Now()
	for _, q := range g.requests {
		ok := err == nil && !q.failed()
		for i := range q.changes {
			if c := &q.changes[i]; ok {
				s.install(c, g.firstN, now)
			} else {
				s.undo(c)
			}
		}
		if g.committed && !q.failed() {
			s.tally.sub(&q.gone)
			if q.limit != nil {
				s.applyLimit(q.limit)
			}
		}
		for _, seq := range q.remove {
			delete(s.removing, seq)
		}
	}
	s.agenda.Unlock()
	close(g.done)
}

// install makes a change in memory. It is in the journal, from row n on.
func (s *Store) install(c *change, n int64, now time.Time) {
	r, t := c.r, c.row.task
	k := r.Payload
	k.busy, k.loose = nil, 0
	k.big = bigParts(t)
	k.stored |= k.big
	if c.create {
		s.creating.add(pending, c.row.bytes, -1)
		s.tally.add(pending, c.row.bytes, 1)
		s.setTask(r, t, c.row)
		k.rev, k.status, k.bytes = t.Revision, pending, c.row.bytes
		s.soil(r, n)
		s.agenda.Add(r, s.place(t, now.UnixNano()))
		return
	}
	s.replace(c, now)
	s.soil(r, n)
}

// replace gives a record its new task and its new place.
func (s *Store) replace(c *change, now time.Time) {
	r, t := c.r, c.row.task
	k := r.Payload
	was := k.status
	s.tally.add(was, k.bytes, -1)
	s.tally.add(c.row.stat, c.row.bytes, 1)
	s.setTask(r, t, c.row)
	k.rev, k.status, k.bytes = t.Revision, c.row.stat, c.row.bytes
	switch {
	case k.status.final():
		s.freeSlot(k, false)
		if !was.final() {
			s.agenda.Finish(r)
		}
	case was.final(): // it is to run again
		s.agenda.Add(r, s.place(t, now.UnixNano()))
	case k.status == pending:
		s.freeSlot(k, true)
		due, _ := unixNano(t.RunAt)
		s.agenda.Requeue(r, due)
	default:
		s.agenda.Begun(r)
	}
}

// dismiss forgets a record that nobody needs in memory any more, or at least its task.
func (s *Store) dismiss(r *record) {
	k := r.Payload
	if k.dirty || k.moving || k.busy != nil || k.status == none {
		return
	}
	if k.status.final() {
		s.setTask(r, nil, nil)
		seq := int64(r.Seq)
		delete(s.tasks, seq)
		s.gone = max(s.gone, seq)
		return
	}
	if k.task != nil && s.cached > s.cfg.CacheBytes && r.Pending() {
		s.setTask(r, nil, nil)
	}
	k.row, k.spec = nil, nil
}

// applyLimit tells the agenda of a limit.
func (s *Store) applyLimit(l *manager.Limit) {
	to := agenda.Limit{Paused: l.Paused, Concurrency: l.Concurrency, Tasks: l.Rate.Tasks, Per: l.Rate.Per}
	if l.Queue != "" {
		s.agenda.SetQueue(l.Queue, to)
	} else {
		s.agenda.SetPlugin(l.Plugin, to)
	}
}
