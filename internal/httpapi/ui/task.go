package ui

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

type taskView struct {
	base
	Task     manager.Task
	Steps    []stepView
	Attempts []attemptView
	Spans    []span
	Usage    abi.Usage
	Plugin   string // of the version that ran last
	Input    *preview
	Output   *preview
	Log      []logView
	Labels   []labelView
}

// Final tells whether the task changes no more by itself.
func (v *taskView) Final() bool { return v.Task.Status.Final() }

// Line draws the attempts on a line of time.
func (v *taskView) Line() any { return svgSpans(v.Spans) }

// Retryable tells whether the task can be put back.
func (v *taskView) Retryable() bool {
	return v.Task.Status == manager.StatusFailed || v.Task.Status == manager.StatusCancelled
}

type stepView struct {
	Number   int
	Step     manager.Step
	State    manager.Status // of this step; pending: it was not begun
	Progress float64
	Message  string
	Output   *preview // where it was kept
	Lost     bool     // it ended well, and its output was only handed on
	Error    *abi.Error
	Link     string // to the whole output
}

type attemptView struct {
	manager.Attempt
	Number  int
	Running bool
	Took    time.Duration
	Wait    time.Duration // since the attempt before ended
}

type logView struct {
	Attempt int
	abi.LogLine
}

type labelView struct{ Name, Value string }

func (s *server) task(q *request) error {
	id := q.r.PathValue("id")
	if !idPattern.MatchString(id) {
		return abi.Errorf(abi.CodeNotFound, "there is no task %.80q", id)
	}
	t, err := s.api.Look(q.ctx(), id)
	if err != nil {
		return err
	}
	name := t.Spec.Name
	if name == "" {
		name = stepNames(t)
	}
	v := taskView{base: q.base("tasks", name), Task: t}
	if v.Output, err = s.preview(q.ctx(), t.OutputBytes, func(ctx context.Context) (*client.Body, error) { return s.api.Output(ctx, id) }); err != nil {
		return err
	}
	var partial *preview
	if t.PartialStep > 0 && t.Status != manager.StatusCompleted {
		partial, err = s.preview(q.ctx(), -1, func(ctx context.Context) (*client.Body, error) { return s.api.Partial(ctx, id) })
		if err != nil && abi.CodeOf(err) != abi.CodeNotFound && abi.CodeOf(err) != abi.CodeConflict {
			return err
		}
	}
	if !q.partial { // it does not change, and a script keeps it
		if v.Input, err = s.preview(q.ctx(), t.InputBytes, func(ctx context.Context) (*client.Body, error) { return s.api.Input(ctx, id) }); err != nil {
			return err
		}
	}
	v.fill(partial)
	return q.render(http.StatusOK, "task", part(q, "task"), &v)
}

// part is the part of a page that htmx asks for, if it is one that the page has.
func part(q *request, otherwise string) string {
	if q.r.URL.Query().Get("part") == "tried" {
		return "tried"
	}
	return otherwise
}

// preview reads the beginning of some bytes. A size of 0 needs no request; of -1 it is not known before.
func (s *server) preview(ctx context.Context, size int, open func(context.Context) (*client.Body, error)) (*preview, error) {
	if size == 0 {
		return nil, nil //nolint:nilnil // nothing to show is no error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := open(ctx)
	if err != nil {
		if code := abi.CodeOf(err); code == abi.CodeConflict || code == abi.CodeNotFound { // it has changed meanwhile
			return nil, nil //nolint:nilnil // likewise
		}
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(body, maxPreview+1))
	_ = body.Close()
	if err != nil {
		return nil, abi.Errorf(abi.CodeUnavailable, "the bytes cannot be read: %w", err)
	}
	if size < 0 {
		size = len(data)
		if body.Size > 0 {
			size = int(body.Size)
		}
	}
	return newPreview(data, size), nil
}

func (v *taskView) fill(partial *preview) {
	t := &v.Task
	for _, name := range sortedKeys(t.Spec.Labels) {
		v.Labels = append(v.Labels, labelView{name, t.Spec.Labels[name]})
	}
	v.fillSteps(partial)
	end := v.Now
	if t.Status.Final() {
		end = t.FinishedAt
	}
	last := t.CreatedAt
	for _, a := range t.Attempts {
		v.Usage = v.Usage.Add(a.Usage)
		v.Attempts = append(v.Attempts, attemptView{Attempt: a, Number: a.Number, Took: a.FinishedAt.Sub(a.StartedAt), Wait: max(0, a.StartedAt.Sub(last))})
		last = a.FinishedAt
		for _, l := range a.Log {
			v.Log = append(v.Log, logView{a.Number, l})
		}
	}
	if t.Status == manager.StatusRunning {
		now := manager.Attempt{Number: t.Attempt, StartedAt: t.AttemptAt, Version: t.Version}
		v.Attempts = append(v.Attempts, attemptView{Attempt: now, Number: t.Attempt, Running: true, Took: v.Now.Sub(t.AttemptAt), Wait: max(0, t.AttemptAt.Sub(last))})
	}
	if n := t.CurrentStep; n > 0 && n <= len(t.Spec.Steps) {
		v.Plugin = t.Spec.Steps[n-1].Plugin
	} else if n := len(t.Spec.Steps); n > 0 {
		v.Plugin = t.Spec.Steps[n-1].Plugin
	}
	if t.Spec.Kind == manager.KindAgent && len(t.Spec.Steps) == 1 {
		v.Plugin = t.Spec.Steps[0].Plugin
	}
	v.Spans = spans(v.Attempts, t.CreatedAt, end)
}

// fillSteps says for each step how it stands. In a task of one step the numbers of Progress are the plugin's own.
func (v *taskView) fillSteps(partial *preview) {
	t := &v.Task
	several := len(t.Spec.Steps) > 1
	at := t.CurrentStep
	if t.Error != nil && t.Error.Step > 0 {
		at = t.Error.Step
	}
	if !several {
		at = 1
	}
	for i, step := range t.Spec.Steps {
		n := i + 1
		sv := stepView{Number: n, Step: step, State: manager.StatusPending}
		switch {
		case t.Status == manager.StatusCompleted || n < at && t.Attempt > 0 || n <= t.PartialStep:
			sv.State, sv.Progress = manager.StatusCompleted, 1
		case n == at && t.Status == manager.StatusRunning, n == at && t.Status.Final() && t.Attempt > 0:
			sv.State = t.Status
			sv.Message = t.Message
			sv.Error = t.Error
			sv.Progress = t.Progress
			if several {
				sv.Progress = max(0, min(1, t.Progress*float64(len(t.Spec.Steps))-float64(i)))
			}
		}
		switch {
		case t.Status == manager.StatusCompleted && n == len(t.Spec.Steps):
			sv.Output, sv.Link = v.Output, "output"
		case n == t.PartialStep && partial != nil:
			sv.Output, sv.Link = partial, "partial"
		default:
			sv.Lost = sv.State == manager.StatusCompleted
		}
		v.Steps = append(v.Steps, sv)
	}
}

func spans(attempts []attemptView, from, to time.Time) []span {
	whole := float64(to.Sub(from))
	if whole <= 0 {
		return nil
	}
	var out []span
	for _, a := range attempts {
		class := "s-completed"
		switch {
		case a.Running:
			class = "s-running"
		case a.Error != nil && a.Error.Code == abi.CodeCancelled:
			class = "s-cancelled"
		case a.Error != nil:
			class = "s-failed"
		}
		out = append(out, span{
			X: 1000 * float64(a.StartedAt.Sub(from)) / whole, W: 1000 * float64(a.Took) / whole, Class: class,
			Title: fmt.Sprintf("attempt %d: %s", a.Number, duration(a.Took)),
		})
	}
	return out
}

func (s *server) taskAction(q *request) error {
	id, action := q.r.PathValue("id"), q.r.PathValue("action")
	if err := q.r.ParseForm(); err != nil {
		return abi.Errorf(abi.CodeInvalid, "the form cannot be read: %w", err)
	}
	to := "/tasks/" + url.PathEscape(id)
	var err error
	switch action {
	case "cancel":
		_, err = s.api.Cancel(q.ctx(), id)
	case "retry":
		_, err = s.api.Retry(q.ctx(), id, q.r.PostFormValue("anew") != "")
	case "delete":
		ok, err := q.confirmed("tasks", "Delete the task?", "Delete the task "+id+" with its input and output? It cannot be undone.", "Delete")
		if !ok {
			return err
		}
		if err := s.api.Delete(q.ctx(), id); err != nil {
			return err
		}
		return q.done("/tasks", action, 0)
	default:
		return abi.Errorf(abi.CodeNotFound, "a task has no action %.40q", action)
	}
	if err != nil {
		return err
	}
	return q.done(to, action, 0)
}
