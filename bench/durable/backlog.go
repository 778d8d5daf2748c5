package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

const (
	backlogTasks  = 5_000_000
	recoverTasks  = 1_000_000
	backlogBatch  = 500
	backlogSample = 100_000 // tasks of one rate
)

// Backlog measures what a long queue costs: memory for each task that waits, submits into it against submits into an empty one, and how
// long it takes from the start of a process that finds it to its first task.
func Backlog(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "taskhost-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "tasks.db")
	var b backlog
	if err := b.fill(ctx, path, recoverTasks); err != nil {
		return err
	}
	if b.first, b.loaded, err = recoverBacklog(ctx, path); err != nil {
		return err
	}
	if err := b.fill(ctx, path, backlogTasks); err != nil {
		return err
	}
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Printf("\na queue of %d tasks that wait, 256 B each, in the SQLite store\n", backlogTasks)
	fmt.Printf("  memory for each, above the store's cache   %d B (expected: under 300)\n", b.memory)
	few, many := middle(b.rates[1:6]), middle(b.rates[len(b.rates)-5:])
	fmt.Printf("  submits a second, the first 100,000        %.0f (what is to be written into the tables begins to pile up)\n", b.rates[0])
	fmt.Printf("  submits a second, up to 600,000 wait       %.0f\n", few)
	fmt.Printf("  submits a second, up to %d wait      %.0f: %.0f %% of that (expected: at least 80 %%)\n", backlogTasks, many, 100*many/few)
	fmt.Printf("  file                                       %.1f GB\n", float64(st.Size())/1e9)
	fmt.Printf("a start with %d tasks that wait: first task after %v, all known after %v (expected: first within 3s)\n", recoverTasks, b.first.Round(time.Millisecond), b.loaded.Round(time.Millisecond))
	return nil
}

// backlog is what was measured.
type backlog struct {
	rates         []float64 // submits a second, of each backlogSample
	memory        int64     // bytes for each task
	first, loaded time.Duration
}

// fill submits until n tasks wait.
func (b *backlog) fill(ctx context.Context, path string, n int) (err error) {
	const cache = 8 << 20
	before := heap()
	s, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: path, CacheBytes: cache})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if _, err := s.Queues(ctx); err != nil { // waits until all is loaded
		return err
	}
	m, err := manager.New(refusing{}, manager.Config{Store: s, KeepOnStop: true, MaxQueue: 2 * backlogTasks, MaxQueueBytes: 1 << 40})
	if err != nil {
		return err
	}
	for {
		counts, err := s.Counts(ctx)
		if err != nil {
			return err
		}
		if counts.Pending >= n {
			break
		}
		began := time.Now()
		for range backlogSample / backlogBatch {
			specs := make([]manager.Spec, backlogBatch)
			for i := range specs {
				specs[i] = manager.ProcessorTask(ourContent, "noop")
			}
			if _, err := m.SubmitBatch(ctx, specs); err != nil {
				return err
			}
		}
		b.rates = append(b.rates, backlogSample/time.Since(began).Seconds())
	}
	if _, err := s.List(ctx, manager.Filter{Limit: 1}); err != nil { // applies everything
		return err
	}
	b.memory = (heap() - before - cache) / int64(n)
	return m.Stop(ctx)
}

// middle is the median of some rates.
func middle(rates []float64) float64 {
	sorted := slices.Sorted(slices.Values(rates))
	return sorted[len(sorted)/2]
}

// heap is what lives on it, in bytes.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// refusing is a runner that is never asked.
type refusing struct{}

func (refusing) Run(context.Context, abi.Call, func(abi.Progress)) (abi.Result, error) {
	return abi.Result{}, abi.Errorf(abi.CodeInternal, "nothing runs here")
}

// begun is a runner that tells when it is asked first, and goes no further.
type begun chan struct{}

func (b begun) Run(ctx context.Context, _ abi.Call, _ func(abi.Progress)) (abi.Result, error) {
	select {
	case b <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return abi.Result{}, context.Cause(ctx)
}

// recoverBacklog measures a start: until the first task runs, and until all are known.
func recoverBacklog(ctx context.Context, path string) (first, loaded time.Duration, err error) {
	began := time.Now()
	s, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: path})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	runs := make(begun, 1)
	m, err := manager.New(runs, manager.Config{Store: s, KeepOnStop: true, MaxConcurrent: 1, MaxQueue: 2 * backlogTasks, MaxQueueBytes: 1 << 40})
	if err != nil {
		return 0, 0, err
	}
	if err := m.Start(ctx); err != nil {
		return 0, 0, err
	}
	<-runs
	first = time.Since(began)
	if _, err := s.Queues(ctx); err != nil {
		return 0, 0, err
	}
	loaded = time.Since(began)
	over, cancel := context.WithCancel(ctx)
	cancel()
	if err := m.Stop(over); err != nil && abi.CodeOf(err) != abi.CodeCancelled {
		return 0, 0, err
	}
	return first, loaded, nil
}
