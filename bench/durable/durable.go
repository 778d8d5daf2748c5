// Package durable measures queues of tasks side by side: taskhost with each of its stores, and peers on the servers they need, which
// it starts and ends itself.
package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"
)

const (
	payload    = 256 // bytes that each task carries
	submitters = 64  // callers that submit one task at a time
	batchers   = 2   // callers that submit batches
	batch      = 100 // tasks of one batch
	singles    = 2000
	syncs      = 500
	rounds     = 3
	patience   = 3 * time.Minute // for one measurement
)

// system is one row of the table.
type system struct {
	name  string
	safe  string // whether a task is on the disk when its submit is acknowledged
	tasks int    // of one measurement, so that it takes some seconds
	check func() error
	open  func(ctx context.Context, dir string) (backend, error)
}

// backend is a system that is up. Each of its queues is empty at first; one is in use at a time.
type backend interface {
	queue(ctx context.Context, workers bool) (queue, error)
	close() error
}

// queue takes tasks that do nothing.
type queue interface {
	submit(ctx context.Context) error
	// submitMany submits n tasks at once, or says errNoBatch.
	submitMany(ctx context.Context, n int) error
	// worked is how many tasks the workers have had: cheap to ask while they are at it.
	worked(ctx context.Context) (int, error)
	// completed is how many tasks are completed, by what the system has stored. It is an error when one is not and never will be.
	completed(ctx context.Context) (int, error)
	close(ctx context.Context) error
}

var errNoBatch = errors.New("this system takes one task at a time")

// row is what was measured of a system. A rate is 0 where it has no such way.
type row struct {
	single, batched []float64 // tasks/s, one for each round
	submits         []time.Duration
}

// Run measures every system and prints the table. noop is a plugin whose function noop does nothing.
func Run(ctx context.Context, noop []byte) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	systems := slices.Concat(ours(noop), []system{river(), asynqOn("everysec"), asynqOn("always")})
	for _, s := range systems {
		if err := s.check(); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "taskhost-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // a server that runs as another user has a folder in it
		return err
	}
	rows := make([]row, len(systems))
	var disk []time.Duration
	for range rounds {
		took, err := fsyncs(ctx, dir)
		if err != nil {
			return err
		}
		disk = append(disk, took...)
		for i, s := range systems {
			if err := s.turn(ctx, dir, &rows[i]); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	report(systems, rows, disk)
	return nil
}

// turn opens a system and measures it once.
func (s system) turn(ctx context.Context, parent string, r *row) (err error) {
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := s.open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	rate, err := s.rate(ctx, b, submitters, 1)
	if err != nil {
		return fmt.Errorf("one at a time: %w", err)
	}
	r.single = append(r.single, rate)
	rate, err = s.rate(ctx, b, batchers, batch)
	if err != nil && !errors.Is(err, errNoBatch) {
		return fmt.Errorf("in batches: %w", err)
	}
	r.batched = append(r.batched, rate)
	took, err := latencies(ctx, b)
	if err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	r.submits = append(r.submits, took...)
	return nil
}

func report(systems []system, rows []row, disk []time.Duration) {
	const line = "%-45s %8s %14s %12s %8s %8s  %s\n"
	fmt.Println()
	fmt.Printf("%d-byte tasks that do nothing, from the first submit until the last is completed; %d cores\n", payload, runtime.GOMAXPROCS(0))
	fmt.Printf("submitted by %d callers one at a time, or by %d in batches of %d; the better counts; medians of %d rounds\n", submitters, batchers, batch, rounds)
	fmt.Printf("latency of a submit: one caller, while no worker runs, %d times\n", singles*rounds)
	fmt.Printf(line, "", "tasks/s", "submitted", "other way", "p50 ms", "p99 ms", "on the disk when a submit returns?")
	for i, s := range systems {
		single, batched := median(rows[i].single), median(rows[i].batched)
		best, other, how := single, batched, "one at a time"
		if batched > single {
			best, other, how = batched, single, "in batches"
		}
		second := "none"
		if other > 0 {
			second = fmt.Sprintf("%.0f", other)
		}
		fmt.Printf(line, s.name, fmt.Sprintf("%.0f", best), how, second, percentile(rows[i].submits, 50), percentile(rows[i].submits, 99), s.safe)
	}
	fmt.Printf(line, "the disk alone: 4 KiB written, then fsync", "", "", "", percentile(disk, 50), percentile(disk, 99), "in the folder where all have their data")
	fmt.Println(versions())
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}

// percentile writes in milliseconds what p of a hundred do not exceed.
func percentile(times []time.Duration, p int) string {
	times = slices.Sorted(slices.Values(times))
	return fmt.Sprintf("%.3f", times[len(times)*p/100].Seconds()*1e3)
}
