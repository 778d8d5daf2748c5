package manager

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager/internal/agenda"
)

// memoryStore is a Store that keeps everything in memory. The agenda is its lock, too.
type memoryStore struct {
	agenda  *agenda.Agenda[kept]
	live    map[string]*record // tasks that are not final; find knows all
	order   []*record          // by id; removed ones stay until there are many
	removed int                // removed records in order
	done    doneList           // final, in the order in which they ended
	seq     uint64

	counts       Counts
	pendingBytes int64 // Spec.Bytes of pending tasks
	doneBytes    int64 // everything that final tasks hold

	records map[recordKey]Record

	plugins []string // for place
	fresh   []int    // for Create
}

// record is one task and its place.
type record = agenda.Entry[kept]

// kept is what the store keeps of a task.
type kept struct {
	task       Task
	prev, next *record // in done
	bytes      int64   // pending: Spec.Bytes; final: Bytes
	final      bool
	gone       bool
}

type recordKey struct{ kind, name string }

// NewMemoryStore makes a store that keeps everything in memory, Go functions included, and forgets it with the process.
// It needs no closing.
func NewMemoryStore() Store {
	return &memoryStore{
		agenda: agenda.New[kept](PriorityStep), live: make(map[string]*record), records: make(map[recordKey]Record),
	}
}

func (s *memoryStore) Create(ctx context.Context, tasks []Task, o CreateOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.agenda.Lock()
	defer s.agenda.Unlock()
	bytes, err := s.check(tasks)
	if err != nil {
		return err
	}
	if err := o.Limit.Check(s.counts.Pending, s.pendingBytes, len(s.fresh), bytes); err != nil {
		return err
	}
	if err := s.checkRecords(o.Records); err != nil {
		return err
	}
	s.putRecords(o.Records)
	now := time.Now()
	for _, i := range s.fresh {
		s.add(&tasks[i], now)
	}
	return nil
}

// check checks new tasks against what is there. It leaves the numbers of those that are to be created in fresh, and replaces the others by
// the tasks that hold their keys. The size is that of the fresh ones.
func (s *memoryStore) check(tasks []Task) (bytes int64, err error) {
	s.fresh = s.fresh[:0]
	var inBatch map[string]int // of ids
	if len(tasks) > 1 {
		inBatch = make(map[string]int, len(tasks))
	}
	for i := range tasks {
		t := &tasks[i]
		if t.Status != StatusPending {
			return 0, &abi.Error{Code: abi.CodeInvalid, Task: t.ID, Message: "a new task must be pending"}
		}
		_, twice := inBatch[t.ID]
		if twice || s.find(t.ID) != nil {
			return 0, IDInUse(t.ID)
		}
		for _, id := range t.Spec.After {
			if _, ok := inBatch[id]; !ok && s.find(id) == nil {
				return 0, UnknownAfter(id)
			}
		}
		if key := t.Spec.Unique.Key; key != "" {
			if h, held := s.agenda.Holder(key); held {
				existing := s.find(h.ID)
				if existing == nil || !t.Spec.Unique.Existing {
					return 0, KeyHeld(key, h.ID)
				}
				*t = existing.Payload.task
				continue
			}
			for _, j := range s.fresh {
				if tasks[j].Spec.Unique.Key == key {
					return 0, KeyHeld(key, tasks[j].ID)
				}
			}
		}
		if inBatch != nil {
			inBatch[t.ID] = i
		}
		s.fresh = append(s.fresh, i)
		bytes += t.Spec.Bytes()
	}
	return bytes, nil
}

// find returns the record of a task; nil: there is none. A table of all ids would cost each task more than the search costs the few that
// are asked for once they are final.
func (s *memoryStore) find(id string) *record {
	if r := s.live[id]; r != nil {
		return r
	}
	if n := len(s.order); n == 0 || s.order[n-1].Payload.task.ID < id {
		return nil
	}
	for _, r := range s.order[s.position(id):] {
		switch k := &r.Payload; {
		case k.task.ID != id:
			return nil
		case !k.gone:
			return r
		}
	}
	return nil
}

// position is where the records of an id begin in order.
func (s *memoryStore) position(id string) int {
	i, _ := slices.BinarySearchFunc(s.order, id, func(r *record, id string) int { return strings.Compare(r.Payload.task.ID, id) })
	return i
}

// add stores a new task and gives it its place.
func (s *memoryStore) add(t *Task, now time.Time) {
	t.Revision = 1
	s.seq++
	r := &record{Payload: kept{task: *t, bytes: t.Spec.Bytes()}, Seq: s.seq}
	s.live[t.ID] = r
	i := len(s.order)
	for i > 0 && s.order[i-1].Payload.task.ID > t.ID {
		i--
	}
	s.order = slices.Insert(s.order, i, r)
	s.count(&r.Payload, 1)
	if u := &t.Spec.Unique; u.Key != "" {
		var until int64
		if u.Window > 0 {
			until = now.Add(u.Window).UnixNano()
		}
		s.agenda.Hold(u.Key, t.ID, r.Seq, until, true)
	}
	s.agenda.Add(r, s.place(t, now))
}

// place is what a task that is not final needs of the agenda.
func (s *memoryStore) place(t *Task, now time.Time) agenda.Place {
	p := t.Spec.place(now, s.plugins[:0])
	s.plugins = p.Plugins
	p.Due = unixNano(t.RunAt)
	p.Expires = unixNano(t.ExpiresAt)
	for _, id := range t.Spec.After {
		r := s.find(id)
		if r == nil {
			continue
		}
		p.After = append(p.After, r.Seq)
		if !r.Payload.final {
			p.Waits = append(p.Waits, r.Seq)
		}
	}
	return p
}

// place is what a spec says of a task's place; the times and After are left to the store.
// Plugins are appended to the slice that is given.
func (s *Spec) place(now time.Time, plugins []string) agenda.Place {
	p := agenda.Place{
		Queue: s.Queue, Priority: s.Priority, Since: now.UnixNano(), Agent: s.Agent(), Key: s.Unique.Key, Plugins: plugins,
	}
	for i := range s.Steps {
		if plugin := s.Steps[i].Plugin; !slices.Contains(p.Plugins, plugin) {
			p.Plugins = append(p.Plugins, plugin)
		}
	}
	return p
}

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func (s *memoryStore) Get(ctx context.Context, id string) (Task, error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	r := s.find(id)
	if r == nil {
		return Task{}, NotFound(id)
	}
	return r.Payload.task, nil
}

func (s *memoryStore) Counts(ctx context.Context) (Counts, error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	return s.counts, nil
}

func (s *memoryStore) Claim(ctx context.Context, ttl time.Duration) (t Task, l Lease, err error) {
	err = s.agenda.Claim(ctx, ttl, func(r *record, token uint64, ends time.Time) {
		t = r.Payload.task
		l = Lease{ID: t.ID, Token: token, Expires: ends}
	})
	return t, l, err
}

func (s *memoryStore) Extend(ctx context.Context, l Lease, ttl time.Duration) (Task, error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	r := s.find(l.ID)
	switch {
	case r == nil:
		return Task{}, NotFound(l.ID)
	case !r.Held(l.Token):
		return Task{}, LeaseLost(l.ID)
	}
	s.agenda.Extend(r, time.Now().Add(ttl))
	return r.Payload.task.header(), nil
}

func (s *memoryStore) Save(ctx context.Context, t Task, l Lease, records ...Record) (uint64, error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	r := s.find(t.ID)
	switch {
	case r == nil:
		return 0, NotFound(t.ID)
	case l.Token != 0 && !r.Held(l.Token):
		return 0, LeaseLost(t.ID)
	case r.Payload.task.Revision != t.Revision:
		return 0, Changed(t.ID)
	}
	if err := s.checkRecords(records); err != nil {
		return 0, err
	}
	if r.Payload.final && !t.Status.Final() {
		if err := s.holdAgain(r, &t); err != nil {
			return 0, err
		}
	}
	s.putRecords(records)
	s.replace(r, &t)
	return t.Revision, nil
}

// holdAgain takes the unique key of a task that is to run again.
func (s *memoryStore) holdAgain(r *record, t *Task) error {
	key := t.Spec.Unique.Key
	if key == "" {
		return nil
	}
	h, held := s.agenda.Holder(key)
	if held && h.Seq != r.Seq {
		return KeyHeld(key, h.ID)
	}
	s.agenda.Hold(key, t.ID, r.Seq, h.Until, true)
	return nil
}

// replace stores a task and gives it its new place.
func (s *memoryStore) replace(r *record, t *Task) {
	k := &r.Payload
	s.count(k, -1)
	t.Revision++
	k.task = *t
	final := t.Status.Final()
	switch {
	case final:
		k.bytes = t.Bytes()
	case t.Status == StatusPending:
		k.bytes = t.Spec.Bytes()
	}
	s.count(k, 1)
	switch {
	case final:
		if k.final {
			return
		}
		k.final = true
		delete(s.live, t.ID)
		s.agenda.Finish(r)
		s.done.append(r)
	case k.final: // it is to run again
		k.final = false
		s.live[t.ID] = r
		s.done.remove(r)
		s.agenda.Add(r, s.place(t, time.Now()))
	case t.Status == StatusPending:
		s.agenda.Requeue(r, unixNano(t.RunAt))
	default:
		s.agenda.Begun(r)
	}
}

// count adds a task to the counts, or takes it off.
func (s *memoryStore) count(k *kept, by int) {
	status := k.task.Status
	if p := s.counts.of(status); p != nil {
		*p += by
	}
	switch {
	case status == StatusPending:
		s.pendingBytes += int64(by) * k.bytes
	case status.Final():
		s.doneBytes += int64(by) * k.bytes
	}
}

// scanStep is how many records List looks at before it lets others have the lock.
const scanStep = 512

func (s *memoryStore) List(ctx context.Context, f Filter) (Page, error) {
	var page Page
	cursor := f.Cursor
	limit := f.limit()
	for {
		if err := ctx.Err(); err != nil {
			return Page{}, err
		}
		var more bool
		if cursor, more = s.scan(&f, cursor, limit, &page); !more {
			return page, nil
		}
		if len(page.Tasks) == limit {
			page.Next = cursor
			return page, nil
		}
	}
}

// scan looks at some records older than cursor, adds what matches, and returns where to go on, and whether there may be more.
func (s *memoryStore) scan(f *Filter, cursor string, limit int, page *Page) (next string, more bool) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	i := len(s.order)
	if cursor != "" {
		i = s.position(cursor)
	}
	for n := 0; i > 0; n++ {
		if n == scanStep || len(page.Tasks) == limit {
			return s.order[i].Payload.task.ID, true
		}
		i--
		k := &s.order[i].Payload
		if k.gone {
			continue
		}
		// Ids and CreatedAt are drawn at the same time, but not atomically.
		if !f.After.IsZero() && k.task.CreatedAt.Add(time.Second).Before(f.After) {
			return "", false
		}
		if f.Match(&k.task) {
			page.Tasks = append(page.Tasks, k.task.header())
		}
	}
	return "", false
}

func (s *memoryStore) Delete(ctx context.Context, id string) error {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	r := s.find(id)
	switch {
	case r == nil:
		return NotFound(id)
	case !r.Payload.final:
		return NotFinal(id)
	}
	s.remove(r)
	return nil
}

func (s *memoryStore) Sweep(ctx context.Context, keep Retention, max int) (int, error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	n := 0
	for r := s.done.first; r != nil && n < max; {
		total := s.counts.Completed + s.counts.Failed + s.counts.Cancelled
		if !(keep.Tasks > 0 && total > keep.Tasks) && !(keep.Bytes > 0 && s.doneBytes > keep.Bytes) &&
			!r.Payload.task.FinishedAt.Before(keep.FinishedAfter) {
			break
		}
		next := r.Payload.next
		if !s.agenda.Needed(r.Seq) {
			s.remove(r)
			n++
		}
		r = next
	}
	return n, nil
}

// remove forgets a final task.
func (s *memoryStore) remove(r *record) {
	k := &r.Payload
	s.done.remove(r)
	s.count(k, -1)
	k.task, k.gone = Task{ID: k.task.ID}, true
	if s.removed++; s.removed > 1024 && s.removed > len(s.order)/2 {
		s.order = slices.DeleteFunc(s.order, func(r *record) bool { return r.Payload.gone })
		s.removed = 0
	}
}
