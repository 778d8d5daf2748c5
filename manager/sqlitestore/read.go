package sqlitestore

import (
	"context"
	"sync"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/manager"
)

// pool has the connections that read.
type pool struct {
	path string
	open func() (*sqlite3.Conn, error)
	free chan *reading // nil: not opened yet
	over chan struct{} // closed when no more are given out

	mu     sync.Mutex
	opened []*reading
}

// maxReaders is how many there are at most.
const maxReaders = 4

// reading is a connection that reads, with its prepared statements.
type reading struct {
	c  *sqlite3.Conn
	st map[string]*sqlite3.Stmt
}

func newPool(path string, open func() (*sqlite3.Conn, error)) *pool {
	p := &pool{path: path, open: open, free: make(chan *reading, maxReaders), over: make(chan struct{})}
	for range maxReaders {
		p.free <- nil
	}
	return p
}

func (p *pool) get(ctx context.Context) (*reading, error) {
	var r *reading
	select {
	case r = <-p.free:
	case <-p.over:
		return nil, errClosed()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r != nil {
		return r, nil
	}
	c, err := p.open()
	if err != nil {
		p.free <- nil
		return nil, err
	}
	r = &reading{c: c, st: make(map[string]*sqlite3.Stmt)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = append(p.opened, r)
	return r, nil
}

// close waits for those that are in use.
func (p *pool) close() error {
	close(p.over)
	for range maxReaders {
		<-p.free
	}
	var first error
	for _, r := range p.opened {
		if err := closeConn(r.c); first == nil {
			first = err
		}
	}
	return first
}

// maxStatements bounds the prepared statements of a connection that reads.
const maxStatements = 64

// stmt returns a prepared statement, which must be reset after use.
func (r *reading) stmt(sql string) (*sqlite3.Stmt, error) {
	if st := r.st[sql]; st != nil {
		return st, nil
	}
	if len(r.st) >= maxStatements {
		for key, st := range r.st {
			_ = st.Close() // it only read
			delete(r.st, key)
		}
	}
	st, _, err := r.c.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, err
	}
	r.st[sql] = st
	return st, nil
}

// each runs a query and calls do at each row, until it returns an error.
func (r *reading) each(sql string, params []any, do func(st *sqlite3.Stmt) error) error {
	st, err := r.stmt(sql)
	if err != nil {
		return err
	}
	if err := bind(st, params...); err != nil {
		return err
	}
	for st.Step() {
		if err := do(st); err != nil {
			_ = st.Reset() // the first error says more
			return err
		}
	}
	err = st.Err()
	if reset := st.Reset(); err == nil {
		err = reset
	}
	return err
}

// has reports whether the table has a task.
func (r *reading) has(seq int64) (has bool, err error) {
	err = r.each("SELECT 1 FROM tasks WHERE seq = ?", []any{seq}, func(*sqlite3.Stmt) error {
		has = true
		return nil
	})
	return has, err
}

// read runs do with a connection that reads. All that it reads is of one moment.
func (s *Store) read(ctx context.Context, do func(r *reading) error) error {
	r, err := s.readers.get(ctx)
	if err != nil {
		return unavailable(s.cfg.Path, err)
	}
	defer func() { s.readers.free <- r }()
	old := r.c.SetInterrupt(ctx)
	err = do(r)
	r.c.SetInterrupt(old)
	if !r.c.GetAutocommit() {
		_ = r.c.Exec("ROLLBACK") // nothing was written
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return unavailable(s.cfg.Path, err)
}

// readRow reads a task from the table.
func (s *Store) readRow(ctx context.Context, seq int64, id string) (tt tableTask, err error) {
	found := false
	err = s.read(ctx, func(r *reading) error {
		if err := r.c.Exec("BEGIN"); err != nil {
			return err
		}
		tt, found, err = r.task(seq)
		if end := r.c.Exec("COMMIT"); err == nil {
			err = end
		}
		return err
	})
	if err == nil && (!found || tt.task.ID != id) {
		err = manager.NotFound(id)
	}
	return tt, err
}

// task reads a task with all its parts.
func (r *reading) task(seq int64) (tt tableTask, found bool, err error) {
	err = r.each("SELECT "+columns+partColumns+" FROM tasks t WHERE seq = ?", []any{seq}, func(st *sqlite3.Stmt) error {
		found = true
		tt, err = readTask(st, true)
		return err
	})
	if err != nil || tt.stored == 0 {
		return tt, found, err
	}
	p := parts(&tt.task)
	for i := range p {
		if !tt.stored.has(i) {
			continue
		}
		err := r.each("SELECT data FROM blobs WHERE key = ?", []any{seq*numParts + int64(i)}, func(st *sqlite3.Stmt) error {
			p[i] = append([]byte{}, st.ColumnRawBlob(0)...)
			return nil
		})
		if err != nil {
			return tt, found, err
		}
	}
	setParts(&tt.task, p)
	return tt, found, nil
}
