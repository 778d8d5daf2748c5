package durable

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// countQueue counts what is submitted, and fails from some number on.
type countQueue struct {
	queue
	n     atomic.Int64
	fails int64 // 0: never
}

var errFull = errors.New("full")

func (q *countQueue) submit(ctx context.Context) error { return q.submitMany(ctx, 1) }

func (q *countQueue) submitMany(_ context.Context, n int) error {
	if sum := q.n.Add(int64(n)); q.fails > 0 && sum >= q.fails {
		return errFull
	}
	return nil
}

func TestSubmitAllSubmitsEachTaskOnce(t *testing.T) {
	for _, n := range []int{1, batch} {
		var q countQueue
		if err := submitAll(t.Context(), &q, 20_000, submitters, n); err != nil || q.n.Load() != 20_000 {
			t.Errorf("%d at a time: %d submitted, %v", n, q.n.Load(), err)
		}
	}
}

func TestSubmitAllEndsWithTheFirstError(t *testing.T) {
	q := countQueue{fails: 100}
	if err := submitAll(t.Context(), &q, 1<<40, submitters, 1); !errors.Is(err, errFull) {
		t.Error(err)
	}
}
