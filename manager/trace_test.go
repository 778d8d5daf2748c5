package manager_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestTraceParent checks which traceparent each step of each attempt gets.
func TestTraceParent(t *testing.T) {
	var mu sync.Mutex
	var got []string
	fails := runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, call.TraceParent)
		if call.Plugin == "b" && call.Attempt == 1 {
			return abi.Result{}, abi.Errorf(abi.CodeFailed, "not yet")
		}
		return abi.Result{}, nil
	})
	hook := func(task *manager.Task, step int) string {
		return fmt.Sprint(task.Spec.TraceParent[:2], " ", task.Attempt, ".", step)
	}
	for _, c := range []struct {
		hook func(*manager.Task, int) string
		want string
	}{{nil, strings.Repeat(traceParent+" ", 3)}, {hook, "00 1.1 00 1.2 00 2.2 "}} {
		m := start(t, fails, manager.Config{TraceParent: c.hook})
		s := manager.ProcessorTask("x", "a", "b")
		s.TraceParent, s.Retry.MaxAttempts, s.Retry.Backoff = traceParent, 2, 1
		result(t, m, submit(t, m, s).ID, manager.StatusCompleted)
		mu.Lock()
		if all := strings.Join(got, " ") + " "; all != c.want {
			t.Errorf("the calls got %q, want %q", all, c.want)
		}
		got = nil
		mu.Unlock()
	}
}

// TestTraceParentOfSpec: it is checked, and has a JSON form.
func TestTraceParentOfSpec(t *testing.T) {
	m, err := manager.New(echo, manager.Config{})
	if err != nil {
		t.Fatal(err)
	}
	text := `{"steps":["a"],"content":"x","traceparent":"` + traceParent + `"}`
	s, err := manager.DecodeSpec([]byte(text))
	if err != nil || s.TraceParent != traceParent {
		t.Fatalf("%+v, %v", s, err)
	}
	if b, err := json.Marshal(s); err != nil || string(b) != text {
		t.Errorf("%s, %v", b, err)
	}
	if task := submit(t, m, s); task.Spec.TraceParent != traceParent {
		t.Errorf("the task has %q", task.Spec.TraceParent)
	}
	for _, bad := range []string{"x", strings.ToUpper(traceParent), traceParent + "-more"} {
		s.TraceParent = bad
		_, err := m.Submit(t.Context(), s)
		wantCode(t, err, abi.CodeInvalid)
	}
}
