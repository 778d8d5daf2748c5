package sqlitestore

import (
	"context"
	"encoding/json"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/internal/agenda"
)

// loadStep is how many tasks are read between two looks at whether the store is to close.
const loadStep = 1024

// liveQuery finds the tasks of a status that are not final; the place of those with links needs more than these columns.
//
// The index is of use only where its own condition is written.
const liveQuery = `SELECT t.seq, t.id, t.sort, t.priority, t.attempt, t.created_at, t.run_at, t.expires_at, t.revision, t.bytes, t.parts,
	CASE WHEN t.links THEN t.spec END
	FROM tasks t INDEXED BY tasks_live WHERE t.status < 2 AND t.status = ? AND t.seq > ? AND t.seq <= ? ORDER BY t.seq LIMIT ?`

// load brings all tasks that are not final into memory, the running ones first, then the oldest first. They can be claimed as they
// come. upTo is the last task that was there at the start.
func (s *Store) load(c *sqlite3.Conn, upTo int64) error {
	r := &reading{c: c, st: make(map[string]*sqlite3.Stmt)}
	l := &loading{s: s, r: r, sorts: make(map[int64]*sortOf)}
	s.w.sorts.each(func(sort *sortOf) { l.sorts[sort.number] = sort })
	err := l.all(upTo)
	if err != nil {
		s.agenda.Lock()
		defer s.agenda.Unlock()
		for i := range l.late {
			delete(s.tasks, int64(l.late[i].r.Seq))
		}
	}
	return err
}

func (l *loading) all(upTo int64) error {
	for _, stat := range []status{running, pending} {
		for from := int64(-1); ; {
			select {
			case <-l.s.quit:
				return errClosed()
			default:
			}
			n, last, err := l.step(stat, from, upTo)
			if err != nil {
				return err
			}
			if n < loadStep {
				break
			}
			from = last
		}
	}
	return l.links()
}

// loading is what load works with.
type loading struct {
	s     *Store
	r     *reading
	sorts map[int64]*sortOf
	batch []liveRow
	late  []liveRow // tasks with links: they come last, when all others are there
}

// liveRow is a task that is not final, as load reads it.
type liveRow struct {
	r     *record
	stat  status
	place agenda.Place
	spec  []byte
}

// step reads some tasks and adds them.
func (l *loading) step(stat status, from, upTo int64) (n int, last int64, err error) {
	l.batch = l.batch[:0]
	err = l.r.each(liveQuery, []any{int64(stat), from, upTo, int64(loadStep)}, func(st *sqlite3.Stmt) error {
		n++
		last = st.ColumnInt64(0)
		l.batch = append(l.batch, l.row(st, stat))
		return nil
	})
	if err != nil {
		return n, last, err
	}
	s := l.s
	s.agenda.Lock()
	defer s.agenda.Unlock()
	for i := range l.batch {
		row := &l.batch[i]
		seq := int64(row.r.Seq)
		if s.tasks[seq] != nil { // cannot be: nobody else brings live tasks into memory
			continue
		}
		s.tasks[seq] = row.r
		if row.spec != nil {
			row.r.Payload.busy = s.loadGroup
			l.late = append(l.late, *row)
			continue
		}
		l.add(row)
	}
	return n, last, nil
}

func (l *loading) row(st *sqlite3.Stmt, stat status) liveRow {
	_, u, _ := seqOf(st.ColumnText(1))
	bytes, stored := st.ColumnInt64(9), partMask(st.ColumnInt(10))
	k := &kept{
		uuid: u, rev: uint64(st.ColumnInt64(8)), bytes: bytes, tableBytes: bytes, status: stat, table: stat, big: stored, stored: stored,
	}
	row := liveRow{r: &record{Seq: uint64(st.ColumnInt64(0)), Payload: k}, stat: stat}
	p := &row.place
	if sort := l.sorts[st.ColumnInt64(2)]; sort != nil {
		p.Queue = sort.queue
		p.Plugins = sort.distinct
	}
	p.Priority, p.Since, p.Due = st.ColumnInt(3), st.ColumnInt64(5), st.ColumnInt64(6)
	p.Expires = st.ColumnInt64(7)
	p.Holds = st.ColumnInt(4) > 0 && (p.Due != 0 || stat == running)
	if st.ColumnType(11) != sqlite3.NULL {
		row.spec = append([]byte{}, st.ColumnRawText(11)...)
	}
	return row
}

// add gives a task its place. One that was running has lost its worker.
func (l *loading) add(row *liveRow) {
	s := l.s
	s.agenda.Add(row.r, row.place)
	if row.stat == running {
		s.agenda.Begun(row.r)
		s.agenda.Lose(row.r)
	}
}

// links adds the tasks whose place depends on others.
func (l *loading) links() error {
	s := l.s
	specs := make([]manager.Spec, len(l.late))
	for i := range l.late {
		if err := json.Unmarshal(l.late[i].spec, &specs[i]); err != nil {
			return err
		}
	}
	s.agenda.Lock()
	defer s.agenda.Unlock()
	for _, holds := range []bool{true, false} { // those whose agent's turn it is go first
		l.link(specs, holds)
	}
	return nil
}

// link adds those that hold their agent's turn, or those that do not.
func (l *loading) link(specs []manager.Spec, holds bool) {
	s := l.s
	for i := range l.late {
		if l.late[i].place.Holds != holds {
			continue
		}
		row, spec := &l.late[i], &specs[i]
		row.r.Payload.busy = nil
		t := manager.Task{Spec: *spec}
		more := s.place(&t, row.place.Since)
		p := &row.place
		p.Agent, p.Key, p.After, p.Waits = more.Agent, more.Key, more.After, more.Waits
		if p.Key != "" {
			var until int64
			if h, held := s.agenda.Holder(p.Key); held && h.Seq == row.r.Seq {
				until = h.Until
			}
			s.agenda.Hold(p.Key, row.r.Payload.uuid.String(), row.r.Seq, until, true)
		}
		l.add(row)
	}
}

// runLoad is the goroutine that loads.
func (s *Store) runLoad(upTo int64) {
	err := s.read(context.Background(), func(r *reading) error { return s.load(r.c, upTo) })
	s.loadErr = unavailable(s.cfg.Path, err)
	s.loadGroup.err = s.loadErr
	close(s.loadGroup.done)
	close(s.loaded)
}

// replay brings what the journal has into the table.
func (s *Store) replay() error {
	w := s.w
	for {
		var rows, last int64
		err := w.transaction(func() error {
			r := &reading{c: w.c, st: w.spare}
			var ops [][]byte
			err := r.each("SELECT n, ops FROM journal ORDER BY n LIMIT 16", nil, func(st *sqlite3.Stmt) error {
				rows++
				last = st.ColumnInt64(0)
				ops = append(ops, append([]byte{}, st.ColumnRawBlob(1)...))
				return nil
			})
			if err != nil || rows == 0 {
				return err
			}
			for _, b := range ops {
				if err := decodeOps(b, w.replayOp); err != nil {
					return err
				}
			}
			if err := w.writeCounts(); err != nil {
				return err
			}
			return exec(w.st.unjournal, last)
		})
		if err != nil || rows == 0 {
			return err
		}
	}
}

// replayOp writes a change into the table, unless the table is newer.
func (w *writer) replayOp(o *op) error {
	old, err := w.findRow(o.seq)
	if err != nil || (old.status != none && old.revision >= o.task.Revision) {
		return err
	}
	row, err := newRow(&o.task, o.seq, o.uuid)
	if err != nil {
		return err
	}
	row.bytes = o.bytes
	fresh := old.status == none
	if err := w.dropBlobs(o.seq, old.parts&^o.big&^o.kept); err != nil {
		return err
	}
	if !fresh {
		if err := w.dropLabels(o.seq, old.spec); err != nil {
			return err
		}
	}
	if err := w.addLabels(o.seq, o.task.Spec.Labels); err != nil {
		return err
	}
	if err := w.writeRow(row, fresh, o.kept, o.big); err != nil {
		return err
	}
	w.tally.add(old.status, old.bytes, -1)
	w.tally.add(row.stat, row.bytes, 1)
	return nil
}
