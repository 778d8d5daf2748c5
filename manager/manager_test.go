package manager_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// submit submits a task that must be accepted.
func submit(t testing.TB, m *manager.Manager, s manager.Spec) manager.Task {
	t.Helper()
	task, err := m.Submit(t.Context(), s)
	if err != nil {
		t.Fatalf("Submit: %v", err)
	}
	return task
}

// result waits for a task and checks how it ended.
func result(t testing.TB, m *manager.Manager, id string, want manager.Status) manager.Task {
	t.Helper()
	task, err := m.Result(t.Context(), id)
	if task.Status != want || (err == nil) != (want == manager.StatusCompleted) {
		t.Fatalf("task ended as %q (%v), want %q", task.Status, err, want)
	}
	return task
}

func wantCode(t testing.TB, err error, code abi.Code) {
	t.Helper()
	if abi.CodeOf(err) != code {
		t.Fatalf("error %q (%v), want %q", abi.CodeOf(err), err, code)
	}
}

// blocker is a runner whose calls wait until they are let go, or stopped.
type blocker struct {
	began chan string   // gets the task's id
	letGo chan struct{} // one for each call
}

func newBlocker() *blocker {
	return &blocker{began: make(chan string, 100), letGo: make(chan struct{}, 100)}
}

func (b *blocker) Run(ctx context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
	b.began <- call.Task
	select {
	case <-b.letGo:
		return abi.Result{Output: call.Input}, nil
	case <-ctx.Done():
		return abi.Result{}, context.Cause(ctx)
	}
}

// TestLinesFromTheReadme are the lines that everybody copies.
func TestLinesFromTheReadme(t *testing.T) {
	ctx := t.Context()
	h := runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
		if call.Plugin == "agent" {
			return abi.Result{Output: []byte(`{"status":"success"}`)}, nil
		}
		return abi.Result{Output: append([]byte(call.Plugin+"|"), call.Input...)}, nil
	})
	m, err := manager.New(h, manager.Config{MaxConcurrent: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err = m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	doc, err := m.Submit(ctx, manager.ProcessorTask("# Hi", "text", "markdown"))
	if err != nil {
		t.Fatal(err)
	}
	act, err := m.Submit(ctx, manager.AgentTask("agent", "status", map[string]any{"verbose": true}))
	if err != nil {
		t.Fatal(err)
	}
	res, err := m.Result(ctx, doc.ID)
	if err != nil || string(res.Output) != "markdown|text|# Hi" {
		t.Fatalf("%q, %v", res.Output, err)
	}
	if err = m.Cancel(ctx, act.ID); err != nil {
		t.Fatal(err)
	}
	if err = m.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestProcessorTaskRunsStepsInOrder(t *testing.T) {
	var calls []abi.Call
	m := start(t, runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
		calls = append(calls, call)
		return abi.Result{
			Output: append(call.Input, call.Plugin...), Function: "process", Version: abi.Digest("sha256:" + call.Plugin),
			Usage: abi.Usage{Duration: 5, PeakMemory: uint64(len(calls)), Ticks: 10},
		}, nil
	}), manager.Config{})
	s := manager.ProcessorTask("x", "a", "b:f", "c")
	s.Steps[1].Config = map[string]string{"k": "v"}
	task := submit(t, m, s)
	done := result(t, m, task.ID, manager.StatusCompleted)
	if string(done.Output) != "xabc" || done.OutputBytes != 4 || done.InputBytes != 1 || done.Progress != 1 || done.CurrentStep != 3 || done.TotalSteps != 3 {
		t.Errorf("%+v", done)
	}
	if done.Function != "process" || done.Version != "sha256:c" || done.Usage != (abi.Usage{Duration: 15, PeakMemory: 3, Ticks: 30}) {
		t.Errorf("%+v", done)
	}
	if len(done.Attempts) != 1 || done.Attempt != 1 || done.Attempts[0].Error != nil || done.StartedAt.IsZero() || done.FinishedAt.IsZero() {
		t.Errorf("%+v", done.Attempts)
	}
	if len(calls) != 3 || calls[1].Config["k"] != "v" || calls[1].Function != "f" || calls[1].Step != 2 || calls[1].Attempt != 1 || calls[1].Task != task.ID {
		t.Errorf("%+v", calls)
	}
}

func TestFailureNamesStepPluginAndFunctionAndKeepsPartial(t *testing.T) {
	m := start(t, runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
		if call.Plugin == "bad" {
			return abi.Result{Function: "process"}, abi.Errorf(abi.CodeTrap, "out of bounds")
		}
		return abi.Result{Output: []byte("so far")}, nil
	}), manager.Config{})
	task := result(t, m, submit(t, m, manager.ProcessorTask("x", "good", "bad", "good")).ID, manager.StatusFailed)
	e := task.Error
	if e.Code != abi.CodeTrap || e.Step != 2 || e.Plugin != "bad" || e.Func != "process" || e.Task != task.ID {
		t.Errorf("%+v", e)
	}
	if want := "task " + task.ID + ": step 2: plugin bad:process: out of bounds"; task.Err().Error() != want {
		t.Errorf("%q, want %q", task.Err(), want)
	}
	if string(task.Partial) != "so far" || task.PartialStep != 1 || task.PartialCut || task.CurrentStep != 2 || task.Output != nil {
		t.Errorf("%+v", task)
	}
	var asError *abi.Error
	if _, err := m.Result(t.Context(), task.ID); !errors.As(err, &asError) || asError.Step != 2 {
		t.Errorf("a second Result: %v", err)
	}
}

func TestFuncTask(t *testing.T) {
	m := start(t, nil, manager.Config{MaxConcurrent: 1})
	mine := errors.New("mine")
	for _, c := range []struct {
		name string
		fn   manager.Func
		want manager.Status
		code abi.Code
		text string
	}{
		{"output", func(context.Context, func(abi.Progress)) ([]byte, error) { return []byte("out"), nil }, manager.StatusCompleted, "", ""},
		{"error", func(context.Context, func(abi.Progress)) ([]byte, error) { return nil, mine }, manager.StatusFailed, abi.CodeFailed, "mine"},
		{"own deadline", func(context.Context, func(abi.Progress)) ([]byte, error) { return nil, context.DeadlineExceeded }, manager.StatusFailed, abi.CodeFailed, "deadline"},
		{"abi error", func(context.Context, func(abi.Progress)) ([]byte, error) {
			return nil, abi.Errorf(abi.CodeInvalid, "bad")
		}, manager.StatusFailed, abi.CodeInvalid, "bad"},
		{"panic", func(context.Context, func(abi.Progress)) ([]byte, error) { panic("ouch") }, manager.StatusFailed, abi.CodeInternal, "panicked: ouch"},
		{"goexit", func(context.Context, func(abi.Progress)) ([]byte, error) { runtime.Goexit(); return nil, nil }, manager.StatusFailed, abi.CodeInternal, "ended its goroutine"},
		{"the slot is still there", func(context.Context, func(abi.Progress)) ([]byte, error) { return nil, nil }, manager.StatusCompleted, "", ""},
	} {
		task := result(t, m, submit(t, m, manager.FuncTask(c.name, c.fn)).ID, c.want)
		if err := task.Err(); abi.CodeOf(err) != c.code || c.code != "" && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.name == "error" && !errors.Is(task.Err(), mine) {
			t.Error("the function's error is lost")
		}
	}
}

func TestPanickingRunnerIsAnError(t *testing.T) {
	m := start(t, runner(func(context.Context, abi.Call, func(abi.Progress)) (abi.Result, error) { panic("ouch") }), manager.Config{})
	task := result(t, m, submit(t, m, manager.ProcessorTask("x", "p")).ID, manager.StatusFailed)
	if task.Error.Code != abi.CodeInternal || !strings.Contains(task.Error.Message, "ouch") || !strings.Contains(task.Error.Detail, "manager_test") {
		t.Fatalf("%+v", task.Error)
	}
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlocker()
		m := start(t, b, manager.Config{})
		began := time.Now()
		s := manager.ProcessorTask("x", "p")
		s.Timeout = time.Minute
		task := result(t, m, submit(t, m, s).ID, manager.StatusFailed)
		if task.Error.Code != abi.CodeTimeout || task.Cause != manager.CauseTimeout || time.Since(began) != time.Minute {
			t.Errorf("%v after %v, cause %q", task.Error, time.Since(began), task.Cause)
		}
		began = time.Now()
		s = manager.ProcessorTask("x", "first", "second")
		s.StepTimeout, s.Steps[1].Timeout = time.Hour, 3*time.Second
		b.letGo <- struct{}{}
		task = result(t, m, submit(t, m, s).ID, manager.StatusFailed)
		if task.Error.Code != abi.CodeTimeout || task.Error.Step != 2 || task.Error.Plugin != "second" || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", task.Error, time.Since(began))
		}
		if string(task.Partial) != "x" {
			t.Errorf("partial %q", task.Partial)
		}
	})
}

func TestTimeOverBeforeTheNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		m := start(t, nil, manager.Config{MaxConcurrent: 1})
		s := manager.FuncTask("f", func(context.Context, func(abi.Progress)) ([]byte, error) { return nil, errors.New("no") })
		s.Timeout, s.Retry = 10*time.Second, manager.Retry{MaxAttempts: 5, Backoff: 2 * time.Second}
		task := submit(t, m, s)
		synctest.Wait()
		submit(t, m, manager.FuncTask("hog", func(context.Context, func(abi.Progress)) ([]byte, error) { <-block; return nil, nil }))
		synctest.Wait()
		time.AfterFunc(time.Minute, func() { close(block) })
		got := result(t, m, task.ID, manager.StatusFailed)
		if got.Error.Code != abi.CodeTimeout || got.Attempt != 1 || len(got.Attempts) != 1 {
			t.Errorf("%v after %d attempts", got.Error, got.Attempt)
		}
	})
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := make(map[string]int)
		m := start(t, runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
			calls[call.Plugin]++
			if call.Plugin == "flaky" && call.Attempt < 4 {
				return abi.Result{Version: "sha256:1"}, abi.Errorf(abi.CodeUnavailable, "not now")
			}
			return abi.Result{Output: append(call.Input, '+')}, nil
		}), manager.Config{MaxConcurrent: 1})
		s := manager.ProcessorTask("x", "good", "flaky", "good")
		s.Retry = manager.Retry{MaxAttempts: 5, Backoff: 10 * time.Second, MaxBackoff: 30 * time.Second}
		task := submit(t, m, s)
		synctest.Wait()
		waiting, err := m.Get(t.Context(), task.ID)
		if err != nil || waiting.Status != manager.StatusPending || waiting.Error == nil || waiting.Err() != nil || !waiting.RunAt.After(time.Now()) {
			t.Fatalf("%+v, %v", waiting, err)
		}
		// The slot is free meanwhile.
		result(t, m, submit(t, m, manager.ProcessorTask("y", "good")).ID, manager.StatusCompleted)

		done := result(t, m, task.ID, manager.StatusCompleted)
		if string(done.Output) != "x+++" || done.Attempt != 4 || len(done.Attempts) != 4 || done.Error != nil || done.Partial != nil {
			t.Errorf("%q after %d attempts: %+v", done.Output, done.Attempt, done)
		}
		if calls["good"] != 3 || calls["flaky"] != 4 {
			t.Errorf("steps that ended well ran again: %v", calls)
		}
		for i, want := range []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second} {
			wait := done.Attempts[i+1].StartedAt.Sub(done.Attempts[i].FinishedAt)
			if wait < want/2 || wait > want {
				t.Errorf("wait %d took %v, want between %v and %v", i+1, wait, want/2, want)
			}
			if a := done.Attempts[i]; a.Number != i+1 || abi.CodeOf(a.Err()) != abi.CodeUnavailable || a.Version != "sha256:1" {
				t.Errorf("%+v", a)
			}
		}
	})
}

func TestQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlocker()
		m := start(t, b, manager.Config{MaxConcurrent: 1, MaxQueue: 2})
		spec := manager.ProcessorTask("x", "p")
		submit(t, m, spec)
		<-b.began
		first := submit(t, m, spec)
		submit(t, m, spec)
		_, err := m.Submit(t.Context(), spec)
		wantCode(t, err, abi.CodeQueueFull)

		type answer struct {
			task manager.Task
			err  error
		}
		wait := func(ctx context.Context) chan answer {
			c := make(chan answer, 1)
			go func() {
				task, err := m.SubmitWait(ctx, spec)
				c <- answer{task, err}
			}()
			synctest.Wait()
			return c
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone, one, two, three := wait(ctx), wait(t.Context()), wait(t.Context()), wait(t.Context())
		cancel()
		if a := <-gone; !errors.Is(a.err, context.Canceled) {
			t.Fatalf("SubmitWait gave %v", a.err)
		}
		began := time.Now()
		if err := m.Cancel(t.Context(), first.ID); err != nil { // makes room for one
			t.Fatal(err)
		}
		if a := <-one; a.err != nil || time.Since(began) != 0 {
			t.Fatalf("%v after %v", a.err, time.Since(began))
		}
		b.letGo <- struct{}{} // so does a start
		last := <-two
		if last.err != nil || time.Since(began) != 0 {
			t.Fatalf("%v after %v", last.err, time.Since(began))
		}
		go func() { _ = m.Stop(t.Context()) }()
		if a := <-three; abi.CodeOf(a.err) != abi.CodeClosed {
			t.Fatalf("SubmitWait gave %v while the manager stops", a.err)
		}
		for range 3 {
			b.letGo <- struct{}{}
		}
		result(t, m, last.task.ID, manager.StatusCompleted)

		m2 := start(t, newBlocker(), manager.Config{MaxConcurrent: 1, MaxQueueBytes: 10})
		_, err = m2.Submit(t.Context(), manager.ProcessorTask("12345678901", "p"))
		wantCode(t, err, abi.CodeQueueFull)
	})
}

func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, echo, manager.Config{MaxConcurrent: 1, MaxFinished: 10, MaxFinishedAge: time.Hour})
		var last manager.Task
		for range 1000 {
			last = submit(t, m, manager.ProcessorTask("x", "p"))
		}
		result(t, m, last.ID, manager.StatusCompleted)
		synctest.Wait()
		s, err := m.Stats(t.Context())
		if err != nil || s.Counts.Completed < 10 || s.Counts.Completed > 12 || s.Removed+uint64(s.Counts.Completed) != 1000 {
			t.Errorf("%+v, %v", s, err)
		}
		time.AfterFunc(2*time.Hour, func() { submit(t, m, manager.ProcessorTask("x", "p")) })
		synctest.Wait()
		<-time.After(3 * time.Hour)
		s, err = m.Stats(t.Context())
		if err != nil || s.Counts != (manager.Counts{Completed: 1}) && s.Counts != (manager.Counts{}) {
			t.Errorf("%+v, %v", s, err)
		}
		_, err = m.Get(t.Context(), last.ID)
		wantCode(t, err, abi.CodeNotFound)
		_, err = m.Result(t.Context(), last.ID)
		wantCode(t, err, abi.CodeNotFound)
	})
}

func TestRetentionOfBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, echo, manager.Config{MaxConcurrent: 1, MaxFinishedBytes: 100_000})
		var last manager.Task
		for range 100 {
			last = submit(t, m, manager.ProcessorTask(strings.Repeat("x", 10_000), "p")) // 20,000 bytes each
		}
		result(t, m, last.ID, manager.StatusCompleted)
		synctest.Wait()
		s, err := m.Stats(t.Context())
		if err != nil || s.Counts.Completed < 4 || s.Counts.Completed > 6 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestGetListStats(t *testing.T) {
	b := newBlocker()
	m := start(t, b, manager.Config{MaxConcurrent: 1})
	s := manager.ProcessorTask("x", "p")
	s.Labels = map[string]string{"who": "me"}
	task := submit(t, m, s)
	<-b.began
	submit(t, m, manager.AgentTask("agent/7", "act", nil))
	got, err := m.Get(t.Context(), task.ID)
	if err != nil || got.Status != manager.StatusRunning || string(got.Spec.Input) != "x" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, c := range []struct {
		f    manager.Filter
		want int
	}{
		{manager.Filter{}, 2},
		{manager.Filter{Status: []manager.Status{manager.StatusRunning}}, 1},
		{manager.Filter{Labels: map[string]string{"agent_id": "7"}}, 1},
		{manager.Filter{Plugin: "agent"}, 1},
		{manager.Filter{Name: "p"}, 1},
	} {
		page, err := m.List(t.Context(), c.f)
		if err != nil || len(page.Tasks) != c.want {
			t.Errorf("%+v: %d tasks, %v", c.f, len(page.Tasks), err)
		}
	}
	_, err = m.List(t.Context(), manager.Filter{Status: []manager.Status{"done"}})
	wantCode(t, err, abi.CodeInvalid)
	_, err = m.List(t.Context(), manager.Filter{Limit: manager.MaxPage + 1})
	wantCode(t, err, abi.CodeInvalid)
	_, err = m.Get(t.Context(), "nobody")
	wantCode(t, err, abi.CodeNotFound)
	if s, err := m.Stats(t.Context()); err != nil || s.Counts != (manager.Counts{Pending: 1, Running: 1}) || s.Busy != 1 || s.Slots != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if b, err := json.Marshal(got); err != nil || !strings.Contains(string(b), `"status":"running"`) || !strings.Contains(string(b), `"steps":["p"]`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestResultHonoursItsContext(t *testing.T) {
	b := newBlocker()
	m := start(t, b, manager.Config{})
	task := submit(t, m, manager.ProcessorTask("x", "p"))
	<-b.began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := m.Result(ctx, task.ID)
	if !errors.Is(err, context.Canceled) || got.Status != manager.StatusRunning {
		t.Errorf("%s, %v", got.Status, err)
	}
	b.letGo <- struct{}{}
	result(t, m, task.ID, manager.StatusCompleted)
	if _, err := m.Result(ctx, task.ID); err != nil {
		t.Errorf("the result of a finished task, with a context that is done: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]manager.Config{
		"MaxConcurrent":    {MaxConcurrent: -1},
		"MaxQueue ":        {MaxQueue: -1},
		"MaxQueueBytes":    {MaxQueueBytes: -1},
		"MaxInput":         {MaxInput: -1},
		"MaxFinished ":     {MaxFinished: -1},
		"MaxFinishedBytes": {MaxFinishedBytes: -1},
		"MaxFinishedAge":   {MaxFinishedAge: -1},
		"Timeout":          {Timeout: -1},
		"ProgressInterval": {ProgressInterval: -1},
		"LeaseTTL":         {LeaseTTL: time.Millisecond},
		"StopGrace":        {StopGrace: -1},
		"Retry":            {Retry: manager.Retry{MaxAttempts: -1}},
	} {
		if _, err := manager.New(echo, c); abi.CodeOf(err) != abi.CodeInvalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
