package manager_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// TestCancelledPendingTaskNeverRuns cancels tasks while workers take them: each either ran or was cancelled in time, never both.
func TestCancelledPendingTaskNeverRuns(t *testing.T) {
	var ran sync.Map
	m := start(t, runner(func(ctx context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
		ran.Store(call.Task, true)
		return abi.Result{}, nil
	}), manager.Config{MaxConcurrent: 2})
	var wg sync.WaitGroup
	var cancelled atomic.Int64
	for range 4 {
		wg.Go(func() {
			for range 500 {
				task := submit(t, m, manager.ProcessorTask("x", "p"))
				if err := m.Cancel(t.Context(), task.ID); err != nil {
					t.Error(err)
				}
				got, err := m.Result(t.Context(), task.ID)
				if _, did := ran.Load(task.ID); did && got.Attempt == 0 || !did && got.Status != manager.StatusCancelled {
					t.Errorf("ran: %v, but %s after %d attempts", did, got.Status, got.Attempt)
				}
				if got.Status == manager.StatusCancelled {
					cancelled.Add(1)
					wantCode(t, err, abi.CodeCancelled)
				}
			}
		})
	}
	wg.Wait()
	if cancelled.Load() == 0 {
		t.Error("no cancel was in time")
	}
}

func TestCancelPending(t *testing.T) {
	b := newBlocker()
	m := start(t, b, manager.Config{MaxConcurrent: 1})
	hog := submit(t, m, manager.ProcessorTask("x", "p"))
	<-b.began
	task := submit(t, m, manager.ProcessorTask("x", "p"))
	if err := m.Cancel(t.Context(), task.ID); err != nil {
		t.Fatal(err)
	}
	got, err := m.Get(t.Context(), task.ID)
	if err != nil || got.Status != manager.StatusCancelled || got.Cause != manager.CauseUser || got.Attempt != 0 || got.Duration() != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	b.letGo <- struct{}{}
	result(t, m, hog.ID, manager.StatusCompleted)
	next := submit(t, m, manager.ProcessorTask("x", "p"))
	if id := <-b.began; id != next.ID {
		t.Errorf("%s ran instead of %s", id, next.ID)
	}
	b.letGo <- struct{}{}
	result(t, m, next.ID, manager.StatusCompleted)
}

func TestCancelRunningFreesTheSlot(t *testing.T) {
	b := newBlocker()
	m := start(t, b, manager.Config{MaxConcurrent: 1})
	s := manager.ProcessorTask("x", "p")
	s.Retry.MaxAttempts = 5
	task := submit(t, m, s)
	<-b.began
	for range 2 {
		if err := m.Cancel(t.Context(), task.ID); err != nil {
			t.Fatal(err)
		}
	}
	got := result(t, m, task.ID, manager.StatusCancelled)
	if got.Cause != manager.CauseUser || got.Error.Code != abi.CodeCancelled || got.Error.Plugin != "p" || len(got.Attempts) != 1 {
		t.Errorf("%+v, %v", got, got.Error)
	}
	b.letGo <- struct{}{}
	result(t, m, submit(t, m, s).ID, manager.StatusCompleted)
}

func TestCancelOfAFinishedOrUnknownTask(t *testing.T) {
	m := start(t, echo, manager.Config{})
	task := result(t, m, submit(t, m, manager.ProcessorTask("x", "p")).ID, manager.StatusCompleted)
	if err := m.Cancel(t.Context(), task.ID); err != nil {
		t.Error(err)
	}
	if got, err := m.Get(t.Context(), task.ID); err != nil || got.Status != manager.StatusCompleted || got.Revision != task.Revision {
		t.Errorf("%+v, %v", got, err)
	}
	wantCode(t, m.Cancel(t.Context(), "nobody"), abi.CodeNotFound)
}

func TestTaskThatEndsDespiteACancelStaysCompleted(t *testing.T) {
	began, letGo := make(chan struct{}), make(chan struct{})
	m := start(t, nil, manager.Config{})
	task := submit(t, m, manager.FuncTask("deaf", func(context.Context, func(abi.Progress)) ([]byte, error) {
		close(began)
		<-letGo
		return []byte("done"), nil
	}))
	<-began
	if err := m.Cancel(t.Context(), task.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Get(t.Context(), task.ID); err != nil || got.Status != manager.StatusRunning || got.Cause != manager.CauseUser {
		t.Errorf("%+v, %v", got, err)
	}
	close(letGo)
	if got := result(t, m, task.ID, manager.StatusCompleted); string(got.Output) != "done" || got.Cause != "" {
		t.Errorf("%+v", got)
	}
}

func TestCancelWhileWaitingForARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, nil, manager.Config{Retry: manager.Retry{MaxAttempts: 9, Backoff: time.Hour, MaxBackoff: time.Hour}})
		task := submit(t, m, manager.FuncTask("f", func(context.Context, func(abi.Progress)) ([]byte, error) { return nil, errors.New("no") }))
		synctest.Wait()
		if err := m.Cancel(t.Context(), task.ID); err != nil {
			t.Fatal(err)
		}
		if got := result(t, m, task.ID, manager.StatusCancelled); got.Attempt != 1 {
			t.Errorf("%+v", got)
		}
		if err := m.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStopWorksOffTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		m := start(t, runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
			if call.Attempt == 1 && call.Plugin == "flaky" {
				return abi.Result{}, abi.Errorf(abi.CodeFailed, "once")
			}
			n.Add(1)
			return abi.Result{}, nil
		}), manager.Config{MaxConcurrent: 2, Retry: manager.Retry{MaxAttempts: 2}})
		var tasks []manager.Task
		for range 50 {
			tasks = append(tasks, submit(t, m, manager.ProcessorTask("x", "p")), submit(t, m, manager.ProcessorTask("x", "flaky")))
		}
		if err := m.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if n.Load() != 100 {
			t.Errorf("%d of 100 tasks ran", n.Load())
		}
		_, err := m.Submit(t.Context(), manager.ProcessorTask("x", "p"))
		wantCode(t, err, abi.CodeClosed)
		wantCode(t, m.Start(t.Context()), abi.CodeClosed)
		_, err = m.Subscribe(t.Context(), manager.Filter{}, 0)
		wantCode(t, err, abi.CodeClosed)
		result(t, m, tasks[99].ID, manager.StatusCompleted) // can still be read
		if err := m.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStopCutsShortWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlocker()
		m := start(t, b, manager.Config{MaxConcurrent: 1})
		running := submit(t, m, manager.ProcessorTask("x", "p"))
		pending := submit(t, m, manager.ProcessorTask("x", "p"))
		<-b.began
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := m.Stop(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 tasks were cancelled") || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		for _, id := range []string{running.ID, pending.ID} {
			got := result(t, m, id, manager.StatusCancelled)
			if got.Cause != manager.CauseShutdown || got.Error.Code != abi.CodeShutdown {
				t.Errorf("%+v", got)
			}
		}
	})
}

func TestStopBeforeStartCancelsWhatWaits(t *testing.T) {
	m, err := manager.New(echo, manager.Config{})
	if err != nil {
		t.Fatal(err)
	}
	task := submit(t, m, manager.ProcessorTask("x", "p"))
	waits := make(chan error)
	go func() { _, err := m.Result(t.Context(), task.ID); waits <- err }()
	if err := m.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	wantCode(t, <-waits, abi.CodeShutdown)
	wantCode(t, m.Start(t.Context()), abi.CodeClosed)
}

func TestSubmitBeforeStartIsQueued(t *testing.T) {
	m, err := manager.New(echo, manager.Config{})
	if err != nil {
		t.Fatal(err)
	}
	task := submit(t, m, manager.ProcessorTask("x", "p"))
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	result(t, m, task.ID, manager.StatusCompleted)
	wantCode(t, m.Start(t.Context()), abi.CodeConflict)
	if err := m.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStopGivesUpOnADeafFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := manager.New(nil, manager.Config{StopGrace: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		letGo := make(chan struct{})
		task := submit(t, m, manager.FuncTask("deaf", func(context.Context, func(abi.Progress)) ([]byte, error) { <-letGo; return nil, nil }))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err = m.Stop(ctx)
		if abi.CodeOf(err) != abi.CodeTimeout || !strings.Contains(err.Error(), task.ID) || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		close(letGo)
		if err := m.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStopThatKeepsTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := manager.NewMemoryStore()
		b := newBlocker()
		m := start(t, b, manager.Config{Store: store, MaxConcurrent: 1, KeepOnStop: true})
		first := submit(t, m, manager.ProcessorTask("1", "p"))
		second := submit(t, m, manager.ProcessorTask("2", "p"))
		<-b.began
		waits := make(chan error)
		go func() { _, err := m.Result(t.Context(), first.ID); waits <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 tasks were put back") {
			t.Error(err)
		}
		wantCode(t, <-waits, abi.CodeClosed)
		got, err := m.Get(t.Context(), first.ID)
		if err != nil || got.Status != manager.StatusPending || got.Attempt != 0 || !got.StartedAt.IsZero() || len(got.Attempts) != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		next := start(t, echo, manager.Config{Store: store, MaxConcurrent: 1})
		result(t, next, first.ID, manager.StatusCompleted)
		result(t, next, second.ID, manager.StatusCompleted)
	})
}
