package manager

import (
	"strconv"

	"github.com/taskhost/taskhost/abi"
)

// The errors that every store has in common, so that they read the same.

// NotFound is for an unknown id of a task.
func NotFound(id string) *abi.Error {
	return abi.Errorf(abi.CodeNotFound, "there is no task %.64q: it never was, or it ended long ago and was removed", id)
}

// UnknownAfter is for an id in Spec.After that is unknown.
func UnknownAfter(id string) *abi.Error {
	return abi.Errorf(abi.CodeNotFound, "there is no task %.64q to wait for: it never was, or it ended long ago and was removed", id)
}

// IDInUse is for a new task whose id another has.
func IDInUse(id string) *abi.Error {
	return &abi.Error{Code: abi.CodeConflict, Task: id, Message: "there is a task with this id already"}
}

// Changed is for a task whose revision is no longer the current one.
func Changed(id string) *abi.Error {
	return &abi.Error{Code: abi.CodeConflict, Task: id, Message: "the task has changed meanwhile"}
}

// LeaseLost is for a lease that is no longer held.
func LeaseLost(id string) *abi.Error { return stopError(id, CauseLeaseLost) }

// NotFinal is for a task that is to be deleted and has not ended.
func NotFinal(id string) *abi.Error {
	return &abi.Error{Code: abi.CodeConflict, Task: id, Message: "the task has not ended; cancel it first"}
}

// KeyHeld is for a task whose unique key is held by another one, id.
func KeyHeld(key, id string) *abi.Error {
	return &abi.Error{Code: abi.CodeConflict, Task: id, Message: "the unique key " + strconv.Quote(key) + " is held by this task"}
}

// NoRecord is for an unknown record.
func NoRecord(kind, name string) *abi.Error {
	return abi.Errorf(abi.CodeNotFound, "there is no %s %.120q", kind, name)
}

// Check reports CodeQueueFull if tasks more, which hold so many bytes, would pass the limit.
func (l *QueueLimit) Check(pending int, pendingBytes int64, tasks int, bytes int64) error {
	switch {
	case tasks == 0:
	case l.Tasks > 0 && pending+tasks > l.Tasks:
		return abi.Errorf(abi.CodeQueueFull, "the queue is full: %d tasks wait", pending)
	case l.Bytes > 0 && pendingBytes+bytes > l.Bytes:
		return abi.Errorf(abi.CodeQueueFull, "the queue is full: %d waiting tasks hold %d bytes", pending, pendingBytes)
	}
	return nil
}

// Check reports whether the record may be put where the current revision is the one given; 0: there is none.
func (r *Record) Check(current uint64) error {
	if r.Revision != current {
		return abi.Errorf(abi.CodeConflict, "the %s %.120q has changed meanwhile", r.Kind, r.Name)
	}
	if len(r.Data) > MaxRecord {
		return abi.Errorf(abi.CodeInvalid, "the %s %.120q has %d bytes; at most %d are allowed", r.Kind, r.Name, len(r.Data), MaxRecord)
	}
	return nil
}
