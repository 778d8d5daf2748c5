package sqlitestore

import (
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// writer owns the connection that writes. Except in open, only its goroutine (Store.write) uses it.
type writer struct {
	c    *sqlite3.Conn
	path string
	st   statements
	log  *walFile // what the writer writes
	wal  vfs.File // what the syncer syncs: the file behind it

	tally    tally // of the rows in the table
	nextN    int64 // of the next journal row
	pageSize int   // of the file
	walPages int   // after the last commit
	walDone  int   // when a checkpoint was tried last
	ops      []byte
	keys     int // windows of unique keys since those that are over were removed

	sorts  *sortTable
	labels map[[2]string]int64
	spare  map[string]*sqlite3.Stmt // for what is done at the start
}

// statements are those that the writer uses all the time.
type statements struct {
	begin, commit, rollback                   *sqlite3.Stmt
	journal, unjournal                        *sqlite3.Stmt
	insert, update                            *sqlite3.Stmt
	insertSort                                *sqlite3.Stmt
	findLabel, addLabelName, addLabel         *sqlite3.Stmt
	dropLabel, dropLabelName                  *sqlite3.Stmt
	putBlob, dropBlob                         *sqlite3.Stmt
	counts, findRecord, putRecord, dropRecord *sqlite3.Stmt
	putKey, dropKey, expireKeys               *sqlite3.Stmt
	findRow, dropRow, unjournalFailed         *sqlite3.Stmt
}

func (w *writer) prepare() error {
	st := &w.st
	for _, p := range []struct {
		to  **sqlite3.Stmt
		sql string
	}{
		{&st.begin, "BEGIN IMMEDIATE"},
		{&st.commit, "COMMIT"},
		{&st.rollback, "ROLLBACK"},
		{&st.journal, "INSERT INTO journal(n, ops) VALUES(?, ?)"},
		{&st.unjournal, "DELETE FROM journal WHERE n <= ?"},
		{&st.unjournalFailed, "DELETE FROM journal WHERE n BETWEEN ? AND ?"},
		{&st.insert, insertRow},
		{&st.update, updateRow},
		{&st.insertSort, "INSERT INTO sorts(sort, name, kind, queue, plugins) VALUES(?, ?, ?, ?, ?)"},
		{&st.findLabel, "SELECT label FROM label_names WHERE name = ? AND value = ?"},
		{&st.addLabelName, "INSERT INTO label_names(name, value) VALUES(?, ?)"},
		{&st.addLabel, "INSERT OR IGNORE INTO labels(label, seq) VALUES(?, ?)"},
		{&st.dropLabel, "DELETE FROM labels WHERE label = ? AND seq = ?"},
		{&st.dropLabelName, "DELETE FROM label_names WHERE label = ?1 AND NOT EXISTS (SELECT 1 FROM labels WHERE label = ?1)"},
		{&st.putBlob, "INSERT OR REPLACE INTO blobs(key, data) VALUES(?, ?)"},
		{&st.dropBlob, "DELETE FROM blobs WHERE key = ?"},
		{&st.counts, "INSERT OR REPLACE INTO meta(key, value) VALUES('counts', ?)"},
		{&st.findRecord, "SELECT revision FROM records WHERE kind = ? AND name = ?"},
		{&st.putRecord, "INSERT OR REPLACE INTO records(kind, name, revision, data) VALUES(?, ?, ?, ?)"},
		{&st.dropRecord, "DELETE FROM records WHERE kind = ? AND name = ?"},
		{&st.putKey, "INSERT OR REPLACE INTO unique_keys(key, id, seq, until) VALUES(?, ?, ?, ?)"},
		{&st.dropKey, "DELETE FROM unique_keys WHERE key = ? AND seq = ?"},
		{&st.expireKeys, expireKeys},
		{&st.findRow, "SELECT status, bytes, parts, spec, revision FROM tasks WHERE seq = ?"},
		{&st.dropRow, "DELETE FROM tasks WHERE seq = ?"},
	} {
		var err error
		if *p.to, _, err = w.c.PrepareFlags(p.sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			return err
		}
	}
	return nil
}

// transaction runs do in a transaction of its own. The commit is not synced.
func (w *writer) transaction(do func() error) error {
	if err := w.st.begin.Exec(); err != nil {
		return err
	}
	tally, nextN := w.tally, w.nextN
	err := do()
	if err == nil {
		err = w.st.commit.Exec()
	}
	if err != nil {
		if !w.c.GetAutocommit() {
			_ = w.st.rollback.Exec() // the first error says more
		}
		w.tally, w.nextN = tally, nextN
		w.sorts.forget()
		clear(w.labels)
	}
	return err
}

// Bounds on what is dirty: from the first on it is applied while the disk syncs, from the second on before more is taken.
const (
	someDirty = 8192
	muchDirty = 32768
	muchBytes = 64 << 20
)

// sliceSize is how many records are applied in one transaction.
const sliceSize = 192

// idleAfter is when what is dirty is applied because nothing else is to do.
const idleAfter = 50 * time.Millisecond

// busyAfter is when some of what is dirty is applied although there is always something to do. What is applied while it is still on its
// way costs twice, so it is long compared with most tasks.
const busyAfter = time.Second

// flush asks the writer to apply everything up to a ticket.
type flush struct {
	ticket uint64
	done   chan struct{}
	err    error
}

// write is the writer's goroutine.
func (s *Store) write() {
	idle := time.NewTimer(idleAfter)
	defer idle.Stop()
	for {
		g, want := s.task()
		switch want {
		case wantGroup:
			s.commit(g)
			if s.pressure() >= 1 {
				s.apply()
			}
		case wantApply:
			s.apply()
		case wantCall:
			s.runCalls()
		case wantStop:
			_ = s.recover() // what cannot be taken back was not acknowledged
			close(s.syncs)
			s.agenda.Lock()
			s.endFlushes(errClosed())
			s.agenda.Unlock()
			return
		case wantNothing:
			<-s.wake
		case wantLater:
			idle.Reset(idleAfter)
			select {
			case <-s.wake:
			case <-idle.C:
			}
		}
	}
}

// want is what the writer is to do next.
type want int

const (
	wantNothing want = iota // until it is woken
	wantLater               // until some time is over
	wantGroup
	wantApply
	wantCall
	wantStop
)

// task decides it.
func (s *Store) task() (*group, want) {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	s.endFlushes(nil)
	d := &s.dirty
	s.clean = d.first == nil
	much := d.records > 2*muchDirty || d.bytes > 2*muchBytes
	switch {
	case len(s.calls) > 0 && s.syncing == 0:
		return nil, wantCall
	case len(s.queue) > 0 && s.syncing == 0 && !(much && d.first != nil && s.applyFailed == 0):
		g := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		g.taken = true
		s.took = s.now()
		return g, wantGroup
	case (s.abandon || s.stopping && s.applyFailed > 0) && s.syncing == 0 && len(s.queue) == 0:
		return nil, wantStop
	case d.first == nil:
		if s.stopping && s.syncing == 0 && len(s.queue) == 0 {
			return nil, wantStop
		}
		return nil, wantNothing
	case s.applyFailed > 0 && s.now() < s.applyFailed:
		return nil, wantLater
	case much, len(s.flushes) > 0, s.stopping, s.syncing > 0 && d.records > someDirty:
		return nil, wantApply
	case s.syncing == 0 && (s.now()-max(d.since, s.took) > int64(idleAfter) || s.now()-d.since > int64(busyAfter)):
		return nil, wantApply
	}
	return nil, wantLater
}

// pressure is how much more is dirty than should be; 1: as much as may be.
func (s *Store) pressure() float64 {
	s.agenda.Lock()
	defer s.agenda.Unlock()
	return max(float64(s.dirty.records)/muchDirty, float64(s.dirty.bytes)/muchBytes)
}

func (s *Store) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// commit writes a group, and has it synced. The syncer settles it then.
func (s *Store) commit(g *group) {
	w := s.w
	err := s.recover()
	if err == nil {
		err = w.transaction(func() error { return w.group(g) })
	}
	if err != nil {
		s.settle(g, unavailable(w.path, err))
		return
	}
	g.committed = true
	if err := w.log.flush(); err != nil {
		s.distrust(g, err)
		return
	}
	if len(g.requests) == 0 || s.cfg.Relaxed {
		s.settle(g, nil)
		return
	}
	s.agenda.Lock()
	s.syncing++
	s.agenda.Unlock()
	s.syncs <- g
}

// sync is the goroutine that syncs what was committed, while the writer goes on.
func (s *Store) sync() {
	for g := range s.syncs {
		err := s.w.wal.Sync(walSync)
		if err != nil {
			s.distrust(g, err)
		} else {
			s.settle(g, nil)
		}
		s.agenda.Lock()
		s.syncing--
		s.agenda.Unlock()
		s.wakeWriter()
	}
}

// distrust ends a group that may not be on the disk, though it is in the file.
func (s *Store) distrust(g *group, err error) {
	err = fmt.Errorf("%w: %w", sqlite3.IOERR_FSYNC, err)
	s.agenda.Lock()
	s.unsynced = append(s.unsynced, g)
	s.agenda.Unlock()
	s.settle(g, unavailable(s.w.path, err))
}

// recover takes back groups whose sync failed. What the file holds since the last good sync cannot be trusted any more: a checkpoint
// writes it anew.
func (s *Store) recover() error {
	s.agenda.Lock()
	bad := s.unsynced
	s.agenda.Unlock()
	if len(bad) == 0 {
		return nil
	}
	w := s.w
	err := w.transaction(func() error {
		for _, g := range bad {
			if err := w.takeBack(g); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		_, _, err = w.c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	}
	if err == nil {
		s.agenda.Lock()
		s.unsynced = s.unsynced[len(bad):]
		s.agenda.Unlock()
	}
	return err
}

// takeBack removes what a group left in the file.
func (w *writer) takeBack(g *group) error {
	st := &w.st
	if g.firstN <= g.lastN {
		if err := exec(st.unjournalFailed, g.firstN, g.lastN); err != nil {
			return err
		}
	}
	for _, q := range g.requests {
		for i := range q.changes {
			c := &q.changes[i]
			if !c.create {
				continue
			}
			if c.until != 0 {
				if err := exec(st.dropKey, c.row.task.Spec.Unique.Key, int64(c.r.Seq)); err != nil {
					return err
				}
			}
			if err := w.dropBlobs(int64(c.r.Seq), bigParts(c.row.task)); err != nil {
				return err
			}
		}
	}
	return nil
}

// exec binds parameters and runs a statement that gives no rows.
func exec(st *sqlite3.Stmt, params ...any) error {
	if err := bind(st, params...); err != nil {
		return err
	}
	return st.Exec()
}

func bind(st *sqlite3.Stmt, params ...any) (err error) {
	for i, p := range params {
		switch v := p.(type) {
		case int64:
			err = st.BindInt64(i+1, v)
		case string:
			err = st.BindText(i+1, v)
		case []byte:
			err = st.BindBlob(i+1, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
