package manager_test

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// fails is a runner that fails for the plugin "bad" and echoes for the others.
func fails(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
	if call.Plugin == "bad" {
		return abi.Result{Function: "run"}, &abi.Error{Code: abi.CodeFailed, Message: "no luck", Plugin: "bad"}
	}
	return abi.Result{Output: call.Input, Function: "run"}, nil
}

func TestBatchIsAllOrNothing(t *testing.T) {
	m := start(t, echo, manager.Config{})
	specs := []manager.Spec{manager.ProcessorTask("a", "x"), manager.ProcessorTask("b", "x", "not a step")}
	_, err := m.SubmitBatch(t.Context(), specs)
	wantCode(t, err, abi.CodeInvalid)
	_, err = m.SubmitBatch(t.Context(), nil)
	wantCode(t, err, abi.CodeInvalid)
	if page, err := m.List(t.Context(), manager.Filter{}); err != nil || len(page.Tasks) != 0 {
		t.Fatalf("%d tasks, %v", len(page.Tasks), err)
	}
	b, err := m.SubmitBatch(t.Context(), []manager.Spec{manager.ProcessorTask("a", "x"), manager.ProcessorTask("b", "x")})
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := m.BatchResult(t.Context(), b.ID)
	if err != nil || len(tasks) != 2 || tasks[0].ID != b.Tasks[0].ID || tasks[1].Status != manager.StatusCompleted {
		t.Fatalf("%+v, %v", tasks, err)
	}
	_, err = m.BatchResult(t.Context(), "nobody")
	wantCode(t, err, abi.CodeNotFound)
}

func TestBatchWaitsForRoom(t *testing.T) {
	b := newBlocker()
	m := start(t, b, manager.Config{MaxConcurrent: 1, MaxQueue: 2})
	specs := []manager.Spec{manager.ProcessorTask("a", "x"), manager.ProcessorTask("b", "x")}
	if _, err := m.SubmitBatch(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	<-b.began // one runs, one waits: no room for two
	_, err := m.SubmitBatch(t.Context(), specs)
	wantCode(t, err, abi.CodeQueueFull)
	_, err = m.SubmitBatchWait(t.Context(), append(specs, specs...))
	wantCode(t, err, abi.CodeQueueFull)
	b.letGo <- struct{}{}
	batch, err := m.SubmitBatchWait(t.Context(), specs)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.letGo <- struct{}{}
	}
	if _, err := m.BatchResult(t.Context(), batch.ID); err != nil {
		t.Fatal(err)
	}
}

// TestBatchCollects is a fan-out and a fan-in.
func TestBatchCollects(t *testing.T) {
	m := start(t, echo, manager.Config{MaxConcurrent: 2})
	all := manager.ProcessorTask("", "x")
	all.After, all.Collect = []string{"#1", "#2", "#3"}, true
	last := manager.ProcessorTask("", "x")
	last.After, last.Collect = []string{"#4"}, true
	b, err := m.SubmitBatch(t.Context(), []manager.Spec{
		manager.ProcessorTask(`{"n": 1}`, "x"), manager.ProcessorTask("two", "x"), {Steps: []manager.Step{{Plugin: "x"}}, Input: []byte{255}}, all, last,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := result(t, m, b.Tasks[4].ID, manager.StatusCompleted); string(got.Output) != `[{"n":1},"two","/w=="]` {
		t.Fatalf("collected %s", got.Output)
	}
	forward := manager.ProcessorTask("", "x")
	forward.After = []string{"#1"}
	_, err = m.SubmitBatch(t.Context(), []manager.Spec{forward, manager.ProcessorTask("", "x")})
	wantCode(t, err, abi.CodeInvalid)
}

func TestAfterFailure(t *testing.T) {
	m := start(t, runner(fails), manager.Config{})
	bad := submit(t, m, manager.ProcessorTask("a", "bad"))
	for policy, want := range map[manager.AfterFailed]manager.Status{
		"": manager.StatusFailed, manager.AfterFail: manager.StatusFailed, manager.AfterSkip: manager.StatusCancelled, manager.AfterRun: manager.StatusCompleted,
	} {
		s := manager.ProcessorTask("", "x")
		s.After, s.AfterFailed, s.Collect = []string{bad.ID, bad.ID + "x"}, policy, true
		_, err := m.Submit(t.Context(), s)
		wantCode(t, err, abi.CodeNotFound)
		other := submit(t, m, manager.ProcessorTask("fine", "x"))
		s.After = []string{bad.ID, other.ID}
		task := result(t, m, submit(t, m, s).ID, want)
		switch want {
		case manager.StatusFailed:
			wantCode(t, task.Error, abi.CodeDependency)
		case manager.StatusCancelled:
			if task.Cause != manager.CauseDependency || task.Attempt != 0 {
				t.Errorf("cause %q, attempt %d", task.Cause, task.Attempt)
			}
		default:
			if string(task.Output) != `[null,"fine"]` {
				t.Errorf("output %s", task.Output)
			}
		}
	}
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlocker()
		m := start(t, b, manager.Config{MaxConcurrent: 1})
		first := submit(t, m, manager.ProcessorTask("", "x"))
		<-b.began
		s := manager.ProcessorTask("", "x")
		s.Expiry = time.Minute
		late := submit(t, m, s)
		s.Expiry = time.Hour
		fine := submit(t, m, s)
		time.Sleep(2 * time.Minute)
		b.letGo <- struct{}{}
		b.letGo <- struct{}{}
		task := result(t, m, late.ID, manager.StatusFailed)
		wantCode(t, task.Error, abi.CodeExpired)
		if task.Attempt != 0 {
			t.Errorf("attempt %d", task.Attempt)
		}
		result(t, m, first.ID, manager.StatusCompleted)
		result(t, m, fine.ID, manager.StatusCompleted)
	})
}

// TestPriorityAges lets a task that is less urgent, but has waited long enough, go before a more urgent one.
func TestPriorityAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlocker()
		m := start(t, b, manager.Config{MaxConcurrent: 1})
		submit(t, m, manager.ProcessorTask("", "x"))
		<-b.began
		with := func(p int) string {
			s := manager.ProcessorTask("", "x")
			s.Priority = p
			return submit(t, m, s).ID
		}
		old := with(0)
		time.Sleep(2*manager.PriorityStep + time.Second)
		two, three := with(2), with(3)
		var got []string
		for range 3 {
			b.letGo <- struct{}{}
			got = append(got, <-b.began)
		}
		b.letGo <- struct{}{}
		if !slices.Equal(got, []string{three, old, two}) {
			t.Errorf("ran %v, want %v", got, []string{three, old, two})
		}
	})
}

func TestUniqueSubmit(t *testing.T) {
	b := newBlocker()
	var events recorder
	m := start(t, b, manager.Config{OnEvent: events.event})
	s := manager.ProcessorTask("", "x")
	s.Unique = manager.Unique{Key: "k"}
	first := submit(t, m, s)
	_, err := m.Submit(t.Context(), s)
	wantCode(t, err, abi.CodeConflict)
	s.Unique.Existing = true
	if same := submit(t, m, s); same.ID != first.ID {
		t.Fatalf("got %s, want %s", same.ID, first.ID)
	}
	b.letGo <- struct{}{}
	result(t, m, first.ID, manager.StatusCompleted)
	if other := submit(t, m, s); other.ID == first.ID {
		t.Fatal("the key was not given back")
	}
	b.letGo <- struct{}{}
	if got := events.of(first.ID); !slices.Equal(got, []string{"submit pending", "start running", "finish completed"}) {
		t.Errorf("events %v", got)
	}
}

// TestRetryByHand retries a failed task from the step that failed, and from the start.
func TestRetryByHand(t *testing.T) {
	var mu sync.Mutex
	var ran []string
	broken := true
	m := start(t, runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		ran = append(ran, call.Plugin+" "+string(call.Input))
		if call.Plugin == "b" && broken {
			return abi.Result{}, &abi.Error{Code: abi.CodeFailed, Message: "no"}
		}
		return abi.Result{Output: append(call.Input, call.Plugin...)}, nil
	}), manager.Config{Retry: manager.Retry{Backoff: time.Microsecond}})
	s := manager.ProcessorTask("in", "a", "b")
	s.Retry.MaxAttempts = 2
	id := submit(t, m, s).ID
	result(t, m, id, manager.StatusFailed)
	retry := func(anew bool) {
		t.Helper()
		task, err := m.Retry(t.Context(), id, anew)
		if err != nil || task.Status != manager.StatusPending || task.Retried != task.Attempt {
			t.Fatalf("%+v, %v", task, err)
		}
	}
	retry(false)
	if task := result(t, m, id, manager.StatusFailed); task.Attempt != 4 || len(task.Attempts) != 4 {
		t.Fatalf("%d attempts, %d kept: a task that is retried has all its attempts again", task.Attempt, len(task.Attempts))
	}
	mu.Lock()
	broken = false
	mu.Unlock()
	if n, err := m.RetryAll(t.Context(), manager.Filter{Plugin: "b"}, true); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if task := result(t, m, id, manager.StatusCompleted); string(task.Output) != "inab" {
		t.Fatalf("output %q", task.Output)
	}
	if want := []string{"a in", "b ina", "b ina", "b ina", "b ina", "a in", "b ina"}; !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
	_, err := m.Retry(t.Context(), id, false)
	wantCode(t, err, abi.CodeConflict)
	_, err = m.Retry(t.Context(), "nobody", false)
	wantCode(t, err, abi.CodeNotFound)
	_, err = m.RetryAll(t.Context(), manager.Filter{Status: []manager.Status{manager.StatusCompleted}}, false)
	wantCode(t, err, abi.CodeInvalid)
	if err := m.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantCode(t, m.Delete(t.Context(), id), abi.CodeNotFound)
}

// TestCrashesAreCounted has workers that vanish: after MaxCrashes in a row the task is given up.
func TestCrashesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := manager.NewMemoryStore()
		s := manager.ProcessorTask("", "x")
		s.Queue = "q"
		m := start(t, echo, manager.Config{Store: store, KeepOnStop: true})
		if err := m.Pause(t.Context(), "q", true); err != nil {
			t.Fatal(err)
		}
		task := submit(t, m, s)
		for n := range manager.MaxCrashes {
			if task.Status != manager.StatusPending || task.Crashes != n {
				t.Fatalf("%s after %d crashes, it says %d", task.Status, n, task.Crashes)
			}
			if err := m.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			vanish(t, store)
			m = start(t, echo, manager.Config{Store: store, KeepOnStop: true})
			synctest.Wait() // it sees at once that the worker is gone
			task = get(t, m, task.ID)
		}
		wantCode(t, task.Error, abi.CodeCrashed)
		if task.Status != manager.StatusFailed || len(task.Attempts) != manager.MaxCrashes {
			t.Fatalf("%s after %d attempts", task.Status, len(task.Attempts))
		}
	})
}

// vanish begins an attempt of the only task, in the paused queue q, and lets its lease run out.
func vanish(t *testing.T, store manager.Store) {
	t.Helper()
	pause := func(paused bool) {
		if err := store.SetLimit(t.Context(), manager.Limit{Queue: "q", Paused: paused}); err != nil {
			t.Fatal(err)
		}
	}
	pause(false)
	task, l, err := store.Claim(t.Context(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	pause(true)
	task.Status, task.StartedAt, task.AttemptAt = manager.StatusRunning, time.Now(), time.Now()
	task.Attempt++
	if _, err := store.Save(t.Context(), task, l); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
}

func get(t *testing.T, m *manager.Manager, id string) manager.Task {
	t.Helper()
	task, err := m.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// TestCheckpoints lets a plugin go on where an earlier attempt left off.
func TestCheckpoints(t *testing.T) {
	m := start(t, runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
		n, _ := strconv.Atoi(string(call.Checkpoint))
		if err := call.Save([]byte(strconv.Itoa(n + 1))); err != nil {
			return abi.Result{}, err
		}
		if n < 2 {
			return abi.Result{}, &abi.Error{Code: abi.CodeFailed, Message: "again"}
		}
		return abi.Result{Output: call.Checkpoint}, nil
	}), manager.Config{Retry: manager.Retry{MaxAttempts: 10, Backoff: time.Microsecond}})
	task := result(t, m, submit(t, m, manager.ProcessorTask("", "a", "b")).ID, manager.StatusCompleted)
	if string(task.Output) != "2" || task.Attempt != 5 || task.Checkpoint != nil {
		t.Fatalf("output %q after %d attempts, checkpoint %q: each step has one of its own", task.Output, task.Attempt, task.Checkpoint)
	}
}

// TestAgentMemory checks that an agent remembers what a completed task left, and nothing of one that failed.
func TestAgentMemory(t *testing.T) {
	m := start(t, runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
		if call.Vars == nil {
			return abi.Result{Output: []byte(`{"memory":false}`)}, nil
		}
		n, _ := strconv.Atoi(string(call.Vars["n"]))
		vars := map[string][]byte{"n": []byte(strconv.Itoa(n + 1))}
		if call.Function == "fail" {
			return abi.Result{Vars: vars}, &abi.Error{Code: abi.CodeTrap, Message: "no"}
		}
		if call.Function == "forget" {
			vars = map[string][]byte{}
		}
		out, err := json.Marshal(map[string]int{"n": n + 1})
		return abi.Result{Output: out, Vars: vars}, err
	}), manager.Config{MaxConcurrent: 4})
	act := func(agent, action string, want manager.Status) manager.Task {
		t.Helper()
		return result(t, m, submit(t, m, manager.AgentTask(agent, action, nil)).ID, want)
	}
	var ids []string
	for range 20 {
		ids = append(ids, submit(t, m, manager.AgentTask("bot/1", "count", nil)).ID)
	}
	for i, id := range ids {
		if out := result(t, m, id, manager.StatusCompleted).Output; string(out) != `{"n":`+strconv.Itoa(i+1)+`}` {
			t.Fatalf("task %d gave %s", i+1, out)
		}
	}
	act("bot/1", "fail", manager.StatusFailed)
	if out := act("bot/2", "count", manager.StatusCompleted).Output; string(out) != `{"n":1}` {
		t.Errorf("another agent began with %s", out)
	}
	if out := act("bot", "count", manager.StatusCompleted).Output; string(out) != `{"memory":false}` {
		t.Errorf("an agent without an id has %s", out)
	}
	if vars, err := m.Memory(t.Context(), "bot/1"); err != nil || string(vars["n"]) != "20" {
		t.Errorf("memory %q, %v", vars, err)
	}
	act("bot/1", "forget", manager.StatusCompleted)
	if vars, err := m.Memory(t.Context(), "bot/1"); err != nil || len(vars) != 0 {
		t.Errorf("memory %q, %v", vars, err)
	}
	if err := m.Forget(t.Context(), "bot/2"); err != nil {
		t.Fatal(err)
	}
	if out := act("bot/2", "count", manager.StatusCompleted).Output; string(out) != `{"n":1}` {
		t.Errorf("an agent that was made to forget began with %s", out)
	}
}
