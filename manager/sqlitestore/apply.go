package sqlitestore

import (
	"time"

	"github.com/taskhost/taskhost/manager"
)

// moved is a record on its way into the table: what memory said when it was taken from the dirty ones.
type moved struct {
	r      *record
	task   *manager.Task
	row    *row
	spec   *row
	rev    uint64
	firstN int64
	ticket uint64
	table  status
	bytes  int64    // of the row in the table
	stored partMask // parts of which blobs may have something
	wrote  partMask // parts that are in blobs now
	big    partMask // parts that blobs has already
	label  bool     // its labels are others than those of the row
}

// apply writes the records that have been dirty longest into the table, and removes what the journal does not need any more.
func (s *Store) apply() {
	w := s.w
	slice, upTo := s.takeDirty()
	if len(slice) == 0 {
		return
	}
	err := s.recover()
	if err == nil {
		err = w.transaction(func() error { return w.applySlice(slice, upTo) })
	}
	if err == nil {
		if bad := w.log.flush(); bad != nil {
			s.distrust(&group{done: make(chan struct{})}, bad)
		}
	}
	s.applied(slice, err)
	if err == nil {
		w.sorts.keep()
		s.checkpoint()
	}
}

// takeDirty takes a slice of the dirty records. Journal rows up to upTo are not needed once it is in the table.
func (s *Store) takeDirty() (slice []moved, upTo int64) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	slice = s.slice[:0]
	var bytes int64
	for r := s.dirty.first; r != nil && len(slice) < sliceSize && bytes < maxGroup; r = s.dirty.first {
		k := r.Payload
		bytes += taskSize(k.task)
		s.dirty.remove(r)
		k.moving = true
		stored := k.stored
		k.stored = 0 // what comes meanwhile
		slice = append(slice, moved{
			r: r, task: k.task, row: k.row, spec: k.spec, rev: k.rev, firstN: k.firstN, ticket: k.ticket,
			table: k.table, bytes: k.tableBytes, stored: stored, big: k.big, label: k.relabel,
		})
	}
	upTo = s.ackedN
	if r := s.dirty.first; r != nil {
		upTo = min(upTo, r.Payload.firstN-1)
		s.dirty.since = s.now()
	}
	s.slice = slice
	return slice, upTo
}

// applySlice writes a slice into the transaction that is open.
func (w *writer) applySlice(slice []moved, upTo int64) error {
	for i := range slice {
		if err := w.applyOne(&slice[i]); err != nil {
			return err
		}
	}
	if err := w.writeCounts(); err != nil {
		return err
	}
	return exec(w.st.unjournal, upTo)
}

func (w *writer) applyOne(m *moved) error {
	seq := int64(m.r.Seq)
	if m.row == nil {
		var err error
		if m.row, err = nextRow(m.task, seq, m.r.Payload.uuid, m.spec); err != nil {
			return err
		}
	}
	big := bigParts(m.task)
	if err := w.putBlobs(seq, m.task, big&^m.big); err != nil {
		return err
	}
	if err := w.dropBlobs(seq, m.stored&^big); err != nil {
		return err
	}
	m.wrote = big
	labels := m.task.Spec.Labels
	switch {
	case m.table == none:
		if err := w.addLabels(seq, labels); err != nil {
			return err
		}
	case m.label:
		old, err := w.findRow(seq)
		if err != nil {
			return err
		}
		if err := w.dropLabels(seq, old.spec); err != nil {
			return err
		}
		if err := w.addLabels(seq, labels); err != nil {
			return err
		}
	}
	if err := w.writeRow(m.row, m.table == none, 0, big); err != nil {
		return err
	}
	w.tally.add(m.table, m.bytes, -1)
	w.tally.add(m.row.stat, m.row.bytes, 1)
	return nil
}

// applied says what became of a slice.
func (s *Store) applied(slice []moved, err error) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	s.slice = slice[:0]
	if err != nil {
		s.putBack(slice)
		s.applyFailed = s.now() + int64(time.Second)
		s.endFlushes(unavailable(s.w.path, err))
		return
	}
	s.applyFailed = 0
	for i := range slice {
		m := &slice[i]
		k := m.r.Payload
		k.moving = false
		k.table, k.tableBytes = m.row.stat, m.row.bytes
		k.stored |= m.wrote
		if k.rev == m.rev {
			k.big, k.loose, k.relabel = m.wrote, 0, false
		}
		*m = moved{r: m.r}
		s.dismiss(m.r)
	}
	clear(slice)
}

// putBack makes the records of a slice dirty again, in their old order before all others.
func (s *Store) putBack(slice []moved) {
	var after *record
	for i := range slice {
		m := &slice[i]
		k := m.r.Payload
		k.moving = false
		k.stored |= m.stored
		if k.dirty {
			s.dirty.remove(m.r)
		}
		k.dirty, k.firstN, k.ticket = true, m.firstN, m.ticket
		s.dirty.insert(m.r, after)
		after = m.r
	}
	clear(slice)
}

// endFlushes ends those that have what they wait for; with an error all.
func (s *Store) endFlushes(err error) {
	left := s.flushes[:0]
	for _, f := range s.flushes {
		if err == nil && s.dirty.first != nil && s.dirty.first.Payload.ticket <= f.ticket {
			left = append(left, f)
			continue
		}
		f.err = err
		close(f.done)
	}
	clear(s.flushes[len(left):])
	s.flushes = left
}
