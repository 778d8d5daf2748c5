package sqlitestore

import (
	"slices"

	"github.com/google/uuid"

	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/internal/agenda"
)

// record is one task in memory and its place. There is one for each task that is not final, and for each that is dirty or busy.
// Records are changed with the agenda's lock held.
type record = agenda.Entry[*kept]

// kept is what the store keeps of a task in memory.
type kept struct {
	uuid  uuid.UUID
	task  *manager.Task // never changed, only replaced; nil: only the table has it
	row   *row          // task, encoded; nil: not yet
	spec  *row          // an older one, whose spec may be of use; nil: none
	rev   uint64
	bytes int64 // see bytesOf

	tableBytes int64 // of the row in the table
	firstN     int64 // dirty: the first journal row that may be needed for it
	ticket     uint64
	prev, next *record // dirty ones
	busy       *group  // a change is on its way with it; nil: none

	status status // none: it is being created
	table  status // of the row in the table; none: there is no row
	loose  partMask
	big    partMask // parts that the table blobs has as they are in task
	stored partMask // parts of which the table blobs may have something
	dirty  bool     // in the list of those
	moving bool     // on its way into the table
	// relabel says that its labels are others than those of the row in the table.
	relabel bool
	slot    int32 // in the file of running attempts, plus 1; 0: none
}

// taskSize is about how much memory a task takes.
func taskSize(t *manager.Task) int64 {
	if t == nil {
		return 0
	}
	return 1024 + int64(len(t.Spec.Input)+len(t.Output)+len(t.Partial)+len(t.Checkpoint))
}

// setTask replaces the task that is in memory.
func (s *Store) setTask(r *record, t *manager.Task, encoded *row) {
	k := r.Payload
	by := taskSize(t) - taskSize(k.task)
	s.cached += by
	if k.dirty {
		s.dirty.bytes += by
	}
	k.task, k.row = t, encoded
	if encoded != nil && encoded.spec != nil {
		k.spec = encoded
	}
}

// dirtyList has the records that are newer than their rows, the oldest change first.
type dirtyList struct {
	first, last *record
	records     int
	bytes       int64
	tickets     uint64 // given so far
	since       int64  // when the oldest became dirty, roughly
}

// soil makes a record dirty; journal row n is the first that it needs.
func (s *Store) soil(r *record, n int64) {
	k := r.Payload
	if k.dirty {
		return
	}
	l := &s.dirty
	l.tickets++
	k.dirty, k.firstN, k.ticket = true, n, l.tickets
	if l.first == nil {
		l.since = s.now()
		s.wakeWriter()
	}
	l.insert(r, l.last)
}

// insert puts a record behind another one, or first.
func (l *dirtyList) insert(r, after *record) {
	k := r.Payload
	k.prev = after
	if after == nil {
		k.next, l.first = l.first, r
	} else {
		k.next, after.Payload.next = after.Payload.next, r
	}
	if k.next == nil {
		l.last = r
	} else {
		k.next.Payload.prev = r
	}
	l.records++
	l.bytes += taskSize(k.task)
}

// remove takes a record out; it is not dirty any more.
func (l *dirtyList) remove(r *record) {
	k := r.Payload
	if k.prev == nil {
		l.first = k.next
	} else {
		k.prev.Payload.next = k.next
	}
	if k.next == nil {
		l.last = k.prev
	} else {
		k.next.Payload.prev = k.prev
	}
	k.prev, k.next, k.dirty = nil, nil, false
	l.records--
	l.bytes -= taskSize(k.task)
}

// place is what a task that is not final needs of the agenda.
func (s *Store) place(t *manager.Task, now int64) agenda.Place {
	sp := &t.Spec
	p := agenda.Place{
		Queue: sp.Queue, Priority: sp.Priority, Since: now, Agent: sp.Agent(), Key: sp.Unique.Key, Plugins: pluginsOf(sp),
	}
	p.Due, _ = unixNano(t.RunAt)
	p.Expires, _ = unixNano(t.ExpiresAt)
	for _, id := range sp.After {
		seq, _, ok := seqOf(id)
		if !ok {
			continue
		}
		p.After = append(p.After, uint64(seq))
		if r := s.tasks[seq]; r != nil && !r.Payload.status.final() && r.Payload.status != none {
			p.Waits = append(p.Waits, uint64(seq))
		}
	}
	return p
}

// pluginsOf are the plugins of the steps, each once.
func pluginsOf(s *manager.Spec) []string {
	list := make([]string, 0, len(s.Steps))
	for i := range s.Steps {
		if plugin := s.Steps[i].Plugin; !slices.Contains(list, plugin) {
			list = append(list, plugin)
		}
	}
	return list
}

// header is a task without the bytes that it carries.
func header(t *manager.Task) manager.Task {
	h := *t
	setParts(&h, [numParts][]byte{})
	return h
}
