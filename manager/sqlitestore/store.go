package sqlitestore

import (
	"context"
	"sync"
	"time"

	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/internal/agenda"
)

// Store is a manager.Store in one SQLite file. Make it with Open, and Close it.
type Store struct {
	cfg    Config
	agenda *agenda.Agenda[*kept]
	began  time.Time

	// All of these under the agenda's lock.
	tasks    map[int64]*record
	removing map[int64]*group // tasks that are being removed
	gone     int64            // a task with a greater seq than this is in memory or was never there
	tally    tally            // of what callers see
	creating tally            // of tasks on their way
	cached   int64            // bytes of the tasks in memory
	dirty    dirtyList
	queue    []*group // what the writer has to commit
	calls    []*call  // what it has to do besides
	flushes  []*flush
	unsynced []*group // whose sync failed
	syncing  int      // groups that are being synced
	took     int64    // when the writer took a group last
	agedTo   int64    // what ended before this was looked for
	ackedN   int64    // the last journal row that is in memory, too
	closed   bool     // nothing new is taken
	stopping bool     // the writer ends when everything is applied
	abandon  bool     // it ends at once
	clean    bool     // it ended with everything applied
	slots    slotList

	applyFailed int64 // when to try again; 0: the last apply went well
	slice       []moved

	w     *writer
	wake  chan struct{}
	syncs chan *group

	readers *pool
	running runningFile
	lock    fileLock

	loaded  chan struct{} // closed when all live tasks are in memory
	loadErr error         // valid then
	// loadGroup ends when all live tasks are in memory; tasks that are there but have no place yet are busy with it.
	loadGroup *group
	quit      chan struct{} // closed by Close
	loops     sync.WaitGroup
	checks    chan struct{} // asks for a checkpoint in the background
}

var _ manager.Store = (*Store)(nil)

// now is a time for comparisons, in nanoseconds.
func (s *Store) now() int64 { return int64(time.Since(s.began)) + 1 }

// waitLoaded waits until all live tasks are in memory.
func (s *Store) waitLoaded(ctx context.Context) error {
	select {
	case <-s.loaded:
		return s.loadErr
	default:
	}
	select {
	case <-s.loaded:
		return s.loadErr
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flush has everything applied that is dirty now.
func (s *Store) flush(ctx context.Context) error {
	s.agenda.Lock()
	if s.closed {
		s.agenda.Unlock()
		return errClosed()
	}
	if s.dirty.first == nil && !s.moving() {
		s.agenda.Unlock()
		return nil
	}
	f := &flush{ticket: s.dirty.tickets, done: make(chan struct{})}
	s.flushes = append(s.flushes, f)
	s.wakeWriter()
	s.agenda.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Waits tells the manager that Save waits for the disk: slots of tasks that have ended are free meanwhile.
func (s *Store) Waits() bool { return true }

// moving reports whether a slice is on its way into the table.
func (s *Store) moving() bool { return len(s.slice) > 0 }

// call is something that the writer's goroutine does between groups.
type call struct {
	do   func() error
	done chan struct{}
	err  error
}

// onWriter has do run by the writer's goroutine, between transactions and with no sync under way.
func (s *Store) onWriter(ctx context.Context, do func() error) error {
	c := &call{do: do, done: make(chan struct{})}
	s.agenda.Lock()
	if s.closed {
		s.agenda.Unlock()
		return errClosed()
	}
	s.calls = append(s.calls, c)
	s.wakeWriter()
	s.agenda.Unlock()
	<-c.done // it needs the arguments of do until then
	if err := ctx.Err(); err != nil {
		return err
	}
	return unavailable(s.w.path, c.err)
}

func (s *Store) runCalls() {
	s.agenda.Lock()
	calls := s.calls
	s.calls = nil
	s.agenda.Unlock()
	for _, c := range calls {
		c.err = c.do()
		close(c.done)
	}
}
