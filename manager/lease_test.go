package manager_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// faultyStore fails where it is told to.
type faultyStore struct {
	manager.Store
	claim, save, extend, counts atomic.Pointer[abi.Error]
	failures                    atomic.Int64
}

func (s *faultyStore) Counts(ctx context.Context) (manager.Counts, error) {
	if err := s.fails(&s.counts); err != nil {
		return manager.Counts{}, err
	}
	return s.Store.Counts(ctx)
}

func (s *faultyStore) fails(with *atomic.Pointer[abi.Error]) error {
	if err := with.Load(); err != nil {
		s.failures.Add(1)
		return err
	}
	return nil
}

func (s *faultyStore) Claim(ctx context.Context, ttl time.Duration) (manager.Task, manager.Lease, error) {
	if err := s.fails(&s.claim); err != nil {
		return manager.Task{}, manager.Lease{}, err
	}
	return s.Store.Claim(ctx, ttl)
}

func (s *faultyStore) Save(ctx context.Context, t manager.Task, l manager.Lease, rs ...manager.Record) (uint64, error) {
	if err := s.fails(&s.save); err != nil {
		return 0, err
	}
	return s.Store.Save(ctx, t, l, rs...)
}

func (s *faultyStore) Extend(ctx context.Context, l manager.Lease, ttl time.Duration) (manager.Task, error) {
	if err := s.fails(&s.extend); err != nil {
		return manager.Task{}, err
	}
	return s.Store.Extend(ctx, l, ttl)
}

// TestLostLeaseWritesNothing has two managers on one store. The first cannot extend its lease any more; the second takes the task
// over; what the first one's attempt gives then is dropped.
func TestLostLeaseWritesNothing(t *testing.T) {
	for _, extend := range []*abi.Error{{Code: abi.CodeUnavailable, Message: "cut off"}, {Code: abi.CodeLeaseLost, Message: "lost"}} {
		synctest.Test(t, func(t *testing.T) {
			store := manager.NewMemoryStore()
			cut := &faultyStore{Store: store}
			var rec recorder
			causes, letGo := make(chan error, 1), make(chan struct{})
			first := start(t, runner(func(ctx context.Context, _ abi.Call, report func(abi.Progress)) (abi.Result, error) {
				<-ctx.Done()
				causes <- context.Cause(ctx)
				<-letGo // deaf for a while
				report(abi.Progress{Fraction: 0.9})
				return abi.Result{Output: []byte("late")}, nil
			}), manager.Config{Store: cut, MaxConcurrent: 1, OnEvent: rec.event})
			task := submit(t, first, manager.ProcessorTask("x", "p"))
			synctest.Wait()
			cut.extend.Store(extend)

			second := start(t, runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
				<-time.After(10 * time.Minute) // longer than a lease: it is extended
				return abi.Result{Output: []byte("second")}, nil
			}), manager.Config{Store: store})
			wantCode(t, <-causes, abi.CodeLeaseLost)
			<-time.After(time.Minute)
			close(letGo)
			got := result(t, second, task.ID, manager.StatusCompleted)
			if string(got.Output) != "second" || got.Attempt != 2 || len(got.Attempts) != 2 || abi.CodeOf(got.Attempts[0].Err()) != abi.CodeLeaseLost {
				t.Errorf("%q after %d attempts: %+v", got.Output, got.Attempt, got.Attempts)
			}
			events := rec.of(task.ID)
			events = slices.DeleteFunc(events, func(e string) bool { return e == "error running" })
			if want := []string{"submit pending", "start running", "lost running"}; !slices.Equal(events, want) {
				t.Errorf("%q", events)
			}
		})
	}
}

// TestCancelFromElsewhere cancels through another manager on the same store: the worker learns of it when it extends its lease.
func TestCancelFromElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := manager.NewMemoryStore()
		b := newBlocker()
		worker := start(t, b, manager.Config{Store: store})
		other, err := manager.New(echo, manager.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		task := submit(t, other, manager.ProcessorTask("x", "p"))
		<-b.began
		if err := other.Cancel(t.Context(), task.ID); err != nil {
			t.Fatal(err)
		}
		result(t, other, task.ID, manager.StatusCancelled) // and its end is noticed here too
		got := result(t, worker, task.ID, manager.StatusCancelled)
		if err := other.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if got.Cause != manager.CauseUser || got.Error.Code != abi.CodeCancelled {
			t.Errorf("%+v", got)
		}
	})
}

func TestStoreThatFailsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := &abi.Error{Code: abi.CodeUnavailable, Message: "disk full"}
		store := &faultyStore{Store: manager.NewMemoryStore()}
		var mu sync.Mutex
		var told error
		b := newBlocker()
		m := start(t, b, manager.Config{Store: store, MaxConcurrent: 1, OnEvent: func(e manager.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == manager.EventError {
				told = e.Error
			}
		}})
		task := submit(t, m, manager.ProcessorTask("x", "p"))
		<-b.began
		store.save.Store(down)
		store.claim.Store(down)
		b.letGo <- struct{}{}
		<-time.After(2 * time.Second)
		store.save.Store(nil)
		if got := result(t, m, task.ID, manager.StatusCompleted); got.Attempt != 1 {
			t.Errorf("%+v", got)
		}
		<-time.After(time.Minute)
		if n := store.failures.Load(); n > 100 {
			t.Errorf("a store that fails was asked %d times in a minute", n)
		}
		task = submit(t, m, manager.ProcessorTask("x", "p"))
		b.letGo <- struct{}{}
		store.claim.Store(nil)
		result(t, m, task.ID, manager.StatusCompleted)
		mu.Lock()
		defer mu.Unlock()
		if !errors.Is(told, down) {
			t.Errorf("told %v", told)
		}
	})
}

// TestStoreThatFailsForLong loses the end of an attempt: the lease runs out and the task runs again.
func TestStoreThatFailsForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faultyStore{Store: manager.NewMemoryStore()}
		b := newBlocker()
		m := start(t, b, manager.Config{Store: store, MaxConcurrent: 1})
		task := submit(t, m, manager.ProcessorTask("x", "p"))
		<-b.began
		store.save.Store(&abi.Error{Code: abi.CodeUnavailable, Message: "disk full"})
		store.extend.Store(&abi.Error{Code: abi.CodeUnavailable, Message: "disk full"})
		b.letGo <- struct{}{}
		<-time.After(5 * time.Minute)
		store.save.Store(nil)
		store.extend.Store(nil)
		b.letGo <- struct{}{}
		if got := result(t, m, task.ID, manager.StatusCompleted); got.Attempt != 2 || abi.CodeOf(got.Attempts[0].Err()) != abi.CodeLeaseLost {
			t.Errorf("%+v", got)
		}
	})
}

func TestStopAsksAgainWhenTheStoreFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faultyStore{Store: manager.NewMemoryStore()}
		m := start(t, echo, manager.Config{Store: store})
		result(t, m, submit(t, m, manager.ProcessorTask("x", "p")).ID, manager.StatusCompleted)
		store.counts.Store(&abi.Error{Code: abi.CodeUnavailable, Message: "disk full"})
		time.AfterFunc(time.Second, func() { store.counts.Store(nil) })
		if _, err := m.Stats(t.Context()); abi.CodeOf(err) != abi.CodeUnavailable {
			t.Error(err)
		}
		if err := m.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestTwoManagersShareAStore has two managers work off one store: every task runs once, on one of them.
func TestTwoManagersShareAStore(t *testing.T) {
	store := manager.NewMemoryStore()
	var mu sync.Mutex
	runs := make(map[string]int)
	count := runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		runs[call.Task]++
		return abi.Result{}, nil
	})
	a := start(t, count, manager.Config{Store: store, MaxConcurrent: 2})
	b := start(t, count, manager.Config{Store: store, MaxConcurrent: 2})
	var wg sync.WaitGroup
	for _, m := range []*manager.Manager{a, b} {
		wg.Go(func() {
			for range 300 {
				submit(t, m, manager.ProcessorTask("x", "p"))
			}
		})
	}
	wg.Wait()
	for _, m := range []*manager.Manager{a, b} {
		if err := m.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if len(runs) != 600 {
		t.Errorf("%d tasks ran", len(runs))
	}
	for id, n := range runs {
		if n != 1 {
			t.Errorf("task %s ran %d times", id, n)
		}
	}
}
