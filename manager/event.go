package manager

import "time"

// EventKind says what happened. It is the operation of the metric taskhost_task_operations_total; the event's Task.Status is its status.
type EventKind string

// The kinds. For each task they come in the order in which they happened: submit; start, progress…, retry; start, progress…, finish.
// A cancel may stand anywhere between submit and finish. Every task that was submitted has exactly one finish in the process that
// ends it, and one more for each Retry.
const (
	// EventSubmit: the task was accepted and stored. Status: pending.
	EventSubmit EventKind = "submit"
	// EventReject: Submit returned an error, which is Event.Error. The task was not stored and has no id; its status is empty.
	EventReject EventKind = "reject"
	// EventStart: an attempt begins. Status: running.
	EventStart EventKind = "start"
	// EventProgress: the task is further. Coalesced: at most one for each task and Config.ProgressInterval, but one for each step
	// of a processor task.
	EventProgress EventKind = "progress"
	// EventRetry: an attempt failed, or its worker is gone, and the task will be tried again at Task.RunAt; or Retry was called.
	// Status: pending.
	EventRetry EventKind = "retry"
	// EventCancel: Cancel was called. Status: cancelled if it was pending (finish follows), running if it has to
	// be stopped first. A cancel of a finished task changes nothing and is no event.
	EventCancel EventKind = "cancel"
	// EventFinish: the task is final. Status: completed, failed or cancelled.
	EventFinish EventKind = "finish"
	// EventLost: the attempt was abandoned because another worker has the task; nothing was written. Status: running.
	EventLost EventKind = "lost"
	// EventError: the store failed; Event.Error says how. The task is empty if it concerns none.
	EventError EventKind = "error"
)

// Event is one change of one task.
type Event struct {
	Kind EventKind `json:"kind"`
	Time time.Time `json:"time"`
	// Task is the task after the change. Its slices and maps are shared: do not write to them.
	Task Task `json:"task"`
	// Error is set for EventReject and EventError. The errors of tasks are in Task.Error.
	Error error `json:"-"`
}
