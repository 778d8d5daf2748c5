package manager_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// slowStore says that it waits, as one on a disk does. Completed tasks are saved once they are let go.
type slowStore struct {
	manager.Store
	saving chan string
	letGo  chan struct{}
}

func (s *slowStore) Waits() bool { return true }

func (s *slowStore) Save(ctx context.Context, t manager.Task, l manager.Lease, rs ...manager.Record) (uint64, error) {
	if t.Status == manager.StatusCompleted {
		s.saving <- t.ID
		<-s.letGo
	}
	return s.Store.Save(ctx, t, l, rs...)
}

// TestSlotsDoNotWaitForTheStore has one slot run several tasks while none of them is settled; Stop waits for all of that.
func TestSlotsDoNotWaitForTheStore(t *testing.T) { synctest.Test(t, slotsDoNotWait) }

func slotsDoNotWait(t *testing.T) {
	const tasks = 5
	store := &slowStore{Store: manager.NewMemoryStore(), saving: make(chan string, tasks), letGo: make(chan struct{})}
	m := start(t, echo, manager.Config{Store: store, MaxConcurrent: 1, KeepOnStop: true})
	for range tasks {
		submit(t, m, manager.ProcessorTask("x", "p"))
	}
	var last string
	for range tasks {
		last = <-store.saving
	}
	stopped, result := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := m.Result(t.Context(), last)
		result <- err
	}()
	go func() { stopped <- m.Stop(t.Context()) }()
	synctest.Wait() // Stop is as far as it comes
	for range tasks {
		select {
		case err := <-stopped:
			t.Fatalf("stopped (%v) before all was settled", err)
		case store.letGo <- struct{}{}:
		}
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Errorf("the result of a task that was being settled: %v", err)
	}
	if c, err := store.Counts(t.Context()); err != nil || c.Completed != tasks {
		t.Errorf("%+v, %v", c, err)
	}
}

// losingStore loses the lease of a task that saves a checkpoint.
type losingStore struct {
	manager.Store
	lost atomic.Int64
}

func (s *losingStore) Save(ctx context.Context, t manager.Task, l manager.Lease, rs ...manager.Record) (uint64, error) {
	if t.Checkpoint != nil && s.lost.Add(1) == 1 {
		return 0, manager.LeaseLost(t.ID)
	}
	return s.Store.Save(ctx, t, l, rs...)
}

// TestCheckpointOfALostLease ends the attempt at once: another worker has the task.
func TestCheckpointOfALostLease(t *testing.T) {
	ended := make(chan error, 1)
	r := runner(func(ctx context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
		if err := call.Save([]byte("state")); err == nil {
			return abi.Result{}, nil
		}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return abi.Result{}, context.Cause(ctx)
	})
	m := start(t, r, manager.Config{Store: &losingStore{Store: manager.NewMemoryStore()}, KeepOnStop: true})
	submit(t, m, manager.ProcessorTask("x", "p"))
	wantCode(t, <-ended, abi.CodeLeaseLost)
}
