package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// light is a task without its bytes, as lists and events have it.
func light(t *manager.Task) {
	t.Spec.Input, t.Output, t.Partial, t.Checkpoint = nil, nil, nil, nil
}

// include leaves of a task only the bytes that are asked for.
func include(t *manager.Task, parts []string) error {
	input, output, partial, checkpoint := t.Spec.Input, t.Output, t.Partial, t.Checkpoint
	light(t)
	for _, p := range parts {
		switch p {
		case "input":
			t.Spec.Input = input
		case "output":
			t.Output = output
		case "partial":
			t.Partial = partial
		case "checkpoint":
			t.Checkpoint = checkpoint
		default:
			return abi.Errorf(abi.CodeInvalid, "%.40q cannot be included: input, output, partial and checkpoint can", p)
		}
	}
	return nil
}

// FilterParams select tasks, in a query.
type FilterParams struct {
	Status []manager.Status `query:"status,explode" doc:"any of these"`
	Kind   string           `query:"kind" enum:"processor,agent,func"`
	Name   string           `query:"name" maxLength:"100"`
	Plugin string           `query:"plugin" maxLength:"128" doc:"used by any step"`
	Queue  string           `query:"queue" maxLength:"64"`
	Label  []string         `query:"label,explode" maxItems:"16" doc:"name=value; all of these"`
	After  time.Time        `query:"after" doc:"created then or later"`
	Before time.Time        `query:"before" doc:"created before"`
}

func (p *FilterParams) filter() (manager.Filter, error) {
	f := manager.Filter{
		Status: p.Status, Kind: manager.Kind(p.Kind), Name: p.Name, Plugin: p.Plugin, Queue: p.Queue, After: p.After, Before: p.Before,
	}
	labels, err := parseLabels(p.Label)
	f.Labels = labels
	return f, err
}

func parseLabels(list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	labels := make(map[string]string, len(list))
	for _, l := range list {
		name, value, ok := strings.Cut(l, "=")
		if !ok || name == "" {
			return nil, abi.Errorf(abi.CodeInvalid, "the label %.80q is not of the form name=value", l)
		}
		labels[name] = value
	}
	return labels, nil
}

// TaskPath names a task in a path.
type TaskPath struct {
	ID string `path:"id" maxLength:"64" doc:"of the task"`
}

// WaitParam is a time to wait, in a query.
type WaitParam struct {
	Wait string `query:"wait" maxLength:"32" doc:"wait so long at most for the end, such as 30s; at most 5m"`
}

// taskOut is an answer that is a task.
type taskOut = body[manager.Task]

func (a *API) addTasks() {
	add(a, operation{
		method: http.MethodGet, path: "/v1/tasks", id: "listTasks", role: auth.RoleRead, tag: "tasks",
		summary: "List tasks, newest first",
		about:   "Tasks come without their bytes. The next page is at the cursor `next`, also in the header `Link`.",
	}, a.listTasks)
	add(a, operation{
		method: http.MethodGet, path: "/v1/tasks/{id}", id: "getTask", role: auth.RoleRead, tag: "tasks",
		summary: "Get a task", about: "Its bytes are left out unless they are included.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *struct {
		TaskPath
		WaitParam
		Include []string `query:"include" maxItems:"4" doc:"input, output, partial, checkpoint"`
	}) (*taskOut, error) {
		t, err := a.get(ctx, in.ID, in.Wait)
		if err == nil {
			err = include(&t, in.Include)
		}
		return &taskOut{t}, err
	})
	add(a, operation{
		method: http.MethodPost, path: "/v1/tasks/{id}/cancel", id: "cancelTask", role: auth.RoleSubmit, tag: "tasks",
		summary: "Cancel a task",
		about:   "A pending task is cancelled at once; a running one is asked to stop, and has `cause` until it did. One that had ended is a conflict.",
		errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, a.cancelTask)
	add(a, operation{
		method: http.MethodPost, path: "/v1/tasks/{id}/retry", id: "retryTask", role: auth.RoleSubmit, tag: "tasks",
		summary: "Retry a task that failed or was cancelled",
		about:   "It goes on with the step that failed where it can; with `anew` it begins from the start.",
		errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *struct {
		TaskPath
		Body *anewBody
	}) (*taskOut, error) {
		t, err := a.cfg.Tasks.Retry(ctx, in.ID, in.Body != nil && in.Body.Anew)
		a.cfg.Audit(ctx, "task.retry", in.ID, err)
		light(&t)
		return &taskOut{t}, err
	})
	add(a, operation{
		method: http.MethodDelete, path: "/v1/tasks/{id}", id: "deleteTask", role: auth.RoleOperate, tag: "tasks",
		summary: "Delete a task that has ended", errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *TaskPath) (*struct{}, error) {
		err := a.cfg.Tasks.Delete(ctx, in.ID)
		a.cfg.Audit(ctx, "task.delete", in.ID, err)
		return nil, err
	})
}

type anewBody struct {
	_    struct{} `additionalProperties:"false"`
	Anew bool     `json:"anew,omitempty" doc:"begin from the first step"`
}

// pageOut is a page of tasks.
type pageOut struct {
	Link string `header:"Link" doc:"the next page, as rel=next"`
	Body manager.Page
}

type listParams struct {
	FilterParams
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" maxLength:"256" doc:"next of the page before"`
}

func (a *API) listTasks(ctx context.Context, in *listParams) (*pageOut, error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	f.Limit, f.Cursor = in.Limit, in.Cursor
	page, err := a.cfg.Tasks.List(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &pageOut{Body: page}
	if page.Tasks == nil {
		out.Body.Tasks = []manager.Task{}
	}
	for i := range page.Tasks {
		light(&page.Tasks[i])
	}
	if page.Next != "" {
		out.Link = "</v1/tasks?" + in.next(page.Next).Encode() + ">; rel=\"next\""
	}
	return out, nil
}

// next is the query of the next page.
func (p *listParams) next(cursor string) url.Values {
	q := url.Values{"cursor": {cursor}, "limit": {strconv.Itoa(p.Limit)}}
	for _, s := range p.Status {
		q.Add("status", string(s))
	}
	for _, l := range p.Label {
		q.Add("label", l)
	}
	for name, value := range map[string]string{"kind": p.Kind, "name": p.Name, "plugin": p.Plugin, "queue": p.Queue} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"after": p.After, "before": p.Before} {
		if !at.IsZero() {
			q.Set(name, at.Format(time.RFC3339Nano))
		}
	}
	return q
}

func (a *API) cancelTask(ctx context.Context, in *TaskPath) (*taskOut, error) {
	t, err := a.cancelOne(ctx, in.ID)
	a.cfg.Audit(ctx, "task.cancel", in.ID, err)
	light(&t)
	return &taskOut{t}, err
}

// cancelOne cancels a task that has not ended.
func (a *API) cancelOne(ctx context.Context, id string) (manager.Task, error) {
	t, err := a.cfg.Tasks.Get(ctx, id)
	if err != nil {
		return t, err
	}
	if t.Status.Final() {
		e := abi.Errorf(abi.CodeConflict, "the task has ended: it is %s", t.Status)
		e.Task = t.ID
		return t, e
	}
	if err = a.cfg.Tasks.Cancel(ctx, id); err != nil {
		return t, err
	}
	return a.cfg.Tasks.Get(ctx, id)
}

// get returns a task, at its end if there is a wait and it ends in that time.
func (a *API) get(ctx context.Context, id, wait string) (manager.Task, error) {
	d, err := a.parseWait(wait)
	if err != nil || d == 0 {
		if err != nil {
			return manager.Task{}, err
		}
		return a.cfg.Tasks.Get(ctx, id)
	}
	return a.await(ctx, id, d)
}

// await waits for the end of a task. When the time is over first, the task is as it is then.
func (a *API) await(ctx context.Context, id string, wait time.Duration) (manager.Task, error) {
	release, err := a.beginWait()
	if err != nil {
		return manager.Task{}, err
	}
	defer release()
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	t, err := a.cfg.Tasks.Result(limited, id)
	switch {
	case !auth.Valid(ctx):
		return manager.Task{}, errOver()
	case t.Status.Final():
		return t, nil
	case ctx.Err() != nil:
		return t, ctx.Err()
	case limited.Err() != nil:
		return a.cfg.Tasks.Get(ctx, id)
	}
	return t, err
}

// errOver is for those whose token did not last as long as they waited.
func errOver() error {
	return abi.Errorf(abi.CodeDenied, "the token has expired or was removed while the request waited")
}

// beginWait counts a request that waits; the caller calls release.
func (a *API) beginWait() (release func(), err error) {
	if n := a.waiting.Add(1); n > int64(a.cfg.Limits.MaxWaiting) {
		a.waiting.Add(-1)
		return nil, abi.Errorf(abi.CodeUnavailable, "%d requests wait for tasks already; ask again without wait, or follow the events", n-1)
	}
	return func() { a.waiting.Add(-1) }, nil
}

// parseWait reads ?wait=; 0: do not wait.
func (a *API) parseWait(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > a.cfg.Limits.MaxWait {
		return 0, abi.Errorf(abi.CodeInvalid, "wait is %.40q; it must be a duration between 0s and %v, such as 30s", s, a.cfg.Limits.MaxWait)
	}
	return d, nil
}
