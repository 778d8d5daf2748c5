package sqlitestore

import (
	"time"

	"github.com/taskhost/taskhost/manager"
)

// group writes a group into the transaction that is open: the tasks into the journal, all else where it belongs.
func (w *writer) group(g *group) error {
	g.firstN, g.lastN = w.nextN, w.nextN-1
	w.ops = w.ops[:0]
	for _, q := range g.requests {
		if err := w.request(g, q); err != nil {
			return err
		}
	}
	return w.writeJournal(g)
}

// request writes one request. What is wrong with it alone goes into q.err, and nothing of it is written.
func (w *writer) request(g *group, q *request) error {
	q.err, q.n, q.gone = nil, 0, tally{}
	if err := w.checkRecords(q); err != nil || q.failed() {
		return err
	}
	for i := range q.records {
		if err := w.putRecord(&q.records[i]); err != nil {
			return err
		}
	}
	if q.limit != nil {
		if err := w.putLimit(q.limit); err != nil {
			return err
		}
	}
	for _, seq := range q.remove {
		if err := w.remove(seq, q); err != nil {
			return err
		}
	}
	if q.n > 0 {
		if err := w.writeCounts(); err != nil {
			return err
		}
	}
	for i := range q.changes {
		c := &q.changes[i]
		t := c.row.task
		big := bigParts(t)
		if err := w.putBlobs(int64(c.r.Seq), t, big&^c.kept); err != nil {
			return err
		}
		if c.create && c.until != 0 {
			if err := w.putKey(c); err != nil {
				return err
			}
		}
		w.ops = appendOp(w.ops, c.row, c.kept&^big, big)
		if len(w.ops) > maxGroup {
			if err := w.writeJournal(g); err != nil {
				return err
			}
		}
	}
	return nil
}

// expireKeys removes unique keys whose window is over.
const expireKeys = "DELETE FROM unique_keys WHERE key IN (SELECT key FROM unique_keys WHERE until <= ? ORDER BY until LIMIT 100)"

// putKey writes the window of a unique key, and now and then removes those that are over.
func (w *writer) putKey(c *change) error {
	t := c.row.task
	if err := exec(w.st.putKey, t.Spec.Unique.Key, t.ID, int64(c.r.Seq), c.until); err != nil {
		return err
	}
	if w.keys++; w.keys < 50 {
		return nil
	}
	w.keys = 0
	return exec(w.st.expireKeys, time.Now().UnixNano())
}

// writeJournal writes a row of the journal.
func (w *writer) writeJournal(g *group) error {
	if len(w.ops) == 0 {
		return nil
	}
	err := exec(w.st.journal, w.nextN, w.ops)
	g.lastN = w.nextN
	w.nextN++
	w.ops = w.ops[:0]
	return err
}

// checkRecords leaves in q.err what is wrong with the records that are to be put.
func (w *writer) checkRecords(q *request) error {
	for i := range q.records {
		r := &q.records[i]
		current, err := w.revision(r.Kind, r.Name)
		if err != nil {
			return err
		}
		if q.err = r.Check(current); q.failed() {
			break
		}
	}
	return nil
}

// revision is that of a record; 0: there is none.
func (w *writer) revision(kind, name string) (n uint64, err error) {
	st := w.st.findRecord
	if err := bind(st, kind, name); err != nil {
		return 0, err
	}
	if st.Step() {
		n = uint64(st.ColumnInt64(0))
	}
	return n, st.Reset()
}

func (w *writer) putRecord(r *manager.Record) error {
	if r.Data == nil {
		return exec(w.st.dropRecord, r.Kind, r.Name)
	}
	return exec(w.st.putRecord, r.Kind, r.Name, int64(r.Revision+1), r.Data)
}

// putBlobs writes parts of a task into the table blobs.
func (w *writer) putBlobs(seq int64, t *manager.Task, big partMask) error {
	if big == 0 {
		return nil
	}
	for i, p := range parts(t) {
		if big.has(i) {
			if err := exec(w.st.putBlob, seq*numParts+int64(i), p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) dropBlobs(seq int64, big partMask) error {
	for i := range int64(numParts) {
		if big.has(int(i)) {
			if err := exec(w.st.dropBlob, seq*numParts+i); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove deletes a final task, and all that belongs to it.
func (w *writer) remove(seq int64, q *request) error {
	old, err := w.findRow(seq)
	if err != nil || !old.status.final() {
		return err
	}
	if err := w.dropBlobs(seq, old.parts); err != nil {
		return err
	}
	if err := w.dropLabels(seq, old.spec); err != nil {
		return err
	}
	if err := exec(w.st.dropRow, seq); err != nil {
		return err
	}
	w.tally.add(old.status, old.bytes, -1)
	q.gone.add(old.status, old.bytes, 1)
	q.n++
	return nil
}

// oldRow is what the table has of a task.
type oldRow struct {
	status   status // none: there is no row
	bytes    int64
	parts    partMask
	spec     []byte
	revision uint64
}

func (w *writer) findRow(seq int64) (old oldRow, err error) {
	st := w.st.findRow
	old.status = none
	if err := st.BindInt64(1, seq); err != nil {
		return old, err
	}
	if st.Step() {
		old = oldRow{
			status: status(st.ColumnInt(0)), bytes: st.ColumnInt64(1), parts: partMask(st.ColumnInt(2)),
			spec: st.ColumnBlob(3, nil), revision: uint64(st.ColumnInt64(4)),
		}
	}
	return old, st.Reset()
}
