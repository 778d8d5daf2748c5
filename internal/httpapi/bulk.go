package httpapi

import (
	"context"
	"net/http"
	"slices"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// bulkRequest selects tasks for an operation on many.
type bulkRequest struct {
	_      struct{}      `additionalProperties:"false"`
	IDs    []string      `json:"ids,omitempty" maxItems:"10000" doc:"these tasks; give ids or a filter"`
	Filter *filterSchema `json:"filter,omitempty" doc:"all tasks that match; {} means all"`
	Anew   bool          `json:"anew,omitempty" doc:"retry: begin from the first step"`
}

// filterSchema is the JSON form of manager.Filter, without what concerns pages.
type filterSchema struct {
	_ struct{} `additionalProperties:"false"`
	manager.Filter
}

// BulkResult is what came of an operation on many tasks.
type BulkResult struct {
	Count  int         `json:"count" doc:"tasks that were changed"`
	Errors []BulkError `json:"errors" doc:"at most 100"`
}

// BulkError is why a task was not changed.
type BulkError struct {
	ID    string    `json:"id,omitempty" doc:"empty: it concerns no single task"`
	Error abi.Error `json:"error"`
}

const maxBulkErrors = 100

func (o *BulkResult) fail(id string, err error) {
	if len(o.Errors) < maxBulkErrors {
		o.Errors = append(o.Errors, BulkError{id, *abi.AsError(err)})
	}
}

func (a *API) addBulk() {
	for _, o := range []struct {
		name, summary, about string
		one                  func(ctx context.Context, id string, in *bulkRequest) error
		all                  func(ctx context.Context, f manager.Filter, in *bulkRequest) (int, error)
	}{
		{
			"cancel", "Cancel many tasks", "Those that have ended are passed over.",
			func(ctx context.Context, id string, _ *bulkRequest) error {
				_, err := a.cancelOne(ctx, id)
				return err
			},
			func(ctx context.Context, f manager.Filter, _ *bulkRequest) (int, error) {
				return a.cfg.Tasks.CancelAll(ctx, f)
			},
		},
		{
			"retry", "Retry many tasks", "A filter without a status means those that failed.",
			func(ctx context.Context, id string, in *bulkRequest) error {
				_, err := a.cfg.Tasks.Retry(ctx, id, in.Anew)
				return err
			},
			func(ctx context.Context, f manager.Filter, in *bulkRequest) (int, error) {
				return a.cfg.Tasks.RetryAll(ctx, f, in.Anew)
			},
		},
		{
			"delete", "Delete many tasks that have ended", "A filter takes only those that have ended.",
			func(ctx context.Context, id string, _ *bulkRequest) error { return a.cfg.Tasks.Delete(ctx, id) },
			func(ctx context.Context, f manager.Filter, _ *bulkRequest) (int, error) { return a.deleteAll(ctx, f) },
		},
	} {
		add(a, operation{
			method: http.MethodPost, path: "/v1/tasks/" + o.name, id: o.name + "Tasks", role: auth.RoleOperate, tag: "tasks",
			summary: o.summary, about: o.about,
		}, func(ctx context.Context, in *struct{ Body bulkRequest }) (*body[BulkResult], error) {
			out, err := a.bulk(ctx, &in.Body, o.one, o.all)
			a.cfg.Audit(ctx, "tasks."+o.name, itoa(out.Count)+" tasks", err)
			return &body[BulkResult]{out}, err
		})
	}
}

func (a *API) bulk(ctx context.Context, in *bulkRequest, one func(context.Context, string, *bulkRequest) error,
	all func(context.Context, manager.Filter, *bulkRequest) (int, error),
) (BulkResult, error) {
	out := BulkResult{Errors: []BulkError{}}
	if (len(in.IDs) > 0) == (in.Filter != nil) {
		return out, abi.Errorf(abi.CodeInvalid, "give ids or a filter; the empty filter {} means all tasks")
	}
	if in.Filter != nil {
		f := in.Filter.Filter
		if f.Limit != 0 || f.Cursor != "" {
			return out, abi.Errorf(abi.CodeInvalid, "limit and cursor have no place in this filter: it takes all tasks that match")
		}
		n, err := all(ctx, f, in)
		out.Count = n
		if err != nil && (n == 0 || ctx.Err() != nil) {
			return out, err
		} else if err != nil {
			out.fail(abi.AsError(err).Task, err)
		}
		return out, nil
	}
	for _, id := range in.IDs {
		if err := one(ctx, id, in); err != nil {
			if ctx.Err() != nil {
				return out, err
			}
			out.fail(id, err)
		} else {
			out.Count++
		}
	}
	return out, nil
}

// deleteAll deletes the tasks that match and have ended.
func (a *API) deleteAll(ctx context.Context, f manager.Filter) (n int, err error) {
	ended := []manager.Status{manager.StatusCompleted, manager.StatusFailed, manager.StatusCancelled}
	if len(f.Status) > 0 {
		f.Limit = 1
		if _, err := a.cfg.Tasks.List(ctx, f); err != nil { // the filter is none
			return 0, err
		}
		ended = slices.DeleteFunc(ended, func(s manager.Status) bool { return !slices.Contains(f.Status, s) })
	}
	if f.Status = ended; len(ended) == 0 {
		return 0, nil
	}
	f.Limit = manager.MaxPage
	for {
		page, e := a.cfg.Tasks.List(ctx, f)
		if e != nil {
			return n, e
		}
		for i := range page.Tasks {
			switch e := a.cfg.Tasks.Delete(ctx, page.Tasks[i].ID); {
			case e == nil:
				n++
			case ctx.Err() != nil:
				return n, e
			case abi.CodeOf(e) == abi.CodeNotFound || abi.CodeOf(e) == abi.CodeConflict: // it is gone, or was retried meanwhile
			case err == nil:
				err = e
			}
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			return n, err
		}
	}
}
