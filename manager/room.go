package manager

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// roomPoll is how often a submitter looks by itself whether the queue has room, for stores that others take tasks from too.
const roomPoll = 250 * time.Millisecond

// room is the line of submitters that wait for room in the queue.
type room struct {
	waiting atomic.Int64
	mu      sync.Mutex
	line    []chan struct{}
}

// wait calls try until it returns something else than CodeQueueFull, ctx ends or closed is closed.
func (q *room) wait(ctx context.Context, closed <-chan struct{}, try func() error) error {
	wake := make(chan struct{}, 1)
	q.mu.Lock()
	q.line = append(q.line, wake)
	q.waiting.Add(1)
	q.mu.Unlock()
	defer q.leave(wake)

	poll := time.NewTicker(roomPoll)
	defer poll.Stop()
	for {
		err := try()
		if abi.CodeOf(err) != abi.CodeQueueFull {
			return err
		}
		select {
		case <-wake:
		case <-poll.C:
		case <-closed:
			return errClosed()
		case <-ctx.Done():
			return &abi.Error{Code: abi.CodeOf(ctx.Err()), Message: "no longer waiting for room in the queue: " + ctx.Err().Error(), Err: ctx.Err()}
		}
	}
}

// leave takes a submitter off the line, and passes on a wake that it did not use.
func (q *room) leave(wake chan struct{}) {
	q.mu.Lock()
	i := slices.Index(q.line, wake)
	q.line = slices.Delete(q.line, i, i+1)
	q.waiting.Add(-1)
	q.mu.Unlock()
	select {
	case <-wake:
		q.freed()
	default:
	}
}

// freed wakes the first in line that was not woken yet: there is room for one more.
func (q *room) freed() {
	if q.waiting.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, wake := range q.line {
		select {
		case wake <- struct{}{}:
			return
		default:
		}
	}
}
