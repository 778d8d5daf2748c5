package sqlitestore

import (
	"context"
	"math"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/manager"
)

// Delete removes a final task.
func (s *Store) Delete(ctx context.Context, id string) error {
	seq, u, ok := seqOf(id)
	if !ok {
		return manager.NotFound(id)
	}
	for {
		if err := s.waitLoaded(ctx); err != nil {
			return err
		}
		s.agenda.Lock()
		if s.closed {
			s.agenda.Unlock()
			return errClosed()
		}
		var busy *group
		if r := s.tasks[seq]; r != nil {
			k := r.Payload
			switch busy = k.busy; {
			case k.status == none || k.uuid != u:
				s.agenda.Unlock()
				return manager.NotFound(id)
			case busy == nil && !k.status.final():
				s.agenda.Unlock()
				return manager.NotFinal(id)
			}
		}
		s.agenda.Unlock()
		if busy != nil {
			select {
			case <-busy.done:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := s.flush(ctx); err != nil {
			return err
		}
		tt, err := s.readRow(ctx, seq, id)
		if err != nil {
			return err
		}
		if !tt.task.Status.Final() {
			continue // it runs again
		}
		n, err := s.remove(ctx, []int64{seq}, false)
		if err != nil || n > 0 {
			return err
		}
	}
}

// remove deletes tasks that are final and whose rows say so, except those that have come back into memory or are needed.
func (s *Store) remove(ctx context.Context, seqs []int64, spareNeeded bool) (int, error) {
	s.agenda.Lock()
	if s.closed {
		s.agenda.Unlock()
		return 0, errClosed()
	}
	q := &request{}
	for _, seq := range seqs {
		if s.tasks[seq] == nil && s.removing[seq] == nil && !(spareNeeded && s.agenda.Needed(uint64(seq))) {
			q.remove = append(q.remove, seq)
		}
	}
	if len(q.remove) == 0 {
		s.agenda.Unlock()
		return 0, nil
	}
	s.enqueue(q)
	for _, seq := range q.remove {
		s.removing[seq] = q.group
	}
	s.agenda.Unlock()
	err := s.await(ctx, q)
	return q.n, err
}

// removeStep is how many tasks are removed in one transaction.
const removeStep = 64

// sweepQuery finds what may be removed, by its end.
const sweepQuery = `SELECT seq, finished_at, bytes FROM tasks WHERE finished_at IS NOT NULL AND status >= 2 AND finished_at >= ?
	ORDER BY finished_at LIMIT ? OFFSET ?`

// Sweep removes at most max final tasks, oldest end first.
func (s *Store) Sweep(ctx context.Context, keep manager.Retention, max int) (removed int, err error) {
	if err := s.waitLoaded(ctx); err != nil {
		return 0, err
	}
	if !s.hasToSweep(&keep) {
		return 0, nil
	}
	removed, more, err := s.sweepTable(ctx, &keep, max)
	if err == nil && more {
		if err = s.flush(ctx); err == nil {
			var n int
			n, _, err = s.sweepTable(ctx, &keep, max-removed)
			removed += n
		}
	}
	if err == nil && removed < max {
		s.swept(&keep)
	}
	return removed, err
}

// sweepTable removes tasks whose end is in the table. More says that the next one to go has ended, but is not there yet: under load that is
// not so, and nothing has to wait for it to be applied.
func (s *Store) sweepTable(ctx context.Context, keep *manager.Retention, max int) (removed int, more bool, err error) {
	v := sweeping{s: s, keep: keep, young: s.firstEndInMemory()}
	v.edge, _ = unixNano(keep.FinishedAfter)
	s.agenda.Lock()
	v.tasks, v.bytes = s.tally.final(), s.tally.DoneBytes
	s.agenda.Unlock()
	for removed < max {
		seqs, err := v.candidates(ctx, min(removeStep, max-removed))
		if err != nil {
			return removed, false, err
		}
		if len(seqs) == 0 {
			return removed, v.young != math.MaxInt64 && v.goes(v.young), nil
		}
		n, err := s.remove(ctx, seqs, true)
		removed += n
		if err != nil {
			return removed, false, err
		}
	}
	return removed, false, nil
}

// firstEndInMemory is the earliest end of a task that is not in the table as final yet.
func (s *Store) firstEndInMemory() int64 {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	first := int64(math.MaxInt64)
	for r := s.dirty.first; r != nil; r = r.Payload.next {
		if k := r.Payload; k.status.final() && k.task != nil {
			at, _ := unixNano(k.task.FinishedAt)
			first = min(first, at)
		}
	}
	for i := range s.slice { // on their way
		if t := s.slice[i].task; t != nil && t.Status.Final() {
			at, _ := unixNano(t.FinishedAt)
			first = min(first, at)
		}
	}
	return first
}

// ageStep is how often it is looked whether something is too old, at most.
const ageStep = time.Second

// hasToSweep reports whether the retention may not keep something. It is asked often, and looks for age only when that moved by ageStep.
func (s *Store) hasToSweep(keep *manager.Retention) bool {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	n := s.tally.final()
	switch {
	case n == 0:
		return false
	case keep.Tasks > 0 && n > int64(keep.Tasks), keep.Bytes > 0 && s.tally.DoneBytes > keep.Bytes:
		return true
	case keep.FinishedAfter.IsZero():
		return false
	}
	edge := keep.FinishedAfter.UnixNano()
	return edge < s.agedTo || edge > s.agedTo+int64(ageStep)
}

// swept notes that nothing is left that ended before.
func (s *Store) swept(keep *manager.Retention) {
	edge, _ := unixNano(keep.FinishedAfter)
	s.agenda.Lock()
	defer s.agenda.Unlock()
	s.agedTo = min(edge, time.Now().UnixNano())
}

// sweeping is one Sweep.
type sweeping struct {
	s            *Store
	keep         *manager.Retention
	edge         int64
	young        int64 // when the first of those ended that are not in the table yet
	tasks, bytes int64 // that are left

	at   int64 // finished_at of the last candidate
	seen map[int64]bool
}

// candidates are the next tasks that retention does not keep and nobody needs.
func (v *sweeping) candidates(ctx context.Context, n int) (seqs []int64, err error) {
	if v.seen == nil {
		v.seen = make(map[int64]bool)
	}
	done := false
	for offset := int64(0); len(seqs) < n && !done; {
		rows, from := int64(0), v.at
		err = v.s.read(ctx, func(r *reading) error {
			return r.each(sweepQuery, []any{from, int64(removeStep), offset}, func(st *sqlite3.Stmt) error {
				rows++
				seq, at, bytes := st.ColumnInt64(0), st.ColumnInt64(1), st.ColumnInt64(2)
				if done || len(seqs) == n || v.seen[seq] {
					return nil
				}
				if at >= v.young || !v.goes(at) {
					done = true
					return nil
				}
				if at > v.at {
					v.at = at
				}
				v.seen[seq] = true
				if v.free(seq) {
					seqs = append(seqs, seq)
					v.tasks--
					v.bytes -= bytes
				}
				return nil
			})
		})
		if err != nil || rows < removeStep {
			return seqs, err
		}
		if v.at == from {
			offset += rows
		} else {
			offset = 0
		}
	}
	return seqs, nil
}

// goes reports whether retention does not keep the oldest task, which ended then.
func (v *sweeping) goes(at int64) bool {
	return (v.keep.Tasks > 0 && v.tasks > int64(v.keep.Tasks)) || (v.keep.Bytes > 0 && v.bytes > v.keep.Bytes) || at < v.edge
}

func (v *sweeping) free(seq int64) bool {
	v.s.agenda.Lock()
	defer v.s.agenda.Unlock()
	return v.s.tasks[seq] == nil && v.s.removing[seq] == nil && !v.s.agenda.Needed(uint64(seq))
}
