package manager

import (
	"math"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Limit bounds the tasks of a queue, or those that use a plugin in any step. Zero fields are no bound.
type Limit struct {
	Queue       string `json:"queue,omitempty"`       // exactly one of queue
	Plugin      string `json:"plugin,omitempty"`      // and plugin is set
	Paused      bool   `json:"paused,omitempty"`      // nothing is claimed
	Concurrency int    `json:"concurrency,omitempty"` // tasks that are claimed at the same time
	Rate        Rate   `json:"rate,omitzero"`
}

// Rate is so many tasks in so much time: at most Tasks at once, then one each Per/Tasks. Every attempt counts.
type Rate struct {
	Tasks int           `json:"tasks"`
	Per   time.Duration `json:"per_ns"`
}

// QueueStatus is a queue, or a plugin, at one moment.
type QueueStatus struct {
	Limit
	Pending int `json:"pending"` // tasks without a lease, those that are not due included
	Running int `json:"running"` // tasks that are claimed
	// WaitingSince is when the task became due that goes next in the queue, or that waits for the plugin's limit; zero: none is due.
	WaitingSince time.Time `json:"waiting_since,omitzero"`
}

// DefaultQueue is the queue of tasks that name none.
const DefaultQueue = "default"

// Bounds on a limit.
const (
	MaxQueueName = 64             // bytes
	MaxRatePer   = 24 * time.Hour // Rate.Per
)

// Validate says what is wrong with a limit, as CodeInvalid.
func (l *Limit) Validate() error {
	switch {
	case (l.Queue == "") == (l.Plugin == ""):
		return abi.Errorf(abi.CodeInvalid, "a limit is for one queue or for one plugin: name one of them")
	case l.Queue != "" && !validQueue(l.Queue):
		return abi.Errorf(abi.CodeInvalid, "%.120q cannot name a queue: letters, digits, dot, underscore and dash, at most %d bytes", l.Queue, MaxQueueName)
	case l.Plugin != "" && !abi.ValidName(l.Plugin):
		return abi.Errorf(abi.CodeInvalid, "%.120q cannot name a plugin", l.Plugin)
	case l.Concurrency < 0 || l.Concurrency > math.MaxInt32:
		return abi.Errorf(abi.CodeInvalid, "the concurrency is %d; it must be between 0 (no bound) and %d", l.Concurrency, math.MaxInt32)
	case l.Rate.Tasks < 0 || (l.Rate.Tasks == 0) != (l.Rate.Per == 0):
		return abi.Errorf(abi.CodeInvalid, "a rate needs both tasks and a time, such as 10 in 1s")
	case l.Rate.Per < 0 || l.Rate.Per > MaxRatePer || int64(l.Rate.Tasks) > int64(l.Rate.Per):
		return abi.Errorf(abi.CodeInvalid, "the rate is %d tasks in %v; the time must be at most %v, and a task each nanosecond is the most", l.Rate.Tasks, l.Rate.Per, MaxRatePer)
	}
	return nil
}

func validQueue(name string) bool { return abi.ValidWord(name, MaxQueueName) }
