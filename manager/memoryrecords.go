package manager

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/taskhost/taskhost/manager/internal/agenda"
)

func (s *memoryStore) Record(ctx context.Context, kind, name string) (Record, error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	r, ok := s.records[recordKey{kind, name}]
	if !ok {
		return Record{}, NoRecord(kind, name)
	}
	return r, nil
}

func (s *memoryStore) Records(ctx context.Context, kind, after string, max int) ([]Record, error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	var list []Record
	for key, r := range s.records {
		if key.kind == kind && key.name > after {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b Record) int { return strings.Compare(a.Name, b.Name) })
	return list[:min(len(list), max)], nil
}

func (s *memoryStore) Put(ctx context.Context, records ...Record) error {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	if err := s.checkRecords(records); err != nil {
		return err
	}
	s.putRecords(records)
	return nil
}

// checkRecords reports whether records may be put.
func (s *memoryStore) checkRecords(records []Record) error {
	for i := range records {
		r := &records[i]
		if err := r.Check(s.records[recordKey{r.Kind, r.Name}].Revision); err != nil {
			return err
		}
	}
	return nil
}

func (s *memoryStore) putRecords(records []Record) {
	for _, r := range records {
		key := recordKey{r.Kind, r.Name}
		if r.Data == nil {
			delete(s.records, key)
			continue
		}
		r.Revision++
		s.records[key] = r
	}
}

func (s *memoryStore) Queues(ctx context.Context) ([]QueueStatus, error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	return queueStatuses(s.agenda.Groups()), nil
}

func (s *memoryStore) SetLimit(ctx context.Context, l Limit) error {
	if err := l.Validate(); err != nil {
		return err
	}
	s.agenda.Lock()
	defer s.agenda.Unlock()
	to := agenda.Limit{Paused: l.Paused, Concurrency: l.Concurrency, Tasks: l.Rate.Tasks, Per: l.Rate.Per}
	if l.Queue != "" {
		s.agenda.SetQueue(l.Queue, to)
	} else {
		s.agenda.SetPlugin(l.Plugin, to)
	}
	return nil
}

// queueStatuses is what an agenda says of queues and plugins, in the words of this package.
func queueStatuses(groups []agenda.Status) []QueueStatus {
	list := make([]QueueStatus, len(groups))
	for i, g := range groups {
		q := QueueStatus{Pending: g.Pending, Running: g.Running}
		q.Paused, q.Concurrency, q.Rate = g.Limit.Paused, g.Limit.Concurrency, Rate{g.Limit.Tasks, g.Limit.Per}
		if g.Since != 0 {
			q.WaitingSince = time.Unix(0, g.Since).UTC()
		}
		if g.Plugin {
			q.Plugin = g.Name
		} else {
			q.Queue = g.Name
		}
		list[i] = q
	}
	return list
}

// doneList is a doubly linked list of final records.
type doneList struct{ first, last *record }

func (l *doneList) append(r *record) {
	k := &r.Payload
	k.prev, k.next = l.last, nil
	if l.last == nil {
		l.first = r
	} else {
		l.last.Payload.next = r
	}
	l.last = r
}

func (l *doneList) remove(r *record) {
	k := &r.Payload
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
	k.prev, k.next = nil, nil
}
