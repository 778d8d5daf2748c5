package manager_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// TestManagerHammer does everything at once and checks afterwards that every accepted task ended exactly once and nothing is left.
func TestManagerHammer(t *testing.T) {
	const submitters, each = 4, 300
	var mu sync.Mutex
	finishes := make(map[string]int)
	m := start(t, runner(chaos), manager.Config{
		MaxConcurrent: 4, MaxQueue: 50, ProgressInterval: time.Millisecond,
		Retry: manager.Retry{MaxAttempts: 3, Backoff: time.Microsecond},
		OnEvent: func(e manager.Event) {
			if e.Kind == manager.EventFinish {
				mu.Lock()
				finishes[e.Task.ID]++
				mu.Unlock()
			}
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var others, wg sync.WaitGroup
	for range 2 {
		others.Go(func() { watch(ctx, t, m) })
	}
	accepted := make(chan string, submitters*each)
	for range submitters {
		wg.Go(func() {
			for range each {
				s := manager.ProcessorTask("x", "a", "b")
				if rand.N(3) == 0 {
					s = manager.FuncTask("f", func(context.Context, func(abi.Progress)) ([]byte, error) { return nil, nil })
				}
				task, err := m.SubmitWait(ctx, s)
				if err != nil {
					t.Error(err)
					return
				}
				accepted <- task.ID
				if rand.N(3) == 0 {
					if err := m.Cancel(ctx, task.ID); err != nil {
						t.Error(err)
					}
				}
				if rand.N(2) == 0 {
					if got, _ := m.Result(ctx, task.ID); !got.Status.Final() {
						t.Errorf("a result that is %s", got.Status)
					}
				}
			}
		})
	}
	wg.Wait()
	cancel()
	others.Wait()
	if err := m.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	close(accepted)
	n := 0
	for id := range accepted {
		n++
		if finishes[id] != 1 {
			t.Errorf("task %s ended %d times", id, finishes[id])
		}
		if got, err := m.Get(t.Context(), id); err != nil || !got.Status.Final() {
			t.Errorf("task %s is left %s, %v", id, got.Status, err)
		}
	}
	s, err := m.Stats(t.Context())
	if c := s.Counts; err != nil || c.Pending+c.Running != 0 || c.Completed+c.Failed+c.Cancelled != n || s.Busy != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// chaos is a plugin that does all that plugins do.
func chaos(ctx context.Context, call abi.Call, report func(abi.Progress)) (abi.Result, error) {
	report(abi.Progress{Fraction: rand.Float64()})
	switch rand.N(8) {
	case 0:
		return abi.Result{}, abi.Errorf(abi.CodeFailed, "may pass")
	case 1:
		return abi.Result{}, abi.Errorf(abi.CodeTrap, "may not")
	case 2:
		panic("ouch")
	case 3:
		select {
		case <-ctx.Done():
			return abi.Result{}, context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	report(abi.Progress{Fraction: 1})
	return abi.Result{Output: call.Input}, nil
}

// watch looks and listens until ctx ends.
func watch(ctx context.Context, t *testing.T, m *manager.Manager) {
	for ctx.Err() == nil {
		sub, err := m.Subscribe(ctx, manager.Filter{}, 4)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			return
		}
		for range 20 {
			e, ok := <-sub.Events()
			if !ok {
				return
			}
			if _, err := m.Get(ctx, e.Task.ID); err != nil && e.Task.ID != "" {
				t.Error(err)
			}
		}
		if _, err := m.List(ctx, manager.Filter{Limit: 10}); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		if _, err := m.Stats(ctx); err != nil {
			t.Error(err)
		}
		sub.Close()
	}
}

// TestStopHammer stops while tasks are submitted: what was accepted ends, what was refused does not exist.
func TestStopHammer(t *testing.T) {
	for range 30 {
		m := start(t, runner(chaos), manager.Config{MaxConcurrent: 2})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for {
					task, err := m.Submit(t.Context(), manager.ProcessorTask("x", "p"))
					if err != nil {
						wantCode(t, err, abi.CodeClosed)
						return
					}
					if rand.N(10) == 0 {
						if got, _ := m.Result(t.Context(), task.ID); !got.Status.Final() {
							t.Errorf("left %s", got.Status)
						}
					}
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.N(5_000_000)))
		for range 2 {
			wg.Go(func() { _ = m.Stop(ctx) })
		}
		wg.Wait()
		cancel()
		s, err := m.Stats(t.Context())
		if c := s.Counts; err != nil || c.Pending+c.Running != 0 {
			t.Fatalf("%+v, %v", s, err)
		}
	}
}
