package sqlitestore

import (
	"encoding/json"
	"unsafe"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/manager"
)

const insertRow = `INSERT INTO tasks(seq, id, status, sort, priority, attempt, created_at, run_at, started_at, finished_at, expires_at,
	revision, bytes, links, parts, spec, state, input, output, partial, checkpoint)
	VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)`

// updateRow leaves the parts in the mask ?2 as they are.
const updateRow = `UPDATE tasks SET status = ?3, sort = ?4, priority = ?5, attempt = ?6, created_at = ?7, run_at = ?8, started_at = ?9,
	finished_at = ?10, expires_at = ?11, revision = ?12, bytes = ?13, links = ?14, parts = nullif(ifnull(parts, 0) & ?2 | ifnull(?15, 0), 0),
	spec = ?16, state = ?17,
	input = CASE WHEN ?2 & 1 THEN input ELSE ?18 END, output = CASE WHEN ?2 & 2 THEN output ELSE ?19 END,
	partial = CASE WHEN ?2 & 4 THEN partial ELSE ?20 END, checkpoint = CASE WHEN ?2 & 8 THEN checkpoint ELSE ?21 END
	WHERE seq = ?1`

// binder binds parameters until one fails.
type binder struct {
	st  *sqlite3.Stmt
	err error
}

func (b *binder) number(param int, n int64) {
	if b.err == nil {
		b.err = b.st.BindInt64(param, n)
	}
}

// optional binds NULL for 0.
func (b *binder) optional(param int, n int64) {
	if n != 0 {
		b.number(param, n)
	} else if b.err == nil {
		b.err = b.st.BindNull(param)
	}
}

// text binds bytes as text. BindRawText would copy them once more; SQLite has a copy of its own when BindText returns.
func (b *binder) text(param int, s []byte) {
	if b.err == nil {
		b.err = b.st.BindText(param, unsafe.String(unsafe.SliceData(s), len(s)))
	}
}

func (b *binder) blob(param int, p []byte) {
	if b.err == nil {
		b.err = b.st.BindBlob(param, p)
	}
}

// writeRow writes a task into the table: a new row, or over an old one, of which the parts in stay are left. The parts in big are in
// the table blobs.
func (w *writer) writeRow(r *row, fresh bool, stay, big partMask) error {
	sort, err := w.sorts.number(w, &r.task.Spec)
	if err != nil {
		return err
	}
	b := binder{st: w.st.update}
	if fresh {
		b.st = w.st.insert
		b.err = b.st.BindText(2, r.task.ID)
	} else {
		b.number(2, int64(stay))
	}
	t := r.task
	b.number(1, r.seq)
	b.number(3, int64(r.stat))
	b.number(4, sort)
	b.optional(5, int64(t.Spec.Priority))
	b.number(6, int64(t.Attempt))
	b.optional(7, r.times[timeCreated])
	b.optional(8, r.times[timeRun])
	b.optional(9, r.times[timeStarted])
	if r.stat.final() {
		b.number(10, r.times[timeFinished])
	} else {
		b.optional(10, r.times[timeFinished])
	}
	b.optional(11, r.times[timeExpires])
	b.number(12, int64(t.Revision))
	b.number(13, r.bytes)
	b.optional(14, truth(r.links))
	b.optional(15, int64(big))
	b.text(16, r.spec)
	b.text(17, r.state)
	for i, p := range parts(t) {
		if stay.has(i) || big.has(i) {
			p = nil
		}
		b.blob(18+i, p)
	}
	if b.err != nil {
		return b.err
	}
	return b.st.Exec()
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// addLabels writes the labels of a task.
func (w *writer) addLabels(seq int64, labels map[string]string) error {
	for name, value := range labels {
		n, err := w.label(name, value, true)
		if err != nil {
			return err
		}
		if err := exec(w.st.addLabel, n, seq); err != nil {
			return err
		}
	}
	return nil
}

// dropLabels removes those of a task, whose spec is given as it is in the table.
func (w *writer) dropLabels(seq int64, spec []byte) error {
	var s struct {
		Labels map[string]string `json:"labels"`
	}
	if err := json.Unmarshal(spec, &s); err != nil {
		return err
	}
	for name, value := range s.Labels {
		n, err := w.label(name, value, false)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if err := exec(w.st.dropLabel, n, seq); err != nil {
			return err
		}
		if err := exec(w.st.dropLabelName, n); err != nil {
			return err
		}
		delete(w.labels, [2]string{name, value})
	}
	return nil
}

// maxLabels bounds how many labels' numbers are kept in memory.
const maxLabels = 4096

// label is the number of a label; 0: there is none, and none was to be made.
func (w *writer) label(name, value string, add bool) (int64, error) {
	key := [2]string{name, value}
	if n, ok := w.labels[key]; ok {
		return n, nil
	}
	st := w.st.findLabel
	if err := bind(st, name, value); err != nil {
		return 0, err
	}
	var n int64
	if st.Step() {
		n = st.ColumnInt64(0)
	}
	if err := st.Reset(); err != nil {
		return 0, err
	}
	if n == 0 {
		if !add {
			return 0, nil
		}
		if err := exec(w.st.addLabelName, name, value); err != nil {
			return 0, err
		}
		n = w.c.LastInsertRowID()
	}
	if len(w.labels) >= maxLabels {
		clear(w.labels)
	}
	w.labels[key] = n
	return n, nil
}

func (w *writer) writeCounts() error {
	text, err := json.Marshal(&w.tally)
	if err != nil {
		return err
	}
	return exec(w.st.counts, string(text))
}

// columns are those that readTask reads, in its order.
const columns = `t.seq, t.id, t.status, t.attempt, t.created_at, t.run_at, t.started_at, t.finished_at, t.expires_at, t.revision, t.bytes,
	t.parts, t.spec, t.state`

// partColumns come behind them where a task's parts are wanted.
const partColumns = `, t.input, t.output, t.partial, t.checkpoint`

// tableTask is a task as the table has it.
type tableTask struct {
	task   manager.Task
	seq    int64
	bytes  int64
	stored partMask // parts in the table blobs
}

// readTask reads the row at which a statement is; with its parts, except those in blobs.
func readTask(st *sqlite3.Stmt, withParts bool) (tt tableTask, err error) {
	tt.seq = st.ColumnInt64(0)
	t := &tt.task
	t.ID = st.ColumnText(1)
	if s := st.ColumnInt(2); s >= 0 && s < int(numStatuses) {
		t.Status = words[s]
	}
	t.Attempt = st.ColumnInt(3)
	var times [numTimes]int64
	for i := range times {
		times[i] = st.ColumnInt64(4 + i)
	}
	setTimes(t, &times)
	t.Revision, tt.bytes, tt.stored = uint64(st.ColumnInt64(9)), st.ColumnInt64(10), partMask(st.ColumnInt(11))
	if err := decodeTask(t, st.ColumnRawText(12), st.ColumnRawText(13)); err != nil {
		return tt, err
	}
	if withParts {
		var p [numParts][]byte
		for i := range p {
			if st.ColumnType(14+i) != sqlite3.NULL {
				p[i] = append([]byte{}, st.ColumnRawBlob(14+i)...)
			}
		}
		setParts(t, p)
	}
	return tt, nil
}
