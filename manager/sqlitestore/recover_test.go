package sqlitestore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
	"github.com/taskhost/taskhost/manager/sqlitestore/internal/faultfs"
	"github.com/taskhost/taskhost/manager/storetest"
)

func newPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "tasks.db")
}

func create(t testing.TB, s manager.Store, tasks ...manager.Task) []manager.Task {
	t.Helper()
	if err := s.Create(t.Context(), tasks, manager.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return tasks
}

func claim(t testing.TB, s manager.Store) (manager.Task, manager.Lease) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	task, l, err := s.Claim(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return task, l
}

func begin(t testing.TB, s manager.Store) (manager.Task, manager.Lease) {
	t.Helper()
	task, l := claim(t, s)
	at := time.Now().UTC()
	task.Status, task.AttemptAt = manager.StatusRunning, at
	task.Attempt++
	if task.StartedAt.IsZero() {
		task.StartedAt = at
	}
	var err error
	if task.Revision, err = s.Save(t.Context(), task, l); err != nil {
		t.Fatal(err)
	}
	return task, l
}

func complete(t testing.TB, s manager.Store, task manager.Task, l manager.Lease) manager.Task {
	t.Helper()
	task.Status, task.FinishedAt, task.Progress = manager.StatusCompleted, time.Now().UTC(), 1
	task.Output, task.OutputBytes = []byte("out"), 3
	var err error
	if task.Revision, err = s.Save(t.Context(), task, l); err != nil {
		t.Fatal(err)
	}
	return task
}

func get(t testing.TB, s manager.Store, id string) manager.Task {
	t.Helper()
	task, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func counts(t testing.TB, s manager.Store) manager.Counts {
	t.Helper()
	c, err := s.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func closeStore(t testing.TB, s *sqlitestore.Store) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// snapshot copies the files of a store that is in use, as a crash would leave them, and returns the copy's path.
func snapshot(t testing.TB, path string) string {
	t.Helper()
	to := newPath(t)
	for _, suffix := range []string{"", "-wal", ".running"} {
		b, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(to+suffix, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// checked fails the test if a store's file is not sound.
func checked(t testing.TB, path string) {
	t.Helper()
	problems, err := sqlitestore.Check(context.Background(), path)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// reopening is a store that is closed and opened again after every call that changes it; leases end with it, so it renews them.
type reopening struct {
	manager.Store
	t    *testing.T
	path string
}

func (r *reopening) again() {
	r.t.Helper()
	closeStore(r.t, r.Store.(*sqlitestore.Store))
	s, err := sqlitestore.Open(context.Background(), sqlitestore.Config{Path: r.path})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Store = s
}

func (r *reopening) List(ctx context.Context, f manager.Filter) (manager.Page, error) {
	r.again()
	return r.Store.List(ctx, f)
}

func (r *reopening) Counts(ctx context.Context) (manager.Counts, error) {
	r.again()
	return r.Store.Counts(ctx)
}

func (r *reopening) Sweep(ctx context.Context, keep manager.Retention, n int) (int, error) {
	r.again()
	return r.Store.Sweep(ctx, keep, n)
}

// TestStoreReopens runs the suite on a store that is closed and opened again in the middle of tests.
func TestStoreReopens(t *testing.T) {
	storetest.Run(t, func(t *testing.T) manager.Store {
		r := &reopening{t: t, path: newPath(t)}
		s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: r.path})
		if err != nil {
			t.Fatal(err)
		}
		r.Store = s
		t.Cleanup(func() {
			closeStore(t, r.Store.(*sqlitestore.Store))
			checked(t, r.path)
		})
		return r
	})
}

// TestAbandoned opens what a process leaves that ends in the middle of its work.
func TestAbandoned(t *testing.T) {
	path := newPath(t)
	s := open(t, sqlitestore.Config{Path: path})
	pending := create(t, s, aTask(t), aTask(t))
	done, l := begin(t, s)
	done = complete(t, s, done, l)
	begun, _ := begin(t, s)
	if begun.ID != pending[1].ID {
		t.Fatalf("%s runs, want %s", begun.ID, pending[1].ID)
	}
	waits := create(t, s, aTask(t))[0]

	after := snapshot(t, path)
	checked(t, after)
	r := open(t, sqlitestore.Config{Path: after})
	if got, want := fmt.Sprintf("%+v", get(t, r, done.ID)), fmt.Sprintf("%+v", get(t, s, done.ID)); got != want {
		t.Errorf("the completed task is\n%s\nand was\n%s", got, want)
	}
	if c := counts(t, r); c != (manager.Counts{Pending: 1, Running: 1, Completed: 1}) {
		t.Errorf("%+v", c)
	}
	lost, lease := claim(t, r)
	if lost.ID != begun.ID || lost.Status != manager.StatusRunning || lost.Attempt != 1 || !lost.AttemptAt.Equal(begun.AttemptAt) {
		t.Errorf("first comes %s, %s, attempt %d at %v; want the one that ran", lost.ID, lost.Status, lost.Attempt, lost.AttemptAt)
	}
	complete(t, r, lost, lease)
	if next, _ := claim(t, r); next.ID != waits.ID || next.Attempt != 0 {
		t.Errorf("then comes %s, attempt %d", next.ID, next.Attempt)
	}
}

// TestReleasedAttempt has an attempt taken back, which a slot of the file of running attempts must not bring back.
func TestReleasedAttempt(t *testing.T) {
	path := newPath(t)
	s := open(t, sqlitestore.Config{Path: path})
	create(t, s, aTask(t))
	task, l := begin(t, s)
	task.Status, task.Attempt, task.AttemptAt, task.StartedAt = manager.StatusPending, 0, time.Time{}, time.Time{}
	if _, err := s.Save(t.Context(), task, l); err != nil {
		t.Fatal(err)
	}
	r := open(t, sqlitestore.Config{Path: snapshot(t, path)})
	if again, _ := claim(t, r); again.Status != manager.StatusPending || again.Attempt != 0 {
		t.Errorf("the task is %s, attempt %d", again.Status, again.Attempt)
	}
}

// TestTornLog cuts the log at every so many bytes: what is lost is lost from the end, and whole groups at a time.
func TestTornLog(t *testing.T) {
	path := newPath(t)
	s := open(t, sqlitestore.Config{Path: path})
	var ids []string
	for range 12 {
		ids = append(ids, create(t, s, aTask(t), aTask(t))[0].ID)
	}
	whole := snapshot(t, path)
	log, err := os.ReadFile(whole + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	last := len(ids)
	for cut := 300_000; cut > 0; cut -= 20_011 {
		if cut > len(log) {
			continue
		}
		if err := os.WriteFile(whole+"-wal", log[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		cutPath := snapshot(t, whole)
		r, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: cutPath})
		if err != nil {
			t.Fatal(cut, err)
		}
		n := 0
		for i, id := range ids {
			if _, err := r.Get(t.Context(), id); err == nil {
				if n++; n != i+1 {
					t.Fatalf("cut at %d: task %d is there, one before it is not", cut, i)
				}
			}
		}
		if c := counts(t, r); c.Pending != 2*n || n > last {
			t.Errorf("cut at %d: %+v, and %d batches after %d", cut, c, n, last)
		}
		last = n
		closeStore(t, r)
		checked(t, cutPath)
	}
	if last == len(ids) {
		t.Error("nothing was cut")
	}
}

// disk is a file system whose writes, or syncs, to a log fail while it is told to.
type disk struct {
	fault atomic.Pointer[faultfs.Fault]
	kind  faultfs.Kind
}

func (d *disk) register(kind faultfs.Kind) string {
	d.kind = kind
	return faultfs.Register("", func(op faultfs.Op) faultfs.Fault {
		if f := d.fault.Load(); f != nil && op.Kind == d.kind && strings.HasSuffix(op.Name, "-wal") {
			return *f
		}
		return faultfs.Fault{}
	})
}

// TestBrokenDisk fails writes and syncs: what was acknowledged stays, what was not is as if it had not been asked for, and when the
// disk works again, so does the store.
func TestBrokenDisk(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  faultfs.Kind
		fault faultfs.Fault
		says  string
	}{
		{"full", faultfs.Write, faultfs.Fault{Err: faultfs.ErrFull}, "the disk is full"},
		{"write", faultfs.Write, faultfs.Fault{Err: faultfs.ErrIO, Torn: true}, "cannot be read or written"},
		{"sync", faultfs.Sync, faultfs.Fault{Err: faultfs.ErrIO}, "cannot be read or written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d disk
			path := newPath(t)
			s := open(t, sqlitestore.Config{Path: path, VFS: d.register(c.kind)})
			kept := create(t, s, aTask(t))[0]
			begun, l := begin(t, s)

			d.fault.Store(&c.fault)
			lost := []manager.Task{aTask(t)}
			lost[0].Spec.Unique.Key = "k"
			err := s.Create(t.Context(), lost, manager.CreateOptions{})
			if abi.CodeOf(err) != abi.CodeUnavailable || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("create: %v", err)
			}
			over := begun
			over.Status, over.FinishedAt = manager.StatusCompleted, time.Now().UTC()
			if _, err := s.Save(t.Context(), over, l); abi.CodeOf(err) != abi.CodeUnavailable {
				t.Fatalf("save: %v", err)
			}
			if now := get(t, s, kept.ID); now.Status != manager.StatusRunning || now.Revision != begun.Revision {
				t.Errorf("memory says %s, revision %d", now.Status, now.Revision)
			}
			if _, err := s.Get(t.Context(), lost[0].ID); abi.CodeOf(err) != abi.CodeNotFound {
				t.Errorf("the task that was not created: %v", err)
			}
			d.fault.Store(nil)

			create(t, s, lost...)
			complete(t, s, begun, l)
			r := open(t, sqlitestore.Config{Path: snapshot(t, path)})
			if c := counts(t, r); c != (manager.Counts{Pending: 1, Completed: 1}) {
				t.Errorf("after it all: %+v", c)
			}
		})
	}
}

// TestGroupCommit has many callers at once: they share commits.
func TestGroupCommit(t *testing.T) {
	var syncs atomic.Int64
	name := faultfs.Register("", func(op faultfs.Op) faultfs.Fault {
		if op.Kind == faultfs.Sync && strings.HasSuffix(op.Name, "-wal") {
			syncs.Add(1)
		}
		return faultfs.Fault{}
	})
	s := open(t, sqlitestore.Config{Path: newPath(t), VFS: name})
	const callers, each = 64, 20
	before := syncs.Load()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				if err := s.Create(t.Context(), []manager.Task{aTask(t)}, manager.CreateOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := syncs.Load() - before; n > callers*each/4 {
		t.Errorf("%d creates took %d syncs", callers*each, n)
	}
	if c := counts(t, s); c.Pending != callers*each {
		t.Errorf("%+v", c)
	}
}
