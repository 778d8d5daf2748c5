package sqlitestore

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/internal/agenda"
)

// Config is how a store is opened. The zero value of all but Path works.
type Config struct {
	// Path is the database's file. It is made if there is none; its folder must be there. Beside it are Path-wal and Path-shm, which
	// are a part of it while it is open, Path.lock and Path.running.
	Path string
	// Relaxed makes commits without a sync: faster, but what was acknowledged in the last moments before the machine (not the process)
	// failed may be lost. The file stays sound.
	Relaxed bool
	// CacheBytes bounds the tasks that are kept in memory although they are in the file. Default: 64 MiB.
	CacheBytes int64
	// VFS is the name of a file system that is registered with package vfs of ncruces/go-sqlite3. Default: the system's.
	VFS string
}

func (c *Config) validate() error {
	switch {
	case c.Path == "":
		return abi.Errorf(abi.CodeInvalid, "a store needs the path of its file")
	case c.CacheBytes < 0:
		return abi.Errorf(abi.CodeInvalid, "the cache has %d bytes; it must be at least 0", c.CacheBytes)
	}
	return nil
}

// walSync is how the journal is synced.
const walSync = vfs.SYNC_NORMAL

// Open opens a store, and makes its file if there is none. What was acknowledged before is there, however the process before ended.
// One process at a time can have a file open.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 64 << 20
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, agenda: agenda.New[*kept](manager.PriorityStep), began: time.Now(),
		tasks: make(map[int64]*record), removing: make(map[int64]*group),
		wake: make(chan struct{}, 1), syncs: make(chan *group, 1), checks: make(chan struct{}, 1),
		loaded: make(chan struct{}), quit: make(chan struct{}), loadGroup: &group{done: make(chan struct{})},
	}
	defer func() {
		if err != nil {
			err = unavailable(cfg.Path, err)
			_ = s.release() // the first error says more
		}
	}()
	if err := s.lockFile(); err != nil {
		return nil, err
	}
	upTo, err := s.openFile()
	if err != nil {
		return nil, err
	}
	s.readers = newPool(cfg.Path, func() (*sqlite3.Conn, error) { return connect(&s.cfg, false) })
	s.loops.Go(s.write)
	s.loops.Go(s.sync)
	s.loops.Go(s.runCheckpoints)
	s.loops.Go(func() { s.runLoad(upTo) })
	return s, nil
}

func (s *Store) lockFile() error {
	path := s.cfg.Path
	if fi, err := os.Stat(filepath.Dir(path)); err != nil {
		return abi.Errorf(abi.CodeInvalid, "the folder of %s cannot be read: make it first (%w)", path, err)
	} else if !fi.IsDir() {
		return abi.Errorf(abi.CodeInvalid, "%s is no folder", filepath.Dir(path))
	}
	if err := s.lock.take(path + ".lock"); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return abi.Errorf(abi.CodeUnavailable, "%s cannot be opened for writing: look at its permissions and those of its folder (%w)", path, err)
	}
	return f.Close()
}

// openFile opens the connection that writes, and brings the file up to date. It returns the seq of the last task.
func (s *Store) openFile() (upTo int64, err error) {
	c, err := connect(&s.cfg, true)
	if err != nil {
		return 0, err
	}
	w := &writer{c: c, path: s.cfg.Path, sorts: newSortTable(), labels: make(map[[2]string]int64), spare: make(map[string]*sqlite3.Stmt)}
	s.w = w
	if err := migrate(c, s.cfg.Path); err != nil {
		return 0, err
	}
	size, err := queryInt(c, "PRAGMA page_size")
	if err != nil {
		return 0, err
	}
	w.pageSize = int(size)
	if err := w.prepare(); err != nil {
		return 0, err
	}
	c.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		w.walPages = pages
		return nil
	})
	if err := w.load(); err != nil {
		return 0, err
	}
	if err := s.replay(); err != nil {
		return 0, err
	}
	if err := s.openWAL(); err != nil {
		return 0, err
	}
	if err := s.openRunning(s.cfg.Path + ".running"); err != nil {
		return 0, err
	}
	if err := errors.Join(s.loadLimits(), s.loadKeys()); err != nil {
		return 0, err
	}
	w.sorts.keep()
	s.tally = w.tally
	upTo, err = queryInt(c, "SELECT ifnull(max(seq), 0) FROM tasks")
	s.gone = upTo
	return upTo, err
}

// openWAL finds the file that is synced at commits, and syncs it for the first time.
func (s *Store) openWAL() error {
	w := s.w
	if err := w.transaction(w.writeCounts); err != nil { // now there is one
		return err
	}
	f, err := w.c.FileControl("main", sqlite3.FCNTL_JOURNAL_POINTER)
	if err != nil {
		return err
	}
	wal, ok := f.(*walFile)
	if !ok {
		return abi.Errorf(abi.CodeInternal, "%s: the write-ahead log has no file", w.path)
	}
	w.log, w.wal = wal, wal.File // nothing is gathered between commits
	return wal.Sync(walSync)
}

// load reads what is always in memory.
func (w *writer) load() error {
	if err := w.sorts.load(w.c); err != nil {
		return err
	}
	st, _, err := w.c.Prepare("SELECT value FROM meta WHERE key = 'counts'")
	if err != nil {
		return err
	}
	defer st.Close()
	if st.Step() {
		if err := json.Unmarshal(st.ColumnRawText(0), &w.tally); err != nil {
			return err
		}
	}
	last, err := queryInt(w.c, "SELECT ifnull(max(n), 0) FROM journal")
	w.nextN = last + 1
	return errors.Join(err, st.Err())
}

// connect opens a connection to the file.
func connect(cfg *Config, write bool) (*sqlite3.Conn, error) {
	u, err := fileURI(cfg.Path)
	if err != nil {
		return nil, err
	}
	if !registerLogVFS(cfg.VFS) {
		return nil, abi.Errorf(abi.CodeInvalid, "there is no file system %q", cfg.VFS)
	}
	u.RawQuery = url.Values{"vfs": {logVFSName(cfg.VFS)}}.Encode()
	c, err := sqlite3.OpenFlags(u.String(), sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI)
	if err != nil {
		return nil, err
	}
	pragmas := "PRAGMA busy_timeout = 5000; PRAGMA cache_size = -4096; PRAGMA query_only = ON; PRAGMA temp_store = MEMORY"
	if write {
		pragmas = "PRAGMA busy_timeout = 1000; PRAGMA page_size = " + strconv.Itoa(pageSize) + "; PRAGMA journal_mode = WAL; " +
			"PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY"
	}
	if err := c.Exec(pragmas); err != nil {
		_ = c.Close() // the first error says more
		return nil, err
	}
	return c, nil
}

// Close brings what is only in the journal into the tables, and releases the file. When ctx ends before, the next Open does the rest:
// nothing that was acknowledged is lost. Claims that wait must have been ended by their contexts before.
func (s *Store) Close(ctx context.Context) error {
	s.agenda.Lock()
	if s.closed {
		s.agenda.Unlock()
		return nil
	}
	s.closed, s.stopping = true, true
	s.agenda.Unlock()
	close(s.quit)
	s.wakeWriter()
	defer context.AfterFunc(ctx, func() {
		s.agenda.Lock()
		defer s.agenda.Unlock()
		s.abandon = true
		s.wakeWriter()
	})()
	s.loops.Wait()
	return unavailable(s.cfg.Path, s.release())
}

// release closes all that is open.
func (s *Store) release() error {
	var errs []error
	if s.readers != nil {
		errs = append(errs, s.readers.close())
	}
	if s.w != nil {
		if s.readers != nil {
			_, _, err := s.w.c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
			errs = append(errs, err)
		}
		errs = append(errs, closeConn(s.w.c))
	}
	if s.running.f != nil {
		errs = append(errs, s.running.f.Close())
	}
	if s.readers != nil && errors.Join(errs...) == nil && s.clean {
		if err := os.Remove(s.cfg.Path + ".running"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, s.lock.release())
	return errors.Join(errs...)
}

// closeConn closes a connection and its statements.
func closeConn(c *sqlite3.Conn) error {
	for _, st := range slices.Collect(c.Stmts()) {
		_ = st.Close() // an error of it was told where it happened
	}
	return c.Close()
}

// fileURI is a path as SQLite takes it.
func fileURI(path string) (*url.URL, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	path = filepath.ToSlash(path)
	if path[0] != '/' { // a drive of Windows
		path = "/" + path
	}
	return &url.URL{Scheme: "file", Path: path}, nil
}
