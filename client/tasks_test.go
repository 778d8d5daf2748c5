package client_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// TestTasks takes tasks through their lives.
func TestTasks(t *testing.T) {
	s := start(t)
	c := s.client()
	ctx := t.Context()

	spec := upper("hello")
	spec.Labels = map[string]string{"color": "red"}
	task, err := c.Submit(ctx, spec, client.SubmitOptions{Wait: time.Minute})
	if err != nil || task.Status != manager.StatusCompleted || task.Output != nil {
		t.Fatalf("%+v %v", task, err)
	}
	got, err := c.Get(ctx, task.ID)
	if err != nil || string(got.Output) != "HELLO" || string(got.Spec.Input) != "hello" || got.Spec.Steps[0].Plugin != "upper" {
		t.Errorf("%+v %v", got, err)
	}
	for what, open := range map[string]func(context.Context, string) (*client.Body, error){"hello": c.Input, "HELLO": c.Output} {
		body, err := open(ctx, task.ID)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if body.Close(); err != nil || string(text) != what || body.Size != 5 || !strings.HasPrefix(body.ContentType, "text/plain") {
			t.Errorf("%q %v %d %s", text, err, body.Size, body.ContentType)
		}
	}

	failing, err := c.Submit(ctx, manager.ProcessorTask("no way", "upper", "fail"), client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	failed, err := c.Result(ctx, failing.ID)
	hasCode(t, err, abi.CodeFailed)
	if e := abi.AsError(err); failed.Status != manager.StatusFailed || e.Plugin != "fail" || e.Step != 2 || e.Task != failing.ID || e.Message != "NO WAY" ||
		string(failed.Partial) != "NO WAY" {
		t.Errorf("%+v\n%+v", failed, e)
	}
	partial, err := c.Partial(ctx, failing.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(partial); string(text) != "NO WAY" {
		t.Errorf("%q", text)
	}
	partial.Close()
	_, err = c.Output(ctx, failing.ID)
	hasCode(t, err, abi.CodeNotFound)
	again, err := c.Retry(ctx, failing.ID, true)
	if err != nil || again.Status != manager.StatusPending {
		t.Errorf("%+v %v", again, err)
	}
	_, err = c.Result(ctx, failing.ID)
	hasCode(t, err, abi.CodeFailed)

	running, err := c.Submit(ctx, spin(), client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	until(t, c, running.ID, manager.StatusRunning)
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	_, err = c.Result(soon, running.ID)
	cancel()
	hasCode(t, err, abi.CodeTimeout)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := c.Cancel(ctx, running.ID); err != nil {
		t.Error(err)
	}
	cancelled, err := c.Result(ctx, running.ID)
	hasCode(t, err, abi.CodeCancelled)
	if cancelled.Status != manager.StatusCancelled {
		t.Errorf("%+v", cancelled)
	}
	_, err = c.Cancel(ctx, running.ID)
	hasCode(t, err, abi.CodeConflict)

	page, err := c.List(ctx, manager.Filter{Labels: map[string]string{"color": "red"}, Status: []manager.Status{manager.StatusCompleted}, Plugin: "upper",
		Queue: "default", Name: "upper", Kind: manager.KindProcessor, After: task.CreatedAt, Before: time.Now().Add(time.Hour)})
	if err != nil || len(page.Tasks) != 1 || page.Tasks[0].ID != task.ID {
		t.Errorf("%+v %v", page, err)
	}
	var ids []string
	for task, err := range c.Tasks(ctx, manager.Filter{Limit: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, task.ID)
	}
	if want := []string{running.ID, failing.ID, task.ID}; !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
	if err := c.Delete(ctx, task.ID); err != nil {
		t.Error(err)
	}
	_, err = c.Look(ctx, task.ID)
	hasCode(t, err, abi.CodeNotFound)
	_, err = c.Submit(ctx, manager.ProcessorTask("x"), client.SubmitOptions{})
	hasCode(t, err, abi.CodeInvalid)
}

// TestLostAnswers: a submit whose answer is lost is sent again, and submits nothing a second time; a key of the caller's makes it one for longer.
func TestLostAnswers(t *testing.T) {
	s := start(t)
	c := s.client()
	ctx := t.Context()
	s.drop.Store(2)
	if _, err := c.Submit(ctx, upper("once"), client.SubmitOptions{}); err != nil {
		t.Fatal(err)
	}
	s.drop.Store(2)
	batch, err := c.SubmitBatch(ctx, []manager.Spec{upper("a"), upper("b")}, client.SubmitOptions{})
	if err != nil || len(batch.Tasks) != 2 {
		t.Fatalf("%+v %v", batch, err)
	}
	existing := upper("unique")
	existing.Unique = manager.Unique{Key: "mine", Window: time.Hour, Existing: true}
	s.drop.Store(1)
	if _, err := c.Submit(ctx, existing, client.SubmitOptions{}); err != nil {
		t.Fatal(err)
	}
	full := upper("labels")
	full.Labels = map[string]string{}
	for i := range manager.MaxLabels {
		full.Labels[string(rune('a'+i))] = "x"
	}
	s.drop.Store(0)
	if _, err := c.Submit(ctx, full, client.SubmitOptions{}); err != nil {
		t.Fatal(err)
	}

	first, err := c.Submit(ctx, upper("keyed"), client.SubmitOptions{IdempotencyKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Submit(ctx, upper("keyed"), client.SubmitOptions{IdempotencyKey: "k"})
	if err != nil || second.ID != first.ID {
		t.Errorf("%s %s %v", first.ID, second.ID, err)
	}
	_, err = c.Submit(ctx, upper("another"), client.SubmitOptions{IdempotencyKey: "k"})
	hasCode(t, err, abi.CodeConflict)

	n := 0
	for _, err := range c.Tasks(ctx, manager.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 6 {
		t.Errorf("there are %d tasks, want 6", n)
	}
}

// TestBatches: submitted as a whole, waited for, and changed as a whole.
func TestBatches(t *testing.T) {
	s := start(t)
	c := s.client()
	ctx := t.Context()
	second := upper("two")
	second.After = []string{"#1"}
	b, err := c.SubmitBatch(ctx, []manager.Spec{upper("one"), second, manager.ProcessorTask("x", "fail")}, client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done, err := c.Batch(ctx, b.ID, time.Minute)
	if err != nil || !done.Done || done.Counts.Completed != 2 || done.Counts.Failed != 1 || len(done.Tasks) != 3 {
		t.Errorf("%+v %v", done, err)
	}
	_, err = c.SubmitBatch(ctx, nil, client.SubmitOptions{})
	hasCode(t, err, abi.CodeInvalid)
	_, err = c.SubmitBatch(ctx, []manager.Spec{upper("one"), {}}, client.SubmitOptions{})
	hasCode(t, err, abi.CodeInvalid)
	contains(t, err, "#2")

	if err := c.Pause(ctx, "slow", true); err != nil {
		t.Fatal(err)
	}
	slow := upper("x")
	slow.Queue = "slow"
	held, err := c.SubmitBatch(ctx, []manager.Spec{slow, slow}, client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := c.CancelAll(ctx, client.Selection{Filter: manager.Filter{Queue: "slow"}}); err != nil || d.Count != 2 {
		t.Errorf("%+v %v", d, err)
	}
	if d, err := c.RetryAll(ctx, client.Selection{IDs: []string{held.Tasks[0].ID, "unknown"}}, true); err != nil || d.Count != 1 || len(d.Errors) != 1 ||
		d.Errors[0].Error.Code != abi.CodeNotFound {
		t.Errorf("%+v %v", d, err)
	}
	if d, err := c.DeleteAll(ctx, client.Selection{Filter: manager.Filter{Queue: "slow"}}); err != nil || d.Count != 1 {
		t.Errorf("%+v %v", d, err)
	}
}

// TestServerRestarts: who waits for a result and who watches go on when the server comes back, and miss nothing.
func TestServerRestarts(t *testing.T) {
	s := start(t)
	c := s.client()
	ctx := t.Context()
	spec := upper("patience")
	spec.Queue = "held"
	if err := c.Pause(ctx, "held", true); err != nil {
		t.Fatal(err)
	}
	task, err := c.Submit(ctx, spec, client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		task manager.Task
		err  error
	}
	result, watched := make(chan outcome, 1), make(chan outcome, 1)
	go func() {
		task, err := c.Result(ctx, task.ID)
		result <- outcome{task, err}
	}()
	go func() {
		var last outcome
		for e, err := range c.Watch(ctx, task.ID) {
			last = outcome{e.Task, err}
		}
		watched <- last
	}()
	kinds := make(chan manager.EventKind, 100)
	listening, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e, err := range c.Events(listening, manager.Filter{Queue: "held"}) {
			if err != nil {
				return
			}
			kinds <- e.Kind
		}
	}()
	next := func() manager.EventKind {
		select {
		case k := <-kinds:
			return k
		case <-ctx.Done():
			return "nothing"
		}
	}
	if k := next(); k != client.EventReset {
		t.Errorf("first %s", k)
	}
	s.down()
	if k := next(); k != client.EventDown {
		t.Errorf("then %s", k)
	}
	s.up()
	for k := next(); k != client.EventReset; k = next() { // the server's events are others now
		if k != client.EventDown {
			t.Errorf("then %s", k)
		}
	}
	if err := c.Pause(ctx, "held", false); err != nil {
		t.Fatal(err)
	}
	for k := next(); k != manager.EventFinish; k = next() {
		if k == "nothing" {
			t.Fatal("no end")
		}
	}
	if o := <-result; o.err != nil || string(o.task.Output) != "PATIENCE" {
		t.Errorf("%+v", o)
	}
	if o := <-watched; o.err != nil || o.task.Status != manager.StatusCompleted {
		t.Errorf("%+v", o)
	}
	stop()
	<-ended
}

// TestProgressArrives: a task is watched from its state now to its end.
func TestProgressArrives(t *testing.T) {
	s := start(t)
	c := s.client()
	task, err := c.Submit(t.Context(), spin(), client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	var last manager.Event
	for e, err := range c.Watch(t.Context(), task.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if last = e; e.Task.Message == "waiting" && !seen {
			seen = true
			if _, err := c.Cancel(t.Context(), task.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !seen || last.Task.Status != manager.StatusCancelled {
		t.Errorf("%v %+v", seen, last)
	}
	for e, err := range c.Watch(t.Context(), task.ID) { // one that has ended
		if err != nil || e.Task.Status != manager.StatusCancelled {
			t.Errorf("%+v %v", e, err)
		}
	}
	for _, err := range c.Watch(t.Context(), "unknown") {
		hasCode(t, err, abi.CodeNotFound)
	}
}

// TestRoles: what the token may not do is CodeDenied.
func TestRoles(t *testing.T) {
	s := start(t)
	s.role = auth.RoleRead
	c := s.client()
	_, err := c.Submit(t.Context(), upper("x"), client.SubmitOptions{})
	hasCode(t, err, abi.CodeDenied)
	if _, err := c.List(t.Context(), manager.Filter{}); err != nil {
		t.Error(err)
	}
}
