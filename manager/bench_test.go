//go:build unix

package manager_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskhost/taskhost/manager"
)

// BenchmarkManagerNoop is submit → run → result stored, with a runner that does nothing. One op is one task.
func BenchmarkManagerNoop(b *testing.B) {
	for _, slots := range []int{1, 2, 10, 100} {
		b.Run(fmt.Sprintf("slots=%d", slots), func(b *testing.B) { benchNoop(b, manager.Config{MaxConcurrent: slots}) })
	}
	b.Run("events", func(b *testing.B) {
		benchNoop(b, manager.Config{MaxConcurrent: 2, OnEvent: func(manager.Event) {}})
	})
}

func benchNoop(b *testing.B, cfg manager.Config) {
	ctx := context.Background()
	m := start(b, echo, cfg)
	spec := manager.Spec{Steps: []manager.Step{{Plugin: "noop", Function: "run"}}, Input: make([]byte, 256)}
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	const submitters = 2
	var wg sync.WaitGroup
	for i := range submitters {
		wg.Go(func() {
			var last manager.Task
			for n := i; n < b.N; n += submitters {
				t, err := m.SubmitWait(ctx, spec)
				if err != nil {
					b.Error(err)
					return
				}
				last = t
			}
			if last.ID != "" {
				if _, err := m.Result(ctx, last.ID); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := m.Stop(ctx); err != nil { // drains
		b.Error(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what the process has used of all cores: unlike the time on the wall, it says the same on a busy machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkManagerSubmitLatency is the latency of Submit while as many tasks as possible run.
func BenchmarkManagerSubmitLatency(b *testing.B) {
	ctx := context.Background()
	m := start(b, echo, manager.Config{})
	spec := manager.ProcessorTask("# Hi", "noop")
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	for i := range b.N {
		t := time.Now()
		if _, err := m.SubmitWait(ctx, spec); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(t)
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(took[len(took)-1].Nanoseconds()), "max-ns")
}

// BenchmarkManagerRoundTrip is one caller that waits for each result before it submits the next task.
func BenchmarkManagerRoundTrip(b *testing.B) {
	ctx := context.Background()
	m := start(b, echo, manager.Config{MaxConcurrent: 1})
	spec := manager.ProcessorTask("# Hi", "noop")
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		t, err := m.Submit(ctx, spec)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := m.Result(ctx, t.ID); err != nil {
			b.Fatal(err)
		}
	}
}
