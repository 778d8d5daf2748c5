package sqlitestore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/internal/agenda"
)

// limitKind is the kind of the records that hold limits. Their names are "queue/x" and "plugin/x".
const limitKind = "limit"

// Record returns one record.
func (s *Store) Record(ctx context.Context, kind, name string) (rec manager.Record, err error) {
	found := false
	err = s.read(ctx, func(r *reading) error {
		return r.each("SELECT revision, data FROM records WHERE kind = ? AND name = ?", []any{kind, name}, func(st *sqlite3.Stmt) error {
			found = true
			rec = manager.Record{Kind: kind, Name: name, Revision: uint64(st.ColumnInt64(0)), Data: append([]byte{}, st.ColumnRawBlob(1)...)}
			return nil
		})
	})
	if err == nil && !found {
		err = manager.NoRecord(kind, name)
	}
	return rec, err
}

// Records returns records of a kind by name.
func (s *Store) Records(ctx context.Context, kind, after string, max int) (list []manager.Record, err error) {
	const query = "SELECT name, revision, data FROM records WHERE kind = ? AND name > ? ORDER BY name LIMIT ?"
	err = s.read(ctx, func(r *reading) error {
		return r.each(query, []any{kind, after, int64(max)}, func(st *sqlite3.Stmt) error {
			list = append(list, manager.Record{
				Kind: kind, Name: st.ColumnText(0), Revision: uint64(st.ColumnInt64(1)), Data: append([]byte{}, st.ColumnRawBlob(2)...),
			})
			return nil
		})
	})
	return list, err
}

// Put writes records, all or none.
func (s *Store) Put(ctx context.Context, records ...manager.Record) error {
	if len(records) == 0 {
		return ctx.Err()
	}
	return s.submit(ctx, &request{records: records})
}

// submit has a request written that changes no task.
func (s *Store) submit(ctx context.Context, q *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.agenda.Lock()
	if s.closed {
		s.agenda.Unlock()
		return errClosed()
	}
	s.enqueue(q)
	s.agenda.Unlock()
	return s.await(ctx, q)
}

// Queues lists the queues and plugins that have a limit or tasks.
func (s *Store) Queues(ctx context.Context) ([]manager.QueueStatus, error) {
	if err := s.waitLoaded(ctx); err != nil {
		return nil, err
	}
	s.agenda.Lock()
	defer s.agenda.Unlock()
	return queueStatuses(s.agenda.Groups()), nil
}

// queueStatuses is what an agenda says of queues and plugins, in the manager's words.
func queueStatuses(groups []agenda.Status) []manager.QueueStatus {
	list := make([]manager.QueueStatus, len(groups))
	for i, g := range groups {
		q := manager.QueueStatus{Pending: g.Pending, Running: g.Running}
		q.Paused, q.Concurrency, q.Rate = g.Limit.Paused, g.Limit.Concurrency, manager.Rate{Tasks: g.Limit.Tasks, Per: g.Limit.Per}
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

// SetLimit replaces a limit; it is on the disk when SetLimit returns.
func (s *Store) SetLimit(ctx context.Context, l manager.Limit) error {
	if err := l.Validate(); err != nil {
		return err
	}
	return s.submit(ctx, &request{limit: &l})
}

// putLimit writes a limit as a record.
func (w *writer) putLimit(l *manager.Limit) error {
	name := "queue/" + l.Queue
	if l.Plugin != "" {
		name = "plugin/" + l.Plugin
	}
	if !l.Paused && l.Concurrency == 0 && l.Rate == (manager.Rate{}) {
		return exec(w.st.dropRecord, limitKind, name)
	}
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return exec(w.st.putRecord, limitKind, name, int64(1), data)
}

// loadLimits tells the agenda of all limits.
func (s *Store) loadLimits() error {
	st, _, err := s.w.c.Prepare("SELECT data FROM records WHERE kind = '" + limitKind + "'")
	if err != nil {
		return err
	}
	defer st.Close()
	for st.Step() {
		var l manager.Limit
		if err := json.Unmarshal(st.ColumnRawBlob(0), &l); err != nil {
			return err
		}
		s.applyLimit(&l)
	}
	return st.Err()
}

// loadKeys tells the agenda of unique keys whose window lasts.
func (s *Store) loadKeys() error {
	now := time.Now()
	st, _, err := s.w.c.Prepare("SELECT key, id, seq, until FROM unique_keys WHERE until > ?")
	if err != nil {
		return err
	}
	defer st.Close()
	if err := st.BindInt64(1, now.UnixNano()); err != nil {
		return err
	}
	for st.Step() {
		s.agenda.Hold(st.ColumnText(0), st.ColumnText(1), uint64(st.ColumnInt64(2)), st.ColumnInt64(3), false)
	}
	return st.Err()
}
