package sqlitestore

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// List returns a page of the tasks that match, newest first.
func (s *Store) List(ctx context.Context, f manager.Filter) (manager.Page, error) {
	if err := s.flush(ctx); err != nil {
		return manager.Page{}, err
	}
	l, err := s.newListing(&f)
	if err != nil {
		return manager.Page{}, err
	}
	err = s.read(ctx, func(r *reading) error {
		if err := r.c.Exec("BEGIN"); err != nil {
			return err
		}
		err := l.run(r)
		if end := r.c.Exec("COMMIT"); err == nil {
			err = end
		}
		return err
	})
	return l.page, err
}

// listing is one List.
type listing struct {
	f        *manager.Filter
	limit    int
	from, to int64 // seq: from <= seq < to
	statuses []status
	sorts    []int64
	anySort  bool
	page     manager.Page
}

// maxRanges is how many ranges of the index by sort and status are read side by side; a list that needs more goes through the tasks
// in their order.
const maxRanges = 2048

func (s *Store) newListing(f *manager.Filter) (*listing, error) {
	l := &listing{f: f, limit: f.Limit, from: 0, to: math.MaxInt64, page: manager.Page{Tasks: []manager.Task{}}}
	if l.limit <= 0 {
		l.limit = 100
	}
	l.limit = min(l.limit, manager.MaxPage)
	if f.Cursor != "" {
		seq, _, ok := seqOf(f.Cursor)
		if !ok {
			return nil, abi.Errorf(abi.CodeInvalid, "%.64q is no cursor: take Page.Next", f.Cursor)
		}
		l.to = seq
	}
	// Ids and CreatedAt are drawn at the same time, but not atomically.
	const margin = time.Second
	if !f.After.IsZero() {
		l.from = firstSeq(f.After.Add(-margin).UnixMilli())
	}
	if !f.Before.IsZero() {
		l.to = min(l.to, firstSeq(f.Before.Add(margin).UnixMilli()+1))
	}
	for _, w := range f.Status {
		if n, ok := statusOf(w); ok && !slices.Contains(l.statuses, n) {
			l.statuses = append(l.statuses, n)
		}
	}
	l.sorts, l.anySort = s.w.sorts.matching(f)
	return l, nil
}

// run fills the page: it takes candidates in order from the index that leaves the fewest, and keeps what matches.
func (l *listing) run(r *reading) error {
	var src source
	ranges := len(l.sorts) * max(len(l.statuses), int(numStatuses)*truthInt(len(l.statuses) == 0))
	switch {
	case len(l.f.Status) > 0 && len(l.statuses) == 0, !l.anySort && len(l.sorts) == 0:
		return nil
	case len(l.f.Labels) > 0:
		n, err := l.labels(r)
		if err != nil || len(n) == 0 {
			return err
		}
		src = &labelSource{r: r, labels: n, from: l.from, to: l.to}
	case (len(l.statuses) > 0 || !l.anySort) && ranges <= maxRanges:
		src = newRangeSource(r, l)
	default:
		src = &orderSource{r: r, from: l.from, to: l.to}
	}
	for {
		seqs, err := src.next(l.limit + 1 - len(l.page.Tasks))
		if err != nil || len(seqs) == 0 {
			return err
		}
		for _, seq := range seqs {
			if len(l.page.Tasks) == l.limit {
				// There may be more; a page that turns out empty does no harm.
				l.page.Next = l.page.Tasks[l.limit-1].ID
				return nil
			}
			if err := l.add(r, seq); err != nil {
				return err
			}
		}
	}
}

func truthInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// add reads a candidate and adds it if it matches.
func (l *listing) add(r *reading, seq int64) error {
	return r.each("SELECT "+columns+" FROM tasks t WHERE seq = ?", []any{seq}, func(st *sqlite3.Stmt) error {
		if len(l.statuses) > 0 && !slices.Contains(l.statuses, status(st.ColumnInt(2))) {
			return nil
		}
		tt, err := readTask(st, false)
		if err == nil && l.f.Match(&tt.task) {
			l.page.Tasks = append(l.page.Tasks, tt.task)
		}
		return err
	})
}

// labels are the numbers of the labels that are asked for; none: one of them does not exist.
func (l *listing) labels(r *reading) (numbers []int64, err error) {
	for name, value := range l.f.Labels {
		n := int64(0)
		err := r.each("SELECT label FROM label_names WHERE name = ? AND value = ?", []any{name, value}, func(st *sqlite3.Stmt) error {
			n = st.ColumnInt64(0)
			return nil
		})
		if err != nil || n == 0 {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers, nil
}

// source gives candidates, newest first; none: there are no more.
type source interface {
	next(n int) ([]int64, error)
}

// seqsBelow runs a query for seqs, newest first; its last three parameters are from, to and n.
func seqsBelow(r *reading, sql string, into []int64, params ...any) ([]int64, error) {
	err := r.each(sql, params, func(st *sqlite3.Stmt) error {
		into = append(into, st.ColumnInt64(0))
		return nil
	})
	return into, err
}

// orderSource goes through all tasks.
type orderSource struct {
	r        *reading
	from, to int64
	buf      []int64
}

const orderQuery = "SELECT seq FROM tasks WHERE seq >= ? AND seq < ? ORDER BY seq DESC LIMIT ?"

func (o *orderSource) next(n int) (seqs []int64, err error) {
	o.buf, err = seqsBelow(o.r, orderQuery, o.buf[:0], o.from, o.to, int64(max(n, 64)))
	if len(o.buf) > 0 {
		o.to = o.buf[len(o.buf)-1]
	}
	return o.buf, err
}

// labelSource goes through the tasks that have a label, and leaves those that do not have the others.
type labelSource struct {
	r        *reading
	labels   []int64
	from, to int64
}

const (
	labelQuery = "SELECT seq FROM labels WHERE label = ? AND seq >= ? AND seq < ? ORDER BY seq DESC LIMIT ?"
	hasLabel   = "SELECT 1 FROM labels WHERE label = ? AND seq = ?"
)

func (o *labelSource) next(n int) ([]int64, error) {
	for {
		seqs, err := seqsBelow(o.r, labelQuery, nil, o.labels[0], o.from, o.to, int64(max(n, 64)))
		if err != nil || len(seqs) == 0 {
			return nil, err
		}
		o.to = seqs[len(seqs)-1]
		kept := seqs[:0]
		for _, seq := range seqs {
			all := true
			for _, label := range o.labels[1:] {
				has := false
				err := o.r.each(hasLabel, []any{label, seq}, func(*sqlite3.Stmt) error { has = true; return nil })
				if err != nil {
					return nil, err
				}
				if all = all && has; !all {
					break
				}
			}
			if all {
				kept = append(kept, seq)
			}
		}
		if len(kept) > 0 {
			return kept, nil
		}
	}
}
