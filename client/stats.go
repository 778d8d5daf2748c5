package client

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// Stats is what a server does at one moment.
type Stats struct {
	Tasks      manager.Stats `json:"tasks"`
	Plugins    int           `json:"plugins"`
	Instances  int           `json:"instances"` // sandboxes that exist now
	Version    string        `json:"version"`   // of the server
	StartedAt  time.Time     `json:"started_at"`
	Goroutines int           `json:"goroutines"`
	Memory     uint64        `json:"memory_bytes"`
	Clients    int           `json:"clients"` // streams of events that are open
	Waiting    int           `json:"waiting"` // requests that wait for a task
	Principal  Principal     `json:"principal"`
}

// Principal is whom the server takes the client for.
type Principal struct {
	ID   string `json:"id"` // of the token; "local" at a server without tokens
	Name string `json:"name"`
	Role string `json:"role"` // read, submit, operate or admin
}

// Stats returns what the server does now.
func (c *Client) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := c.call(ctx, newRequest(http.MethodGet, "stats"), &s)
	return s, err
}

// History is what a server did in the last hour, a point for each interval.
type History struct {
	Interval int     `json:"interval_s"` // seconds
	Points   []Point `json:"points"`     // the oldest first
}

// Point is what a server did in one interval.
type Point struct {
	Time      time.Time `json:"t"` // of its end
	Submitted int       `json:"submitted"`
	Completed int       `json:"completed"`
	Failed    int       `json:"failed"`
	Cancelled int       `json:"cancelled"`
	P50       float64   `json:"p50_s"` // seconds that half of the tasks that ended took at most
	P99       float64   `json:"p99_s"`
	Pending   int       `json:"pending"` // at its end
	Running   int       `json:"running"`
}

// History returns the points after a time; zero: all.
func (c *Client) History(ctx context.Context, since time.Time) (History, error) {
	r := newRequest(http.MethodGet, "stats", "history")
	if !since.IsZero() {
		r.query.Set("since", since.Format(time.RFC3339Nano))
	}
	var h History
	err := c.call(ctx, r, &h)
	return h, err
}

// AuditEntry tells who changed what.
type AuditEntry struct {
	Time      time.Time `json:"time"`
	Principal Principal `json:"principal"`
	Remote    string    `json:"remote,omitempty"` // the address that it came from
	Action    string    `json:"action"`           // such as plugin.upload
	Object    string    `json:"object,omitempty"` // of what: a plugin's name or a task's id
	Code      abi.Code  `json:"code,omitempty"`   // why it was not done
	Error     string    `json:"error,omitempty"`
}

// Audit returns the newest entries of the audit log, at most max; 0: the server's default. It needs the role admin.
func (c *Client) Audit(ctx context.Context, max int) ([]AuditEntry, error) {
	r := newRequest(http.MethodGet, "audit")
	if max > 0 {
		r.query.Set("limit", strconv.Itoa(max))
	}
	var list struct {
		Entries []AuditEntry `json:"entries"`
	}
	err := c.call(ctx, r, &list)
	return list.Entries, err
}

// Ready tells whether the server takes work: nil, or why not.
func (c *Client) Ready(ctx context.Context) error {
	r := newRequest(http.MethodGet)
	r.path, r.accept = "/readyz", "*/*"
	body, err := c.open(ctx, r)
	if err != nil {
		return err
	}
	_, _ = io.CopyN(io.Discard, body, maxProblem)
	return body.Close()
}
