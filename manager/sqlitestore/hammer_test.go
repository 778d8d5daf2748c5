package sqlitestore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
	"github.com/taskhost/taskhost/manager/sqlitestore/internal/faultfs"
)

// TestHammer has many callers do everything at once, on a disk that fails now and then, with next to no cache. Nothing that is not to
// be expected happens, what each caller was told is so, and in the end the file says what memory says.
func TestHammer(t *testing.T) {
	var broken atomic.Bool
	var calls atomic.Int64
	name := faultfs.Register("", func(op faultfs.Op) faultfs.Fault {
		if broken.Load() && strings.HasSuffix(op.Name, "-wal") && op.Kind == faultfs.Sync && calls.Add(1)%7 == 0 {
			return faultfs.Fault{Err: faultfs.ErrIO}
		}
		return faultfs.Fault{}
	})
	path := newPath(t)
	s := open(t, sqlitestore.Config{Path: path, VFS: name, CacheBytes: 1})
	broken.Store(true)
	h := &hammer{s: s, final: make(map[string]manager.Status), deleted: make(map[string]bool)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(i)))
			for ctx.Err() == nil {
				if err := h.step(ctx, t, r); err != nil && ctx.Err() == nil {
					switch abi.CodeOf(err) {
					case abi.CodeUnavailable, abi.CodeConflict, abi.CodeNotFound, abi.CodeLeaseLost:
					default:
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	broken.Store(false)
	before := counts(t, s)
	for id, want := range h.final {
		if h.deleted[id] {
			continue
		}
		if task := get(t, s, id); task.Status != want {
			t.Errorf("task %s is %s, and was settled as %s", id, task.Status, want)
		}
	}
	closeStore(t, s)
	checked(t, path)
	s = open(t, sqlitestore.Config{Path: path})
	if after := counts(t, s); after != before {
		t.Errorf("%+v, and after a restart %+v", before, after)
	}
	t.Logf("%+v, %d settled for sure", before, len(h.final))
}

// hammer is what the callers share.
type hammer struct {
	s *sqlitestore.Store

	mu      sync.Mutex
	final   map[string]manager.Status // of tasks that nobody touches again
	deleted map[string]bool
}

// step does something.
func (h *hammer) step(ctx context.Context, t *testing.T, r *rand.Rand) error {
	s := h.s
	switch r.IntN(12) {
	case 0:
		page, err := s.List(ctx, manager.Filter{Status: []manager.Status{manager.StatusFailed}, Limit: 5})
		if err != nil || len(page.Tasks) == 0 {
			return err
		}
		id := page.Tasks[r.IntN(len(page.Tasks))].ID
		if r.IntN(2) == 0 {
			h.mu.Lock()
			h.deleted[id] = true // it may have been tried again and completed meanwhile
			h.mu.Unlock()
			return s.Delete(ctx, id)
		}
		task, err := s.Get(ctx, id) // a retry by hand
		if err != nil {
			return err
		}
		task.Status, task.FinishedAt = manager.StatusPending, time.Time{}
		_, err = s.Save(ctx, task, manager.Lease{})
		return err
	case 1:
		return s.Put(ctx, manager.Record{Kind: "k", Name: fmt.Sprint(r.IntN(50)), Data: []byte("x")})
	case 2, 3, 4, 5:
		tasks := []manager.Task{aTask(t)}
		if r.IntN(4) == 0 {
			tasks = append(tasks, aTask(t))
			tasks[1].Spec.After = []string{tasks[0].ID}
		}
		tasks[0].Spec.Labels = map[string]string{"n": fmt.Sprint(r.IntN(5))}
		if r.IntN(10) == 0 {
			tasks[0].Spec.Input = make([]byte, 270<<10)
		}
		if r.IntN(5) == 0 {
			tasks[0].Spec.Unique = manager.Unique{Key: fmt.Sprint(r.IntN(20)), Existing: r.IntN(2) == 0}
		}
		return s.Create(ctx, tasks, manager.CreateOptions{})
	}
	return h.work(ctx, r)
}

// work claims a task and settles it in some way.
func (h *hammer) work(ctx context.Context, r *rand.Rand) error {
	s := h.s
	wait, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	task, l, err := s.Claim(wait, time.Minute)
	if err != nil {
		if wait.Err() != nil {
			return nil
		}
		return err
	}
	task.Status, task.AttemptAt = manager.StatusRunning, time.Now().UTC()
	task.Attempt++
	if task.Revision, err = s.Save(ctx, task, l); err != nil {
		return err
	}
	task.Progress, task.Message = r.Float64(), "on the way"
	if task.Revision, err = s.Save(ctx, task, l); err != nil {
		return err
	}
	if r.IntN(4) == 0 {
		task.Checkpoint = make([]byte, r.IntN(600<<10))
		if task.Revision, err = s.Save(ctx, task, l); err != nil {
			return err
		}
	}
	task.Status = []manager.Status{manager.StatusPending, manager.StatusCompleted, manager.StatusFailed}[r.IntN(3)]
	if task.Status.Final() {
		task.FinishedAt, task.Output = time.Now().UTC(), []byte("out")
	}
	_, err = s.Save(ctx, task, l)
	if err == nil && task.Status == manager.StatusCompleted {
		h.mu.Lock()
		h.final[task.ID] = task.Status
		h.mu.Unlock()
	}
	return err
}
