package client

import (
	"context"
	"net/http"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// Batch is a batch as it is at one moment.
type Batch struct {
	ID     string         `json:"id"`
	Counts manager.Counts `json:"counts"`
	Done   bool           `json:"done"`           // all of its tasks have ended
	Tasks  []manager.Task `json:"tasks"`          // at most manager.MaxPage, without their bytes
	Next   string         `json:"next,omitempty"` // not empty: there are more; List has them by the label manager.LabelBatchID
}

// Batch returns a batch. With a wait above zero it waits so long for all its tasks to end.
func (c *Client) Batch(ctx context.Context, id string, wait time.Duration) (Batch, error) {
	until := time.Now().Add(wait)
	for {
		left := max(0, time.Until(until))
		var b Batch
		err := c.call(ctx, newRequest(http.MethodGet, "batches", id).waiting(min(left, maxWait)), &b)
		if err != nil || b.Done || time.Until(until) <= 0 {
			return b, err
		}
	}
}

// Selection says which tasks something is done to: those that match a filter, or those that are named. With IDs the filter is not looked at.
type Selection struct {
	Filter manager.Filter
	IDs    []string
}

// Done is what was done to several tasks.
type Done struct {
	Count  int         `json:"count"`            // tasks to which it was done
	Errors []DoneError `json:"errors,omitempty"` // why it was not done to others
}

// DoneError is why something was not done to a task.
type DoneError struct {
	ID    string     `json:"id"`
	Error *abi.Error `json:"error"`
}

// CancelAll cancels tasks that have not ended; see manager.Manager.CancelAll.
func (c *Client) CancelAll(ctx context.Context, s Selection) (Done, error) {
	return c.all(ctx, "cancel", s, false)
}

// RetryAll puts tasks back into the queue, those that failed unless Filter.Status says otherwise; see manager.Manager.RetryAll.
func (c *Client) RetryAll(ctx context.Context, s Selection, anew bool) (Done, error) {
	return c.all(ctx, "retry", s, anew)
}

// DeleteAll removes tasks that have ended.
func (c *Client) DeleteAll(ctx context.Context, s Selection) (Done, error) {
	return c.all(ctx, "delete", s, false)
}

func (c *Client) all(ctx context.Context, what string, s Selection, anew bool) (Done, error) {
	body := struct {
		Filter *manager.Filter `json:"filter,omitempty"`
		IDs    []string        `json:"ids,omitempty"`
		Anew   bool            `json:"anew,omitempty"`
	}{IDs: s.IDs, Anew: anew}
	if s.IDs == nil {
		body.Filter = &s.Filter
	}
	r, err := newRequest(http.MethodPost, "tasks", what).with(body)
	if err != nil {
		return Done{}, err
	}
	r.timeout = 10 * c.cfg.Timeout // there may be many of them
	var d Done
	err = c.call(ctx, r, &d)
	return d, err
}
