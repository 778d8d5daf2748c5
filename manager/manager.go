package manager

import (
	"context"

	"github.com/taskhost/taskhost/abi"
)

// Runner runs one call of a plugin's function. *host.Host is one.
//
// Run must be safe for concurrent use and return soon after ctx is done; context.Cause(ctx) is an *abi.Error that says why. It may
// call report until it returns. When it returns an error, the Result beside it still has Function, Version and Usage as far as known.
type Runner interface {
	Run(ctx context.Context, call abi.Call, report func(abi.Progress)) (abi.Result, error)
}

// Manager runs tasks. Its methods are safe for concurrent use. Make one with New.
type Manager struct{}

// New makes a manager that runs plugins through runner, which may be nil if only Go functions are to run. It starts nothing:
// tasks can be submitted, and wait for Start. The error is CodeInvalid and says which field of cfg is wrong.
func New(runner Runner, cfg Config) (*Manager, error) { panic("todo") }

// Start begins to work off the queue. ctx gives the values that runs see, such as a trace; its end does not stop the manager, Stop
// does. A second Start is CodeConflict, one after Stop CodeClosed.
func (m *Manager) Start(ctx context.Context) error { panic("todo") }

// Submit checks a task, stores it and returns it at once; it runs when a slot is free. When it returns without an error the task is
// stored, as safely as the store can. Errors: CodeInvalid, CodeQueueFull (see SubmitWait), CodeClosed after Stop, CodeUnavailable
// from the store, or ctx's error.
func (m *Manager) Submit(ctx context.Context, spec Spec) (Task, error) { panic("todo") }

// SubmitWait is Submit, but waits for room when the queue is full, until ctx ends or the manager stops.
func (m *Manager) SubmitWait(ctx context.Context, spec Spec) (Task, error) { panic("todo") }

// Get returns a task, with the progress that it has at this moment. An id that is unknown, or whose task retention has removed,
// is CodeNotFound.
func (m *Manager) Get(ctx context.Context, id string) (Task, error) { panic("todo") }

// List returns a page of tasks, newest first, without Spec.Input, Output and Partial.
func (m *Manager) List(ctx context.Context, f Filter) (Page, error) { panic("todo") }

// Cancel asks for a task to stop, with CauseUser. A pending task is cancelled when Cancel returns, and never runs. A running one is
// being stopped: its context is done; it becomes cancelled when its runner returns, for which Result waits. If it comes to its end
// just before it sees the cancel, it stays completed. A finished task is left as it is and the error is nil, so that a caller need
// not know whether it was in time: the task's status tells. An unknown id is CodeNotFound.
func (m *Manager) Cancel(ctx context.Context, id string) error { panic("todo") }

// Result waits for a task to end and returns it; for a finished task it returns at once. The error is that of the task if it
// failed or was cancelled: an *abi.Error with task, step, plugin and function; the Task beside it has Partial and the attempts.
// When ctx ends first, the error wraps ctx's, the Task is the one last seen, and the task goes on.
func (m *Manager) Result(ctx context.Context, id string) (Task, error) { panic("todo") }

// Stop refuses new tasks, works off the queue (see Config.KeepOnStop), and returns when nothing of the manager runs any more.
// When ctx ends before, it cancels what is left with CauseShutdown, waits for it at most Config.StopGrace, and returns an error
// that wraps ctx's and says how many tasks were cut off, or which of them do not return. Subscriptions end.
// A manager that was never started cancels what waits. A second Stop waits for the same end.
func (m *Manager) Stop(ctx context.Context) error { panic("todo") }

// Stats is what the manager does at one moment.
type Stats struct {
	Counts      Counts `json:"counts"`      // tasks in the store by status; Counts.Pending is the length of the queue
	Slots       int    `json:"slots"`       // Config.MaxConcurrent
	Busy        int    `json:"busy"`        // slots in use in this process
	Subscribers int    `json:"subscribers"` // open subscriptions
	Dropped     uint64 `json:"dropped"`     // events that subscribers were too slow for, since New
	Removed     uint64 `json:"removed"`     // finished tasks that retention removed, since New
}

// Stats returns counts; cheap enough to call at every scrape.
func (m *Manager) Stats(ctx context.Context) (Stats, error) { panic("todo") }

// Subscribe starts a subscription to events of tasks that match the filter. See Subscription.
func (m *Manager) Subscribe(ctx context.Context, f Filter, buffer int) (*Subscription, error) {
	panic("todo")
}
