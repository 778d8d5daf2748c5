package client

import (
	"context"
	"crypto/rand"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// maxWait is how long the client lets the server wait in one request. Longer waits are several requests.
const maxWait = 30 * time.Second

// SubmitOptions are those of one submit. The zero value is good.
type SubmitOptions struct {
	// IdempotencyKey makes a submit that is repeated the same submit: within a day, the server answers it with the task of the first one, and
	// with CodeConflict when the spec is another. At most 200 bytes. It does not go with Spec.Unique. Default: a random one, so that a submit
	// whose answer was lost is repeated without harm; none for a spec with a unique key of its own or with as many labels as there may be.
	IdempotencyKey string
	// Wait is how long to wait for the task's end before returning it as it is then. Default: not at all.
	Wait time.Duration
}

// Submit submits a task, and returns it as it was stored, without its bytes; see manager.Manager.Submit. Go functions have no way to a server and are CodeInvalid.
func (c *Client) Submit(ctx context.Context, spec manager.Spec, o SubmitOptions) (manager.Task, error) {
	if spec.Func != nil {
		return manager.Task{}, abi.Errorf(abi.CodeInvalid, "a Go function cannot be sent to a server")
	}
	r, err := newRequest(http.MethodPost, "tasks").with(spec)
	if err != nil {
		return manager.Task{}, err
	}
	r.keyed(o.IdempotencyKey, &spec, manager.MaxLabels-1).waiting(min(o.Wait, maxWait))
	var t manager.Task
	until := time.Now().Add(o.Wait)
	if err := c.call(ctx, r, &t); err != nil {
		return t, err
	}
	for left := time.Until(until); left > 0 && !t.Status.Final(); left = time.Until(until) {
		now, err := c.look(ctx, t.ID, min(left, maxWait))
		if err != nil {
			return t, err
		}
		t = now
	}
	return t, nil
}

// keyed gives a submit an idempotency key, so that it can be repeated. The server keeps the key with the first task: as its unique key, and with
// a label more.
func (r *request) keyed(key string, first *manager.Spec, labels int) *request {
	switch u := first.Unique; {
	case key == "" && u.Key != "":
		r.repeat = u.Existing // which comes to the same
	case key == "" && len(first.Labels) > labels:
	default:
		r.header["Idempotency-Key"] = or(key, rand.Text())
		r.repeat = true
	}
	return r
}

// SubmitBatch submits tasks together, all or none; see manager.Manager.SubmitBatch. Wait of the options has no effect.
func (c *Client) SubmitBatch(ctx context.Context, specs []manager.Spec, o SubmitOptions) (manager.Batch, error) {
	if len(specs) < 1 || len(specs) > manager.MaxBatch {
		return manager.Batch{}, abi.Errorf(abi.CodeInvalid, "there are %d tasks in the batch; it must be between 1 and %d", len(specs), manager.MaxBatch)
	}
	r, err := newRequest(http.MethodPost, "batches").with(struct {
		Tasks []manager.Spec `json:"tasks"`
	}{specs})
	if err != nil {
		return manager.Batch{}, err
	}
	var b manager.Batch
	err = c.call(ctx, r.keyed(o.IdempotencyKey, &specs[0], manager.MaxLabels-2), &b)
	return b, err
}

// Get returns a task as it is now, with its bytes. CodeNotFound: there is none of that id.
func (c *Client) Get(ctx context.Context, id string) (manager.Task, error) {
	r := newRequest(http.MethodGet, "tasks", id)
	r.query.Set("include", "input,output,partial,checkpoint")
	var t manager.Task
	err := c.call(ctx, r, &t)
	return t, err
}

// Look returns a task as it is now, without its bytes: Spec.Input, Output, Partial and Checkpoint are empty.
func (c *Client) Look(ctx context.Context, id string) (manager.Task, error) {
	return c.look(ctx, id, 0)
}

// look is Look, but waits for the task to end.
func (c *Client) look(ctx context.Context, id string, wait time.Duration) (manager.Task, error) {
	var t manager.Task
	err := c.call(ctx, newRequest(http.MethodGet, "tasks", id).waiting(wait), &t)
	return t, err
}

// List returns one page of the tasks that match, newest first, without their bytes; see manager.Manager.List.
func (c *Client) List(ctx context.Context, f manager.Filter) (manager.Page, error) {
	r := newRequest(http.MethodGet, "tasks")
	r.query = filterQuery(&f)
	var p manager.Page
	err := c.call(ctx, r, &p)
	return p, err
}

// Tasks goes through all tasks that match, newest first, without their bytes, page by page. An error ends it. Filter.Limit is the size of a
// page; by default the largest one.
func (c *Client) Tasks(ctx context.Context, f manager.Filter) iter.Seq2[manager.Task, error] {
	return func(yield func(manager.Task, error) bool) {
		f := f
		f.Limit = or(f.Limit, manager.MaxPage)
		for {
			page, err := c.List(ctx, f)
			if err != nil {
				yield(manager.Task{}, err)
				return
			}
			for i := range page.Tasks {
				if !yield(page.Tasks[i], nil) {
					return
				}
			}
			if f.Cursor = page.Next; f.Cursor == "" {
				return
			}
		}
	}
}

// filterQuery is a filter as the query of an address.
func filterQuery(f *manager.Filter) url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Add(name, value)
		}
	}
	for _, s := range f.Status {
		set("status", string(s))
	}
	set("kind", string(f.Kind))
	set("name", f.Name)
	set("plugin", f.Plugin)
	set("queue", f.Queue)
	for name, value := range f.Labels {
		q.Add("label", name+"="+value)
	}
	if !f.After.IsZero() {
		set("after", f.After.Format(time.RFC3339Nano))
	}
	if !f.Before.IsZero() {
		set("before", f.Before.Format(time.RFC3339Nano))
	}
	if f.Limit != 0 {
		set("limit", strconv.Itoa(f.Limit))
	}
	set("cursor", f.Cursor)
	return q
}

// Result waits for a task to end and returns it with Output and Partial; see manager.Manager.Result. The error is that of the task if it failed
// or was cancelled; Task.Status tells it from one of the way to the server, and from the end of ctx, with which the Task is the one last seen, if any was.
func (c *Client) Result(ctx context.Context, id string) (manager.Task, error) {
	var last manager.Task
	for {
		r := newRequest(http.MethodGet, "tasks", id).waiting(maxWait)
		r.query.Set("include", "output,partial")
		var t manager.Task
		switch err := c.call(ctx, r, &t); {
		case err != nil:
			return last, err
		case t.Status.Final():
			return t, t.Err()
		}
		last = t
	}
}

// Body is the bytes of an input or an output. They are read from the server as they are read here; Close ends that.
type Body struct {
	io.ReadCloser
	ContentType string
	Size        int64 // -1: not known
}

// Input opens what a task's first step gets.
func (c *Client) Input(ctx context.Context, id string) (*Body, error) {
	return c.body(ctx, id, "input")
}

// Output opens the result of a task. CodeNotFound: there is no such task, or it did not complete, or has not yet; [Client.Result] waits.
func (c *Client) Output(ctx context.Context, id string) (*Body, error) {
	return c.body(ctx, id, "output")
}

// Partial opens the output of the last step that ended well in a task that did not complete.
func (c *Client) Partial(ctx context.Context, id string) (*Body, error) {
	return c.body(ctx, id, "partial")
}

func (c *Client) body(ctx context.Context, id, what string) (*Body, error) {
	r := newRequest(http.MethodGet, "tasks", id, what)
	r.accept = "*/*"
	return c.open(ctx, r)
}

// Cancel cancels a task, and returns it. It returns at once; [Client.Result] waits until it has stopped. CodeConflict: it had ended.
func (c *Client) Cancel(ctx context.Context, id string) (manager.Task, error) {
	var t manager.Task
	err := c.call(ctx, newRequest(http.MethodPost, "tasks", id, "cancel"), &t)
	return t, err
}

// Retry puts a task that failed or was cancelled back into the queue; see manager.Manager.Retry.
func (c *Client) Retry(ctx context.Context, id string, anew bool) (manager.Task, error) {
	r, err := newRequest(http.MethodPost, "tasks", id, "retry").with(struct {
		Anew bool `json:"anew"`
	}{anew})
	var t manager.Task
	if err == nil {
		err = c.call(ctx, r, &t)
	}
	return t, err
}

// Delete removes a task that has ended.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.call(ctx, newRequest(http.MethodDelete, "tasks", id), nil)
}
