package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
)

// noopTasks measures how many tasks a second go through the manager to a plugin that does nothing, from Submit to the stored result.
func noopTasks(wasm []byte, workers int) func(context.Context) (figure, error) {
	return func(ctx context.Context) (figure, error) {
		f := figure{name: fmt.Sprintf("no-op tasks through the manager, %d workers", workers), unit: "tasks/s", higher: true, want: "at least 100000"}
		rate, err := taskRate(ctx, wasm, workers)
		f.ours = rate
		return f, err
	}
}

// taskRate is the median rate of some bursts.
func taskRate(ctx context.Context, wasm []byte, workers int) (float64, error) {
	h, err := host.New(ctx, host.Config{})
	if err != nil {
		return 0, err
	}
	defer h.Close(ctx)
	reuse := &abi.Manifest{Taskhost: &abi.ManifestTaskhost{Isolation: abi.IsolationReuse}}
	if _, err := h.Swap(ctx, "noop", host.Source{Wasm: wasm, Manifest: reuse}); err != nil {
		return 0, err
	}
	var rates []float64
	for range 5 {
		rate, err := burst(ctx, h, workers)
		if err != nil {
			return 0, err
		}
		rates = append(rates, rate)
	}
	slices.Sort(rates)
	return rates[len(rates)/2], nil
}

// burst submits tasks and waits until all have completed.
func burst(ctx context.Context, h *host.Host, workers int) (rate float64, err error) {
	const tasks = 50_000
	m, err := manager.New(h, manager.Config{MaxConcurrent: workers, MaxQueue: tasks})
	if err != nil {
		return 0, err
	}
	if err := m.Start(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	for range tasks {
		if _, err := m.SubmitWait(ctx, manager.ProcessorTask("", "noop")); err != nil {
			return 0, err
		}
	}
	if err := m.Stop(ctx); err != nil { // drains
		return 0, err
	}
	took := time.Since(began)
	stats, err := m.Stats(ctx)
	if err != nil {
		return 0, err
	}
	if n := stats.Counts.Completed; n != tasks {
		return 0, fmt.Errorf("%d of %d tasks completed", n, tasks)
	}
	return tasks / took.Seconds(), nil
}
