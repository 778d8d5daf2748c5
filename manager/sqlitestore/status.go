package sqlitestore

import "github.com/taskhost/taskhost/manager"

// status is a manager.Status as the column status has it.
type status uint8

const (
	pending status = iota
	running
	completed
	failed
	cancelled
	numStatuses
	none status = 255 // there is no row
)

var words = [numStatuses]manager.Status{
	manager.StatusPending, manager.StatusRunning, manager.StatusCompleted, manager.StatusFailed, manager.StatusCancelled,
}

// statusOf is the number of a word; false: it is none.
func statusOf(w manager.Status) (status, bool) {
	for s, word := range words {
		if word == w {
			return status(s), true
		}
	}
	return none, false
}

func (s status) final() bool { return s >= completed && s < numStatuses }

// tally counts tasks and what they hold.
type tally struct {
	Tasks        [numStatuses]int64 `json:"tasks"`         // in the order of the numbers
	PendingBytes int64              `json:"pending_bytes"` // Spec.Bytes of pending tasks
	DoneBytes    int64              `json:"done_bytes"`    // Task.Bytes of final tasks
}

// add counts a task with so many bytes by times more.
func (c *tally) add(s status, bytes, by int64) {
	if s >= numStatuses {
		return
	}
	c.Tasks[s] += by
	switch {
	case s == pending:
		c.PendingBytes += by * bytes
	case s.final():
		c.DoneBytes += by * bytes
	}
}

// sub takes another tally off.
func (c *tally) sub(d *tally) {
	for i, n := range d.Tasks {
		c.Tasks[i] -= n
	}
	c.PendingBytes -= d.PendingBytes
	c.DoneBytes -= d.DoneBytes
}

func (c *tally) final() int64 { return c.Tasks[completed] + c.Tasks[failed] + c.Tasks[cancelled] }

func (c *tally) counts() manager.Counts {
	return manager.Counts{
		Pending: int(c.Tasks[pending]), Running: int(c.Tasks[running]), Completed: int(c.Tasks[completed]),
		Failed: int(c.Tasks[failed]), Cancelled: int(c.Tasks[cancelled]),
	}
}

// bytesOf is what a task counts for: Spec.Bytes until it is final, then Task.Bytes.
func bytesOf(t *manager.Task) int64 {
	if t.Status.Final() {
		return t.Bytes()
	}
	return t.Spec.Bytes()
}
