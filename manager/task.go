package manager

import (
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Status is where a task stands.
type Status string

// The statuses. Each comment says who moves a task out of it.
const (
	// StatusPending: waiting for a slot, or for its next attempt (see Task.RunAt). A worker moves it to running, Cancel or Stop to
	// cancelled.
	StatusPending Status = "pending"
	// StatusRunning: a worker has it. The end of the attempt moves it to completed, failed, cancelled, or back to pending for a retry.
	StatusRunning Status = "running"
	// StatusCompleted: the output is there. Final.
	StatusCompleted Status = "completed"
	// StatusFailed: Task.Error says why; a timeout is a failure with CodeTimeout. Final, until Retry puts it back to pending.
	StatusFailed Status = "failed"
	// StatusCancelled: stopped, or never begun; Task.Cause says by whom. Final, until Retry puts it back to pending.
	StatusCancelled Status = "cancelled"
)

// Statuses lists every status.
func Statuses() []Status {
	return []Status{StatusPending, StatusRunning, StatusCompleted, StatusFailed, StatusCancelled}
}

// Final reports whether a task of this status does not change by itself any more.
func (s Status) Final() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCancelled
}

// Cause is who asked for a task to stop.
type Cause string

// The causes.
const (
	CauseUser       Cause = "user"       // Manager.Cancel
	CauseTimeout    Cause = "timeout"    // the time of the task or the step is over
	CauseShutdown   Cause = "shutdown"   // Manager.Stop ran out of time
	CauseLeaseLost  Cause = "lease_lost" // another worker has the task now; this one writes nothing
	CauseDependency Cause = "dependency" // a task that it waits for did not complete, and Spec.AfterFailed is AfterSkip
)

// Task is a task as it was at one moment: a copy, which nothing changes afterwards. Slices, maps and the error may be shared with
// other copies: read them, do not write to them.
type Task struct {
	ID     string `json:"id"` // UUIDv7: later tasks have larger ids
	Spec   Spec   `json:"spec"`
	Status Status `json:"status"`

	Progress    float64 `json:"progress"`     // 0..1
	CurrentStep int     `json:"current_step"` // the step that runs, from 1; with one step: what the plugin reports, if it does
	TotalSteps  int     `json:"total_steps"`
	Message     string  `json:"message,omitempty"` // the plugin's last progress message

	CreatedAt  time.Time `json:"created_at"`
	RunAt      time.Time `json:"run_at,omitzero"`      // pending: not before this
	ExpiresAt  time.Time `json:"expires_at,omitzero"`  // not begun yet: fails then
	StartedAt  time.Time `json:"started_at,omitzero"`  // start of the first attempt
	FinishedAt time.Time `json:"finished_at,omitzero"` // when it became final

	Attempt   int       `json:"attempt"`             // attempts begun so far
	AttemptAt time.Time `json:"attempt_at,omitzero"` // start of the last one
	Attempts  []Attempt `json:"attempts,omitempty"`  // ended ones, the last MaxKeptAttempts
	Retried   int       `json:"retried,omitempty"`   // attempts that were begun before Manager.Retry was called last
	Crashes   int       `json:"crashes,omitempty"`   // attempts in a row whose worker was gone

	Output      []byte `json:"output,omitempty"`       // of the last step; completed tasks only
	OutputBytes int    `json:"output_bytes,omitempty"` // its size, also where List leaves the bytes out
	InputBytes  int    `json:"input_bytes,omitempty"`  // size of Spec.Input, also where List leaves the bytes out

	// Partial is the output of the last step that ended well in a processor task that did not complete, and PartialStep the number
	// of that step. PartialCut: it was larger than MaxPartialBytes, and this is the beginning of it.
	Partial     []byte `json:"partial,omitempty"`
	PartialStep int    `json:"partial_step,omitempty"`
	PartialCut  bool   `json:"partial_cut,omitempty"`

	// Checkpoint is the state that the plugin of step CheckpointStep saved last; it is dropped when that step ends.
	Checkpoint     []byte `json:"checkpoint,omitempty"`
	CheckpointStep int    `json:"checkpoint_step,omitempty"`

	Error *abi.Error `json:"error,omitempty"` // of a failed or cancelled task; of the last attempt while it waits for the next
	// Cause is who cancelled it. A running task with a cause is being stopped. A failed task that ran out of time has CauseTimeout.
	Cause Cause `json:"cause,omitempty"`

	Function string     `json:"function,omitempty"` // the function that ran last, also when the step left the choice to the plugin
	Version  abi.Digest `json:"version,omitempty"`  // the version of the plugin that ran last
	Usage    abi.Usage  `json:"usage"`              // all steps and attempts together

	Revision uint64 `json:"revision"` // the store's: it grows with every save
}

// Bounds on what a task keeps.
const (
	MaxKeptAttempts = 10      // ended attempts
	MaxCrashes      = 3       // attempts in a row whose worker was gone; then the task fails with CodeCrashed
	MaxPartialBytes = 1 << 20 // bytes of Task.Partial
)

// Attempt is one ended try at running a task.
type Attempt struct {
	Number     int           `json:"number"` // from 1
	StartedAt  time.Time     `json:"started_at"`
	FinishedAt time.Time     `json:"finished_at"`
	Version    abi.Digest    `json:"version,omitempty"`
	Usage      abi.Usage     `json:"usage"`
	Error      *abi.Error    `json:"error,omitempty"`
	Log        []abi.LogLine `json:"log,omitempty"` // the last lines that the plugin logged
}

// Err is Attempt.Error as an error: nil for an attempt that ended well.
func (a Attempt) Err() error {
	if a.Error == nil {
		return nil
	}
	return a.Error
}

// Duration is how long the task ran from its first start to its end: up to now for a running task, 0 for one that never started.
// Waits between attempts are included.
func (t Task) Duration() time.Duration {
	switch {
	case t.StartedAt.IsZero():
		return 0
	case t.FinishedAt.IsZero():
		return time.Since(t.StartedAt)
	}
	return t.FinishedAt.Sub(t.StartedAt)
}

// Err is Task.Error as an error: nil unless the task failed or was cancelled.
func (t Task) Err() error {
	if t.Error == nil || (t.Status != StatusFailed && t.Status != StatusCancelled) {
		return nil
	}
	return t.Error
}

// header is the task without the bytes that it carries.
func (t Task) header() Task {
	t.Spec.Input, t.Output, t.Partial, t.Checkpoint = nil, nil, nil, nil
	return t
}

// Bytes is what the task holds besides itself: Spec.Bytes, outputs and errors. Stores count it for Retention.Bytes.
func (t *Task) Bytes() int64 {
	n := t.Spec.Bytes() + int64(len(t.Output)+len(t.Partial)+len(t.Checkpoint))
	for i := range t.Attempts {
		if e := t.Attempts[i].Error; e != nil {
			n += int64(len(e.Message) + len(e.Detail))
		}
	}
	return n
}
