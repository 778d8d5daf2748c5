package manager_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// plugins stands for a *host.Host: two processors and an agent.
type plugins struct{}

func (plugins) Run(_ context.Context, call abi.Call, report func(abi.Progress)) (abi.Result, error) {
	switch call.Plugin {
	case "upper":
		return abi.Result{Output: bytes.ToUpper(call.Input), Function: "process"}, nil
	case "trim":
		return abi.Result{Output: bytes.TrimSpace(call.Input), Function: "process"}, nil
	case "agent":
		return abi.Result{Output: []byte(`{"status":"success"}`), Function: call.Function}, nil
	}
	return abi.Result{}, &abi.Error{Code: abi.CodeNotFound, Plugin: call.Plugin, Message: "there is no such plugin"}
}

// Two tasks, from the submit to the result.
func Example() {
	ctx := context.Background()
	m, err := manager.New(plugins{}, manager.Config{MaxConcurrent: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := m.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	doc, _ := m.Submit(ctx, manager.ProcessorTask("  hello ", "trim", "upper"))
	act, _ := m.Submit(ctx, manager.AgentTask("agent/7", "status", map[string]any{"verbose": true}))

	res, err := m.Result(ctx, doc.ID)
	fmt.Printf("%s: %s %v\n", res.Spec.Name, res.Output, err)
	res, err = m.Result(ctx, act.ID)
	fmt.Printf("%s %v: %s %v\n", res.Spec.Name, res.Spec.Labels, res.Output, err)
	fmt.Println(m.Stop(ctx))
	// Output:
	// trim,upper: HELLO <nil>
	// agent:status map[agent_id:7]: {"status":"success"} <nil>
	// <nil>
}

// A processor task that fails says where, and keeps what the step before had made.
func ExampleManager_Result() {
	ctx := context.Background()
	m, _ := manager.New(plugins{}, manager.Config{})
	_ = m.Start(ctx)
	defer func() { _ = m.Stop(ctx) }()

	task, _ := m.Submit(ctx, manager.ProcessorTask("  hello ", "trim", "lower"))
	res, err := m.Result(ctx, task.ID)
	e := abi.AsError(err)
	fmt.Println(res.Status, e.Code, "in step", e.Step, e.Plugin)
	fmt.Printf("after step %d there was %q\n", res.PartialStep, res.Partial)
	// Output:
	// failed not_found in step 2 lower
	// after step 1 there was "hello"
}

// Progress as it comes. Whoever shows it reads the task first and then listens.
func ExampleManager_Subscribe() {
	ctx := context.Background()
	m, _ := manager.New(nil, manager.Config{})
	sub, err := m.Subscribe(ctx, manager.Filter{Name: "count"}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	told := make(chan struct{})
	_, _ = m.Submit(ctx, manager.FuncTask("count", func(ctx context.Context, report func(abi.Progress)) ([]byte, error) {
		report(abi.Progress{Fraction: 0.5, Step: 1, Total: 2, Message: "half"})
		<-told
		return []byte("2"), nil
	}))
	_ = m.Start(ctx)
	for e := range sub.Events() {
		t := e.Task
		fmt.Printf("%s: %s %.0f%% %d/%d %q\n", e.Kind, t.Status, 100*t.Progress, t.CurrentStep, t.TotalSteps, t.Message)
		switch e.Kind {
		case manager.EventProgress:
			close(told)
		case manager.EventFinish:
			sub.Close()
		}
	}
	_ = m.Stop(ctx)
	// Output:
	// submit: pending 0% 0/1 ""
	// start: running 0% 1/1 ""
	// progress: running 50% 1/2 "half"
	// finish: completed 100% 2/2 "half"
}

// An error that may pass is tried again, a little later each time.
func ExampleRetry() {
	ctx := context.Background()
	m, _ := manager.New(nil, manager.Config{})
	_ = m.Start(ctx)
	tries := 0
	spec := manager.FuncTask("fetch", func(context.Context, func(abi.Progress)) ([]byte, error) {
		if tries++; tries < 3 {
			return nil, abi.Errorf(abi.CodeUnavailable, "nobody answers")
		}
		return []byte("here"), nil
	})
	spec.Retry = manager.Retry{MaxAttempts: 5, Backoff: time.Millisecond}
	task, _ := m.Submit(ctx, spec)
	res, err := m.Result(ctx, task.ID)
	fmt.Println(string(res.Output), err)
	for _, a := range res.Attempts {
		fmt.Printf("%d %q\n", a.Number, abi.CodeOf(a.Err()))
	}
	_ = m.Stop(ctx)
	// Output:
	// here <nil>
	// 1 "unavailable"
	// 2 "unavailable"
	// 3 ""
}

// A Go function as a task, with a time limit, and cancelled.
func ExampleFuncTask() {
	ctx := context.Background()
	m, _ := manager.New(nil, manager.Config{})
	_ = m.Start(ctx)
	began := make(chan struct{})
	spec := manager.FuncTask("wait", func(ctx context.Context, _ func(abi.Progress)) ([]byte, error) {
		close(began)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	spec.Timeout = time.Hour
	task, _ := m.Submit(ctx, spec)
	<-began
	fmt.Println(m.Cancel(ctx, task.ID))
	res, err := m.Result(ctx, task.ID)
	fmt.Println(res.Status, res.Cause, abi.CodeOf(err))
	_ = m.Stop(ctx)
	// Output:
	// <nil>
	// cancelled user cancelled
}

// A task for every Monday night, and once more by hand.
func ExampleManager_SetSchedule() {
	ctx := context.Background()
	m, _ := manager.New(plugins{}, manager.Config{})
	_ = m.Start(ctx)
	defer func() { _ = m.Stop(ctx) }()

	s, err := m.SetSchedule(ctx, manager.Schedule{
		Name: "weekly-report", Cron: "30 3 * * mon", TimeZone: "Europe/Berlin", Missed: manager.MissedOnce,
		Spec: manager.ProcessorTask(" report ", "trim", "upper"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	berlin, _ := time.LoadLocation(s.TimeZone)
	fmt.Println(s.NextAt.In(berlin).Format("Monday 15:04"))

	task, _ := m.TriggerSchedule(ctx, s.Name)
	res, err := m.Result(ctx, task.ID)
	fmt.Printf("%s %v %v\n", res.Output, res.Spec.Labels, err)

	s.Cron = "0 0 30 2 *"
	_, err = m.SetSchedule(ctx, s)
	fmt.Println(err)
	// Output:
	// Monday 03:30
	// REPORT map[schedule:weekly-report] <nil>
	// the cron expression "0 0 30 2 *" never matches: no month that it names has such a day
}

// The form in which tasks come over HTTP and out of files.
func ExampleDecodeSpec() {
	spec, err := manager.DecodeSpec([]byte(`{
		"steps": ["text:wrap", {"step": "markdown", "config": {"toc": "true"}, "timeout": "5s"}],
		"content": "# Hi",
		"retry": {"max_attempts": 3}
	}`))
	fmt.Println(len(spec.Steps), spec.Steps[1].Config, spec.Steps[1].Timeout, err)
	b, _ := json.Marshal(spec)
	fmt.Println(string(b))
	_, err = manager.DecodeSpec([]byte(`{"stpes": ["text"]}`))
	fmt.Println(err)
	// Output:
	// 2 map[toc:true] 5s <nil>
	// {"steps":["text:wrap",{"step":"markdown","config":{"toc":"true"},"timeout":"5s"}],"content":"# Hi","retry":{"max_attempts":3}}
	// the task cannot be read: json: unknown field "stpes"
}
