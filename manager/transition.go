package manager

import (
	"fmt"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// move is what can happen to a task.
type move int

const (
	moveStart   move = iota // a worker begins an attempt
	moveSucceed             // the last step ended well
	moveFail                // the attempt failed, or its time is over
	moveAsk                 // somebody asks for the task to stop
	moveStop                // the attempt ended because it was asked to
	moveRelease             // the attempt ended because the manager stops and leaves the task for later
	moveLose                // the worker that had the task is gone
	moveNote                // the attempt goes on, and something of it is to be stored
	moveRevive              // somebody wants a failed or cancelled task to run again
	numMoves
)

func (m move) String() string {
	return [...]string{"start", "succeed", "fail", "ask", "stop", "release", "lose", "note", "revive"}[m]
}

// change is a move with all that it brings.
type change struct {
	move   move
	now    time.Time
	cause  Cause      // ask, stop
	err    *abi.Error // fail, ask, stop
	jitter float64    // fail: a random number, 0 ≤ jitter < 1
	anew   bool       // revive: from the first step, without the checkpoint
	ended  ended      // succeed, fail, stop: what the attempt left
}

// ended is what an attempt leaves.
type ended struct {
	output      []byte // succeed
	partial     []byte // output of the step before the one that failed
	partialStep int
	function    string
	version     abi.Digest
	usage       abi.Usage // of this attempt
	log         []abi.LogLine
}

// transition is the only place where a task's status changes. It is pure: it returns the task as it is after the change, and
// CodeConflict if the change is not possible in the task's status.
func transition(t Task, c change) (Task, error) {
	err := t.move(&c)
	return t, err
}

// move is transition for a task that nobody else sees: it is changed where it is, unless there is an error.
func (t *Task) move(c *change) error {
	switch {
	case t.Status == StatusPending && c.move == moveStart:
		start(t, c)
		return nil
	case t.Status == StatusPending && c.move == moveAsk:
		finish(t, StatusCancelled, c, c.err)
		return nil
	case t.Status == StatusPending && c.move == moveFail: // its time was over before it began
		finish(t, StatusFailed, c, c.err)
		return nil
	case t.Status == StatusPending && c.move == moveRelease: // claimed and given back
		return nil
	case (t.Status == StatusFailed || t.Status == StatusCancelled) && c.move == moveRevive:
		revive(t, c)
		return nil
	case t.Status != StatusRunning || c.move == moveStart || c.move == moveRevive:
		return &abi.Error{Code: abi.CodeConflict, Task: t.ID, Message: "a " + string(t.Status) + " task cannot " + c.move.String()}
	}

	switch c.move {
	case moveNote:
	case moveAsk:
		t.Cause = or(t.Cause, c.cause)
	case moveSucceed:
		leave(t, c, nil)
		finish(t, StatusCompleted, c, nil)
	case moveStop:
		t.Cause = or(t.Cause, c.cause)
		leave(t, c, c.err)
		finish(t, StatusCancelled, c, c.err)
	case moveRelease, moveLose, moveFail:
		switch {
		case t.Cause == CauseUser:
			stopAsAsked(t, c)
		case c.move == moveRelease:
			release(t)
		case c.move == moveLose:
			lose(t, c)
		default:
			fail(t, c)
		}
	}
	return nil
}

// lose counts an attempt whose worker is gone, and gives the task up when that happens again and again: it may be the reason.
func lose(t *Task, c *change) {
	crashes := t.Crashes + 1
	err := &abi.Error{Code: abi.CodeLeaseLost, Task: t.ID, Message: "the worker that ran this attempt is gone"}
	leave(t, c, err)
	t.Crashes = crashes
	if crashes < MaxCrashes {
		again(t, err, time.Time{})
		return
	}
	finish(t, StatusFailed, c, &abi.Error{
		Code: abi.CodeCrashed, Task: t.ID,
		Message: fmt.Sprintf("the host went down %d times in a row while this task ran; retry it once the reason is known", crashes),
	})
}

// revive puts a task that failed or was cancelled back in the queue, with all the attempts that its spec allows.
func revive(t *Task, c *change) {
	t.Status, t.RunAt, t.FinishedAt, t.Cause, t.Crashes = StatusPending, time.Time{}, time.Time{}, "", 0
	t.StartedAt, t.AttemptAt, t.ExpiresAt = time.Time{}, time.Time{}, time.Time{}
	t.Retried = t.Attempt
	if c.anew {
		t.Partial, t.PartialStep, t.PartialCut = nil, 0, false
		t.Checkpoint, t.CheckpointStep = nil, 0
		t.Progress, t.CurrentStep, t.Message = 0, 0, ""
	}
}

func start(t *Task, c *change) {
	if t.StartedAt.IsZero() {
		t.StartedAt = c.now
	}
	if t.PartialCut {
		t.Partial, t.PartialStep, t.PartialCut = nil, 0, false
	}
	t.Status, t.AttemptAt, t.RunAt, t.ExpiresAt, t.Error, t.Cause = StatusRunning, c.now, time.Time{}, time.Time{}, nil, ""
	t.Attempt++
	t.TotalSteps = max(1, len(t.Spec.Steps))
	t.CurrentStep = t.PartialStep + 1
	t.Progress = float64(t.PartialStep) / float64(t.TotalSteps)
	t.Message = ""
}

// fail decides between failed and another attempt.
func fail(t *Task, c *change) {
	leave(t, c, c.err)
	if t.Spec.Retry.again(c.err.Code, t.Attempt-t.Retried) {
		at := c.now.Add(t.Spec.Retry.wait(t.Attempt-t.Retried, c.jitter))
		if end := t.deadline(); end.IsZero() || at.Before(end) {
			again(t, c.err, at)
			return
		}
	}
	finish(t, StatusFailed, c, c.err)
}

// stopAsAsked ends an attempt that did not end well and was to stop anyway.
func stopAsAsked(t *Task, c *change) {
	err := stopError(t.ID, t.Cause)
	leave(t, c, err)
	finish(t, StatusCancelled, c, err)
}

// again puts a task back in the queue.
func again(t *Task, err *abi.Error, at time.Time) {
	t.Status, t.Error, t.RunAt, t.Cause = StatusPending, err, at, ""
}

// release undoes the start of an attempt.
func release(t *Task) {
	t.Status, t.Cause, t.AttemptAt = StatusPending, "", time.Time{}
	if t.Attempt--; t.Attempt == t.Retried {
		t.StartedAt = time.Time{}
	}
}

// finish makes a task final. The error is for one that did not complete.
func finish(t *Task, s Status, c *change, err *abi.Error) {
	t.Status, t.FinishedAt, t.RunAt = s, c.now, time.Time{}
	switch s {
	case StatusCompleted:
		t.Output, t.OutputBytes = c.ended.output, len(c.ended.output)
		t.Partial, t.PartialStep, t.PartialCut = nil, 0, false
		t.Checkpoint, t.CheckpointStep = nil, 0
		t.Progress, t.CurrentStep = 1, t.TotalSteps
		t.Error, t.Cause = nil, ""
	case StatusFailed:
		t.Error = err
		if err.Code == abi.CodeTimeout {
			t.Cause = CauseTimeout
		}
	case StatusCancelled:
		t.Error = err
		t.Cause = or(t.Cause, c.cause)
	}
}

// leave records the end of an attempt.
func leave(t *Task, c *change, err *abi.Error) {
	e := &c.ended
	t.Usage = t.Usage.Add(e.usage)
	t.Crashes = 0
	t.Function, t.Version = or(e.function, t.Function), or(e.version, t.Version)
	if e.partialStep >= t.CheckpointStep {
		t.Checkpoint, t.CheckpointStep = nil, 0
	}
	if e.partialStep > 0 {
		t.PartialStep, t.PartialCut = e.partialStep, len(e.partial) > MaxPartialBytes
		t.Partial = e.partial
		if t.PartialCut { // a copy, so that what was cut off is not held
			t.Partial = append([]byte(nil), e.partial[:MaxPartialBytes]...)
		}
	}
	kept := t.Attempts[max(0, len(t.Attempts)-(MaxKeptAttempts-1)):]
	attempts := make([]Attempt, 0, len(kept)+1)
	t.Attempts = append(append(attempts, kept...), Attempt{
		Number: t.Attempt, StartedAt: t.AttemptAt, FinishedAt: c.now, Version: e.version, Usage: e.usage, Error: err, Log: e.log,
	})
}

// deadline is when the task's time is over; zero: never, or it has not started.
func (t *Task) deadline() time.Time {
	if t.Spec.Timeout == 0 || t.StartedAt.IsZero() {
		return time.Time{}
	}
	return t.StartedAt.Add(t.Spec.Timeout)
}

// stopError is the error of a task that was stopped, and the cause of its context.
func stopError(id string, cause Cause) *abi.Error {
	e := &abi.Error{Task: id}
	switch cause {
	case CauseShutdown:
		e.Code, e.Message = abi.CodeShutdown, "stopped, because the task manager stops"
	case CauseLeaseLost:
		e.Code, e.Message = abi.CodeLeaseLost, "abandoned, because another worker has the task"
	default:
		e.Code, e.Message = abi.CodeCancelled, "cancelled"
	}
	return e
}
