package manager_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// recorder keeps what OnEvent is told, for each task.
type recorder struct {
	mu  sync.Mutex
	all map[string][]string
}

func (r *recorder) event(e manager.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = make(map[string][]string)
	}
	r.all[e.Task.ID] = append(r.all[e.Task.ID], strings.TrimSuffix(string(e.Kind)+" "+string(e.Task.Status), " "))
}

func (r *recorder) of(id string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all[id])
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		b := newBlocker()
		m := start(t, runner(func(ctx context.Context, call abi.Call, report func(abi.Progress)) (abi.Result, error) {
			switch call.Plugin {
			case "flaky":
				if call.Attempt == 1 {
					return abi.Result{}, abi.Errorf(abi.CodeFailed, "once")
				}
			case "block":
				return b.Run(ctx, call, report)
			}
			return abi.Result{}, nil
		}), manager.Config{MaxConcurrent: 1, MaxQueue: 1, OnEvent: rec.event, Retry: manager.Retry{MaxAttempts: 2}})
		run := func(steps ...string) manager.Task {
			task := submit(t, m, manager.ProcessorTask("x", steps...))
			_, _ = m.Result(t.Context(), task.ID)
			return task
		}
		check := func(what, id string, want ...string) {
			t.Helper()
			if got := rec.of(id); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		check("plain", run("a").ID, "submit pending", "start running", "finish completed")
		check("steps", run("a", "b").ID, "submit pending", "start running", "progress running", "finish completed")
		check("retry", run("flaky").ID, "submit pending", "start running", "retry pending", "start running", "finish completed")

		running := submit(t, m, manager.ProcessorTask("x", "block"))
		<-b.began
		pending := submit(t, m, manager.ProcessorTask("x", "a"))
		_, err := m.Submit(t.Context(), manager.ProcessorTask("x", "a"))
		wantCode(t, err, abi.CodeQueueFull)
		for _, id := range []string{pending.ID, running.ID, running.ID, pending.ID} {
			if err := m.Cancel(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = m.Result(t.Context(), running.ID)
		check("cancel pending", pending.ID, "submit pending", "cancel cancelled", "finish cancelled")
		check("cancel running", running.ID, "submit pending", "start running", "cancel running", "finish cancelled")
		check("rejected", "", "reject")
	})
}

// TestEventsAreInOrder checks the order for each task when submitters and workers race, and that the reader of a result has been
// told of its end.
func TestEventsAreInOrder(t *testing.T) {
	var rec recorder
	m := start(t, runner(func(_ context.Context, call abi.Call, report func(abi.Progress)) (abi.Result, error) {
		if call.Attempt < 3 {
			return abi.Result{}, abi.Errorf(abi.CodeFailed, "again")
		}
		return abi.Result{}, nil
	}), manager.Config{MaxConcurrent: 4, OnEvent: rec.event, Retry: manager.Retry{MaxAttempts: 3, Backoff: 1}})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				task := submit(t, m, manager.ProcessorTask("x", "p"))
				result(t, m, task.ID, manager.StatusCompleted)
				got, want := rec.of(task.ID), []string{
					"submit pending", "start running", "retry pending", "start running", "retry pending", "start running", "finish completed",
				}
				if !slices.Equal(got, want) {
					t.Errorf("got %q", got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestPanickingListenerIsIgnored(t *testing.T) {
	m := start(t, echo, manager.Config{OnEvent: func(manager.Event) { panic("ouch") }})
	result(t, m, submit(t, m, manager.ProcessorTask("x", "p")).ID, manager.StatusCompleted)
}

func TestListenerMayRead(t *testing.T) {
	var m *manager.Manager
	var failed error
	m = start(t, echo, manager.Config{MaxConcurrent: 1, OnEvent: func(e manager.Event) {
		_, err := m.Get(context.Background(), e.Task.ID)
		_, err2 := m.Stats(context.Background())
		failed = errors.Join(failed, err, err2)
	}})
	result(t, m, submit(t, m, manager.ProcessorTask("x", "p", "q")).ID, manager.StatusCompleted)
	if err := m.Stop(t.Context()); err != nil || failed != nil {
		t.Error(err, failed)
	}
}

func TestProgressOfStepsAndCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reported, letGo := make(chan struct{}), make(chan struct{})
		m := start(t, runner(func(_ context.Context, call abi.Call, report func(abi.Progress)) (abi.Result, error) {
			report(abi.Progress{Fraction: 0.5, Step: 3, Total: 6, Message: "half of " + call.Plugin})
			reported <- struct{}{}
			<-letGo
			report(abi.Progress{Fraction: math.NaN(), Step: 5, Total: 6})
			report(abi.Progress{Fraction: math.NaN(), Message: "\xff" + strings.Repeat("x", 600)})
			reported <- struct{}{}
			<-letGo
			return abi.Result{}, nil
		}), manager.Config{})
		check := func(id string, progress float64, step, total int, message string) {
			t.Helper()
			<-reported
			got, err := m.Get(t.Context(), id)
			if err != nil || math.Abs(got.Progress-progress) > 1e-9 || got.CurrentStep != step || got.TotalSteps != total || got.Message != message {
				t.Errorf("%v, %d/%d, %q, %v", got.Progress, got.CurrentStep, got.TotalSteps, got.Message, err)
			}
			page, err := m.List(t.Context(), manager.Filter{Status: []manager.Status{manager.StatusRunning}})
			if err != nil || len(page.Tasks) != 1 || page.Tasks[0].Progress != got.Progress {
				t.Errorf("the list says %+v, %v", page.Tasks, err)
			}
			letGo <- struct{}{}
		}
		long := strings.Repeat("x", abi.MaxProgressMessage-1)
		task := submit(t, m, manager.ProcessorTask("x", "a", "b"))
		check(task.ID, 0.25, 1, 2, "half of a")
		check(task.ID, 5./12, 1, 2, long)
		check(task.ID, 0.75, 2, 2, "half of b")
		check(task.ID, 11./12, 2, 2, long)
		if got := result(t, m, task.ID, manager.StatusCompleted); got.Progress != 1 || got.CurrentStep != 2 {
			t.Errorf("%+v", got)
		}
		task = submit(t, m, manager.AgentTask("a", "f", nil))
		check(task.ID, 0.5, 3, 6, "half of a")
		check(task.ID, 5./6, 5, 6, long)
		if got := result(t, m, task.ID, manager.StatusCompleted); got.Progress != 1 || got.CurrentStep != 6 || got.TotalSteps != 6 {
			t.Errorf("%+v", got)
		}
	})
}

// TestProgressIsCoalesced reports a thousand times a second and counts what gets through, in events and in the store.
func TestProgressIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []float64
		store := &countingStore{Store: manager.NewMemoryStore()}
		m := start(t, nil, manager.Config{Store: store, OnEvent: func(e manager.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == manager.EventProgress {
				told = append(told, e.Task.Progress)
			}
		}})
		var late func(abi.Progress)
		task := submit(t, m, manager.FuncTask("f", func(_ context.Context, report func(abi.Progress)) ([]byte, error) {
			late = report
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for i := range 1000 {
				<-tick.C
				report(abi.Progress{Fraction: float64(i+1) / 1000})
			}
			<-time.After(time.Second)
			return nil, nil
		}))
		result(t, m, task.ID, manager.StatusCompleted)
		late(abi.Progress{Fraction: 0.1})
		<-time.After(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(told) < 8 || len(told) > 12 || told[len(told)-1] != 1 || !slices.IsSorted(told) {
			t.Errorf("%d events: %v", len(told), told)
		}
		if n := store.saves(task.ID); n < 10 || n > 14 {
			t.Errorf("%d saves", n)
		}
		if got, err := m.Get(t.Context(), task.ID); err != nil || got.Progress != 1 {
			t.Errorf("a late report came through: %v, %v", got.Progress, err)
		}
	})
}

func TestSubscribe(t *testing.T) {
	m := start(t, echo, manager.Config{MaxConcurrent: 1})
	mine, err := m.Subscribe(t.Context(), manager.Filter{Labels: map[string]string{"who": "me"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	small, err := m.Subscribe(t.Context(), manager.Filter{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	s := manager.ProcessorTask("x", "p")
	submit(t, m, s)
	s.Labels = map[string]string{"who": "me"}
	task := submit(t, m, s)
	var got []string
	for e := range mine.Events() {
		if got = append(got, string(e.Kind)); e.Task.ID != task.ID {
			t.Errorf("an event of another task")
		}
		if e.Kind == manager.EventFinish {
			mine.Close()
			mine.Close()
		}
	}
	if want := []string{"submit", "start", "finish"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if s, err := m.Stats(t.Context()); err != nil || s.Subscribers != 1 || s.Dropped != 4 || small.Dropped() != 4 || mine.Dropped() != 0 {
		t.Errorf("%+v, %v; dropped %d and %d", s, err, small.Dropped(), mine.Dropped())
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range small.Events() { // closed by Stop; what was buffered is there
		n++
	}
	if n != 2 {
		t.Errorf("%d events were buffered", n)
	}
}

func TestSubscribeEndsWithItsContext(t *testing.T) {
	m := start(t, echo, manager.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	s, err := m.Subscribe(ctx, manager.Filter{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range s.Events() {
	}
	_, err = m.Subscribe(ctx, manager.Filter{}, 0)
	wantCode(t, err, abi.CodeCancelled)
	_, err = m.Subscribe(t.Context(), manager.Filter{}, manager.MaxBuffer+1)
	wantCode(t, err, abi.CodeInvalid)
	for i := range manager.MaxSubscribers + 1 {
		if _, err = m.Subscribe(t.Context(), manager.Filter{}, 1); (err != nil) != (i == manager.MaxSubscribers) {
			t.Fatalf("subscription %d: %v", i, err)
		}
	}
	wantCode(t, err, abi.CodeUnavailable)
}

// countingStore counts the saves of each task.
type countingStore struct {
	manager.Store
	mu sync.Mutex
	n  map[string]int
}

func (s *countingStore) Save(ctx context.Context, t manager.Task, l manager.Lease, rs ...manager.Record) (uint64, error) {
	s.mu.Lock()
	if s.n == nil {
		s.n = make(map[string]int)
	}
	s.n[t.ID]++
	s.mu.Unlock()
	return s.Store.Save(ctx, t, l, rs...)
}

func (s *countingStore) saves(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[id]
}
