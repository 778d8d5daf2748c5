package manager

import (
	"context"
	"slices"
	"time"
)

// Store keeps tasks and hands them to workers. The manager needs nothing else from it, so that a file or a cluster can stand behind
// it. NewMemoryStore makes the default one, package sqlitestore keeps tasks in a file; package storetest has the suite that every
// store must pass.
//
// All methods are safe for concurrent use, and honour their context when they have to wait. A task that goes in or comes out
// belongs to nobody: neither side writes to its slices or maps afterwards. Errors are *abi.Error: CodeNotFound for an unknown id,
// CodeConflict for a revision that is no longer the current one, CodeLeaseLost for a lease that is no longer held, CodeQueueFull,
// and CodeUnavailable when the store itself cannot work. When a method returns an error, nothing was changed, except with
// CodeUnavailable, where the caller cannot know.
//
// When several of them are true: CodeNotFound goes before CodeLeaseLost, and that before CodeConflict.
type Store interface {
	TaskStore
	QueueStore
	RecordStore
}

// TaskStore is the part of a Store that keeps tasks.
type TaskStore interface {
	// Create adds pending tasks, all of them or none, and sets their first revisions in the slice that it was given. When it
	// returns, they are as safe as the store can make them. The slice itself stays the caller's, who uses it again.
	//
	// Errors: CodeConflict for an id in use, CodeQueueFull when the pending tasks would pass the limit, CodeInvalid for a task
	// with Spec.Func in a store that persists, CodeNotFound when a task of Spec.After is neither in the store nor before it in
	// the slice. A task whose Spec.Unique key is held is not created: with Unique.Existing the one that holds the key takes its place in the
	// slice, else the error is CodeConflict and its Task the id of that one.
	Create(ctx context.Context, tasks []Task, o CreateOptions) error

	// Get returns a task with all its bytes.
	Get(ctx context.Context, id string) (Task, error)

	// List returns a page of the tasks that match, newest first, without Spec.Input, Output, Partial and Checkpoint.
	List(ctx context.Context, f Filter) (Page, error)

	// Counts tells how many tasks there are in each status.
	Counts(ctx context.Context) (Counts, error)

	// Claim waits for a task that can be worked on and leases it. It does not change the task, not even its status: the worker does
	// that, with Save. When ctx ends it returns ctx's error. What can be worked on, most urgent first:
	//
	//   - a task that is not final and whose lease ran out, and a pending one that is past ExpiresAt;
	//   - a pending one that is due, has no lease, whose Spec.After are all final, which is the first of its agent (Spec.Agent),
	//     and whose queue and plugins allow it (Limit). Of several queues the one that has the fewest tasks running goes first,
	//     within a queue the task that has waited longest, where one step of Spec.Priority counts as much as a wait of PriorityStep.
	Claim(ctx context.Context, ttl time.Duration) (Task, Lease, error)

	// Extend makes a lease last for ttl from now, and returns the task as it is now, without the bytes that List leaves out,
	// so that the holder learns of a cancel that somebody else asked for. CodeLeaseLost when the lease is no longer held.
	Extend(ctx context.Context, l Lease, ttl time.Duration) (Task, error)

	// Save replaces the task if t.Revision is still its revision, and returns the new, larger one. The records are put with it,
	// all or nothing.
	//
	// The worker passes its lease, and CodeLeaseLost means that it is no longer held: nothing was written. Whoever holds none passes
	// the zero Lease. Saving a task that is not running settles it: the lease ends, whoever held it; a pending task can be claimed
	// again from RunAt on (at once where that is zero), a final one never, unless it is saved as pending.
	//
	// When Save returns, the change is as safe as the store can make it; for a task that is and stays running this may come a
	// moment later, unless its Cause or Checkpoint changed.
	Save(ctx context.Context, t Task, l Lease, records ...Record) (revision uint64, err error)

	// Delete removes a final task; one that is not final is CodeConflict.
	Delete(ctx context.Context, id string) error

	// Sweep removes at most max final tasks that retention does not keep, oldest end first, and returns how many it removed.
	// It leaves those that a task which is not final has in Spec.After.
	Sweep(ctx context.Context, r Retention, max int) (removed int, err error)
}

// QueueStore is the part of a Store that knows queues and limits.
type QueueStore interface {
	// Queues lists the queues and plugins that have a limit or tasks that are not final, sorted by name, queues first.
	Queues(ctx context.Context) ([]QueueStatus, error)
	// SetLimit replaces the limit of one queue or plugin; one without any bound removes it. It takes effect at once for tasks that
	// are claimed from now on.
	SetLimit(ctx context.Context, l Limit) error
}

// RecordStore is the part of a Store that keeps small records for the manager: schedules, agents' memories.
type RecordStore interface {
	// Record returns one record; CodeNotFound if there is none.
	Record(ctx context.Context, kind, name string) (Record, error)
	// Records returns at most max records of a kind, by name, those after the name that is given.
	Records(ctx context.Context, kind, after string, max int) ([]Record, error)
	// Put writes records, all or none, each if its revision is the current one (0: there is none yet), else CodeConflict.
	Put(ctx context.Context, records ...Record) error
}

// Record is a small named value. Its next revision is the one it was written with plus 1. Data that is nil removes it.
type Record struct {
	Kind     string
	Name     string
	Revision uint64
	Data     []byte // at most MaxRecord bytes
}

// MaxRecord bounds Record.Data, in bytes.
const MaxRecord = 8 << 20

// CreateOptions are what Create has to observe besides the tasks.
type CreateOptions struct {
	Limit   QueueLimit
	Records []Record // put with the tasks, all or nothing; for one that has changed, the error is CodeConflict without a Task
}

// PriorityStep is the wait that one step of Spec.Priority counts as much as.
const PriorityStep = time.Minute

// Lease is a claim on a task for a limited time. The zero Lease is none.
type Lease struct {
	ID      string    // of the task
	Token   uint64    // names the claim; a later claim of the same task has another
	Expires time.Time // when others may claim it, unless it is extended or settled before
}

// QueueLimit bounds the pending tasks. A zero field is no bound.
type QueueLimit struct {
	Tasks int
	Bytes int64 // of their Spec.Bytes
}

// Retention says which final tasks to keep. A zero field is no bound.
type Retention struct {
	FinishedAfter time.Time // remove those that ended before this
	Tasks         int       // keep at most so many
	Bytes         int64     // keep at most so many of Task.Bytes
}

// Counts is how many tasks there are in each status.
type Counts struct {
	Pending   int `json:"pending"`
	Running   int `json:"running"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
}

// Of returns the count for one status; 0 for a word that is none.
func (c Counts) Of(s Status) int {
	if p := c.of(s); p != nil {
		return *p
	}
	return 0
}

func (c *Counts) of(s Status) *int {
	switch s {
	case StatusPending:
		return &c.Pending
	case StatusRunning:
		return &c.Running
	case StatusCompleted:
		return &c.Completed
	case StatusFailed:
		return &c.Failed
	case StatusCancelled:
		return &c.Cancelled
	}
	return nil
}

// MaxPage bounds Filter.Limit.
const MaxPage = 1000

// Filter selects tasks. Fields that are set must all match; the zero Filter selects every task.
type Filter struct {
	Status []Status          `json:"status,omitempty"` // any of these
	Kind   Kind              `json:"kind,omitempty"`
	Name   string            `json:"name,omitempty"`
	Plugin string            `json:"plugin,omitempty"` // any step uses it
	Queue  string            `json:"queue,omitempty"`
	Labels map[string]string `json:"labels,omitempty"` // all of these
	After  time.Time         `json:"after,omitzero"`   // created then or later
	Before time.Time         `json:"before,omitzero"`  // created before

	Limit  int    `json:"limit,omitempty"`  // of one page; default 100, at most MaxPage
	Cursor string `json:"cursor,omitempty"` // Page.Next of the page before; empty: the first page
}

// limit is the size of a page.
func (f *Filter) limit() int {
	if f.Limit <= 0 {
		return 100
	}
	return min(f.Limit, MaxPage)
}

// Page is a part of a list.
type Page struct {
	Tasks []Task `json:"tasks"`
	Next  string `json:"next,omitempty"` // Filter.Cursor for the next page; empty: this is the last
}

// Match reports whether a task is selected. Limit and Cursor play no part in it.
func (f *Filter) Match(t *Task) bool {
	switch {
	case len(f.Status) > 0 && !slices.Contains(f.Status, t.Status),
		f.Kind != "" && f.Kind != t.Spec.Kind,
		f.Name != "" && f.Name != t.Spec.Name,
		f.Queue != "" && f.Queue != t.Spec.Queue,
		!f.After.IsZero() && t.CreatedAt.Before(f.After),
		!f.Before.IsZero() && !t.CreatedAt.Before(f.Before),
		f.Plugin != "" && !usesPlugin(t.Spec.Steps, f.Plugin):
		return false
	}
	for k, v := range f.Labels {
		if have, ok := t.Spec.Labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}

func usesPlugin(steps []Step, plugin string) bool {
	for i := range steps {
		if steps[i].Plugin == plugin {
			return true
		}
	}
	return false
}
