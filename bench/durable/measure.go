package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// rate submits the system's tasks, n at a time from each caller, to workers that run already, and returns how many a second were done.
func (s system) rate(ctx context.Context, b backend, callers, n int) (rate float64, err error) {
	q, err := b.queue(ctx, true)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, q.close(context.WithoutCancel(ctx))) }()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not done after %v", patience))
	defer cancel()
	began := time.Now()
	if err := submitAll(ctx, q, s.tasks, callers, n); err != nil {
		return 0, err
	}
	// The workers' own count first: to ask a server all the time would cost it.
	if err := until(ctx, s.tasks, q.worked); err != nil {
		return 0, err
	}
	if err := until(ctx, s.tasks, q.completed); err != nil {
		return 0, err
	}
	return float64(s.tasks) / time.Since(began).Seconds(), nil
}

// submitAll submits the tasks and returns when all are in; the first error ends it.
func submitAll(ctx context.Context, q queue, tasks, callers, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var left atomic.Int64
	left.Store(int64(tasks))
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for left.Add(-int64(n)) >= 0 && ctx.Err() == nil {
				submit := q.submit
				if n > 1 {
					submit = func(ctx context.Context) error { return q.submitMany(ctx, n) }
				}
				if err := submit(ctx); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// until waits for a count to reach what is wanted; more is an error.
func until(ctx context.Context, want int, count func(context.Context) (int, error)) error {
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		n, err := count(ctx)
		switch {
		case err != nil:
			return err
		case n > want:
			return fmt.Errorf("%d tasks were done, but %d submitted", n, want)
		case n == want:
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d tasks are done: %w", n, want, context.Cause(ctx))
		}
	}
}

// latencies takes the time of single submits to a queue that nobody works off.
func latencies(ctx context.Context, b backend) (times []time.Duration, err error) {
	q, err := b.queue(ctx, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, q.close(context.WithoutCancel(ctx))) }()
	for range singles {
		began := time.Now()
		if err := q.submit(ctx); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}

// fsyncs takes the time of writes to the disk, each 4 KiB more in one file.
func fsyncs(ctx context.Context, dir string) (times []time.Duration, err error) {
	path := filepath.Join(dir, "fsync")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer os.Remove(path)
	defer f.Close()
	block := make([]byte, 4096)
	for range syncs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}
