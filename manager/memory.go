package manager

import (
	"container/heap"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// memoryStore is a Store that keeps everything in memory. A record is in at most one of ready, delayed, leased and done.
type memoryStore struct {
	mu      sync.Mutex
	records map[string]*record
	order   []*record // by id; removed ones stay until there are many
	removed int       // removed records in order

	ready   recordList // can be claimed, in the order in which they became due
	delayed delayHeap  // pending, not due yet
	leased  recordList // by expiry
	done    recordList // final, in the order in which they ended

	counts       Counts
	pendingBytes int64 // Spec.Bytes of pending tasks
	doneBytes    int64 // everything that final tasks hold
	tokens       uint64

	waiting []chan struct{} // Claims that found nothing, the longest wait first
	alarm   *time.Timer     // wakes one of them when a delay or a lease ends; nil: not set
	alarmAt time.Time
}

// record is one task and its place.
type record struct {
	task    Task
	token   string    // of the lease; empty: none
	expires time.Time // of the lease

	list       *recordList // the list it is in; nil: none
	prev, next *record
	heapIndex  int // in delayed; -1: not there
	gone       bool
}

// NewMemoryStore makes a store that keeps everything in memory, Go functions included, and forgets it with the process.
// It needs no closing.
func NewMemoryStore() Store {
	return &memoryStore{records: make(map[string]*record)}
}

func (s *memoryStore) Create(ctx context.Context, t Task, limit QueueLimit) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if t.Status != StatusPending {
		return 0, &abi.Error{Code: abi.CodeInvalid, Task: t.ID, Message: "a new task must be pending"}
	}
	r := &record{task: t, heapIndex: -1}
	r.task.Revision = 1
	size := t.Spec.Bytes()

	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.records[t.ID]; taken {
		return 0, &abi.Error{Code: abi.CodeConflict, Task: t.ID, Message: "there is a task with this id already"}
	}
	if limit.Tasks > 0 && s.counts.Pending >= limit.Tasks {
		return 0, abi.Errorf(abi.CodeQueueFull, "the queue is full: %d tasks wait", s.counts.Pending)
	}
	if limit.Bytes > 0 && s.pendingBytes+size > limit.Bytes {
		return 0, abi.Errorf(abi.CodeQueueFull, "the queue is full: %d waiting tasks hold %d bytes", s.counts.Pending, s.pendingBytes)
	}
	s.records[t.ID] = r
	i := len(s.order)
	for i > 0 && s.order[i-1].task.ID > t.ID {
		i--
	}
	s.order = slices.Insert(s.order, i, r)
	s.count(r, 1)
	s.place(r)
	return r.task.Revision, nil
}

func (s *memoryStore) Get(ctx context.Context, id string) (Task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	if r == nil {
		return Task{}, notFound(id)
	}
	return r.task, nil
}

func notFound(id string) *abi.Error {
	return abi.Errorf(abi.CodeNotFound, "there is no task %.64q: it never was, or it ended long ago and was removed", id)
}

func (s *memoryStore) Counts(ctx context.Context) (Counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts, nil
}

func (s *memoryStore) Claim(ctx context.Context, ttl time.Duration) (Task, Lease, error) {
	if err := ctx.Err(); err != nil {
		return Task{}, Lease{}, err
	}
	for {
		s.mu.Lock()
		if r := s.claim(ttl); r != nil {
			t, l := r.task, Lease{ID: r.task.ID, Token: r.token, Expires: r.expires}
			s.mu.Unlock()
			return t, l, nil
		}
		wake := make(chan struct{}, 1)
		s.waiting = append(s.waiting, wake)
		s.setAlarm()
		s.mu.Unlock()

		select {
		case <-wake:
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil {
			s.leave(wake)
			return Task{}, Lease{}, err
		}
	}
}

// claim leases the next task; nil if there is none.
func (s *memoryStore) claim(ttl time.Duration) *record {
	now := time.Now()
	s.promote(now)
	r := s.ready.first
	if r == nil {
		return nil
	}
	s.ready.remove(r)
	s.tokens++
	r.token = strconv.FormatUint(s.tokens, 36)
	r.expires = now.Add(ttl)
	s.leased.insert(r)
	return r
}

// promote makes ready what has become due, and what nobody holds any more.
func (s *memoryStore) promote(now time.Time) {
	for len(s.delayed) > 0 && !s.delayed[0].task.RunAt.After(now) {
		s.ready.append(heap.Pop(&s.delayed).(*record))
	}
	for r := s.leased.first; r != nil && !r.expires.After(now); r = s.leased.first {
		s.leased.remove(r)
		r.token = ""
		s.ready.append(r)
	}
}

// leave takes a Claim that gave up off the list; if it was woken already, it wakes another.
func (s *memoryStore) leave(wake chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, wake); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	} else if s.ready.first != nil {
		s.wake()
	}
	if len(s.waiting) == 0 {
		s.clearAlarm()
	}
}

// wake wakes the Claim that has waited longest.
func (s *memoryStore) wake() {
	if len(s.waiting) == 0 {
		return
	}
	s.waiting[0] <- struct{}{} // has room: a channel is woken once
	s.waiting[0] = nil
	s.waiting = s.waiting[1:]
}

// setAlarm sets the alarm to the next delay or lease that ends, if anybody waits for it.
func (s *memoryStore) setAlarm() {
	var at time.Time
	if len(s.delayed) > 0 {
		at = s.delayed[0].task.RunAt
	}
	if r := s.leased.first; r != nil && (at.IsZero() || r.expires.Before(at)) {
		at = r.expires
	}
	if at.IsZero() || len(s.waiting) == 0 || (s.alarm != nil && !s.alarmAt.After(at)) {
		return
	}
	s.clearAlarm()
	s.alarmAt = at
	s.alarm = time.AfterFunc(time.Until(at), s.ring)
}

func (s *memoryStore) clearAlarm() {
	if s.alarm != nil {
		s.alarm.Stop()
		s.alarm = nil
	}
}

// ring makes ready what is due and wakes as many Claims as that is.
func (s *memoryStore) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarm = nil
	s.promote(time.Now())
	for r := s.ready.first; r != nil && len(s.waiting) > 0; r = r.next {
		s.wake()
	}
	s.setAlarm()
}

func (s *memoryStore) Extend(ctx context.Context, l Lease, ttl time.Duration) (Task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[l.ID]
	switch {
	case r == nil:
		return Task{}, notFound(l.ID)
	case l.Token == "" || r.token != l.Token:
		return Task{}, stopError(l.ID, CauseLeaseLost)
	}
	s.leased.remove(r)
	r.expires = time.Now().Add(ttl)
	s.leased.insert(r)
	return r.task.header(), nil
}

func (s *memoryStore) Save(ctx context.Context, t Task, l Lease) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[t.ID]
	switch {
	case r == nil:
		return 0, notFound(t.ID)
	case l.Token != "" && r.token != l.Token:
		return 0, stopError(t.ID, CauseLeaseLost)
	case r.task.Revision != t.Revision:
		return 0, &abi.Error{Code: abi.CodeConflict, Task: t.ID, Message: "the task has changed meanwhile"}
	}
	s.count(r, -1)
	t.Revision++
	r.task = t
	s.count(r, 1)
	if t.Status != StatusRunning {
		r.token = ""
	}
	if r.token == "" {
		s.unplace(r)
		s.place(r)
	}
	return t.Revision, nil
}

// count adds a record to the counts, or takes it off.
func (s *memoryStore) count(r *record, by int) {
	if p := s.counts.of(r.task.Status); p != nil {
		*p += by
	}
	switch {
	case r.task.Status == StatusPending:
		s.pendingBytes += int64(by) * r.task.Spec.Bytes()
	case r.task.Status.Final():
		s.doneBytes += int64(by) * r.task.Bytes()
	}
}

// place puts a record without a lease where its task belongs.
func (s *memoryStore) place(r *record) {
	switch {
	case r.task.Status.Final():
		s.done.append(r)
	case !r.task.RunAt.IsZero() && r.task.RunAt.After(time.Now()):
		heap.Push(&s.delayed, r)
		s.setAlarm()
	default:
		s.ready.append(r)
		s.wake()
	}
}

func (s *memoryStore) unplace(r *record) {
	if r.list != nil {
		r.list.remove(r)
	} else if r.heapIndex >= 0 {
		heap.Remove(&s.delayed, r.heapIndex)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	i := len(s.order)
	if cursor != "" {
		i, _ = slices.BinarySearchFunc(s.order, cursor, func(r *record, id string) int { return strings.Compare(r.task.ID, id) })
	}
	for n := 0; i > 0; n++ {
		if n == scanStep || len(page.Tasks) == limit {
			return s.order[i].task.ID, true
		}
		i--
		r := s.order[i]
		if r.gone {
			continue
		}
		// Ids and CreatedAt are drawn at the same time, but not atomically.
		if !f.After.IsZero() && r.task.CreatedAt.Add(time.Second).Before(f.After) {
			return "", false
		}
		if f.Match(&r.task) {
			page.Tasks = append(page.Tasks, r.task.header())
		}
	}
	return "", false
}

func (s *memoryStore) Sweep(ctx context.Context, keep Retention, max int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for r := s.done.first; r != nil && n < max; r = s.done.first {
		total := s.counts.Completed + s.counts.Failed + s.counts.Cancelled
		if !(keep.Tasks > 0 && total > keep.Tasks) && !(keep.Bytes > 0 && s.doneBytes > keep.Bytes) &&
			!r.task.FinishedAt.Before(keep.FinishedAfter) {
			break
		}
		s.done.remove(r)
		s.count(r, -1)
		delete(s.records, r.task.ID)
		r.task, r.gone = Task{ID: r.task.ID}, true
		s.removed++
		n++
	}
	if s.removed > 1024 && s.removed > len(s.order)/2 {
		s.order = slices.DeleteFunc(s.order, func(r *record) bool { return r.gone })
		s.removed = 0
	}
	return n, nil
}
