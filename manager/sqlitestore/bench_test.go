package sqlitestore_test

import (
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// aTask makes a pending task as the manager does.
func aTask(t testing.TB) manager.Task {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return manager.Task{
		ID: id.String(), Status: manager.StatusPending, CreatedAt: time.Now().UTC(), TotalSteps: 1, InputBytes: 16,
		Spec: manager.Spec{
			Name: "text:upper", Kind: manager.KindProcessor, Steps: []manager.Step{{Plugin: "text", Function: "upper"}}, Queue: "default",
			Input: []byte("hello, dear host"), Retry: manager.Retry{MaxAttempts: 1, Backoff: time.Second, MaxBackoff: time.Minute},
		},
	}
}

// BenchmarkStore takes tasks from create to completed, by several callers, of whom each does one after the other.
func BenchmarkStore(b *testing.B) {
	for _, c := range []struct {
		name string
		open func(b *testing.B) manager.Store
	}{
		{"memory", func(*testing.B) manager.Store { return manager.NewMemoryStore() }},
		{"sqlite", func(b *testing.B) manager.Store {
			return open(b, sqlitestore.Config{Path: filepath.Join(b.TempDir(), "tasks.db")})
		}},
		{"relaxed", func(b *testing.B) manager.Store {
			return open(b, sqlitestore.Config{Path: filepath.Join(b.TempDir(), "tasks.db"), Relaxed: true})
		}},
	} {
		for _, callers := range []int{64, 512} {
			name := c.name
			if callers == 512 {
				name += "-512"
			}
			b.Run(name, func(b *testing.B) { lifecycle(b, c.open(b), callers) })
		}
	}
}

func lifecycle(b *testing.B, s manager.Store, callers int) {
	ctx := b.Context()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error, callers)
	b.ResetTimer()
	for range callers {
		go func() {
			for left.Add(-1) >= 0 {
				tasks := []manager.Task{aTask(b)}
				if err := s.Create(ctx, tasks, manager.CreateOptions{}); err != nil {
					done <- err
					return
				}
				if err := work(b, s); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}

// work claims a task, runs and completes it.
func work(b testing.TB, s manager.Store) error {
	b.Helper()
	ctx := b.Context()
	t, l, err := s.Claim(ctx, time.Minute)
	if err != nil {
		return err
	}
	at := time.Now().UTC()
	t.Status, t.Attempt, t.AttemptAt, t.StartedAt, t.CurrentStep = manager.StatusRunning, 1, at, at, 1
	if t.Revision, err = s.Save(ctx, t, l); err != nil {
		return err
	}
	t.Status, t.FinishedAt, t.Progress = manager.StatusCompleted, at, 1
	t.Output, t.OutputBytes, t.Function, t.Version = []byte("HELLO, DEAR HOST"), 16, "upper", "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	t.Usage.Duration, t.Usage.PeakMemory = 12345, 1<<20
	t.Attempts = []manager.Attempt{{Number: 1, StartedAt: at, FinishedAt: at, Version: t.Version, Usage: t.Usage}}
	_, err = s.Save(ctx, t, l)
	return err
}

// BenchmarkRecovery opens a store with many pending tasks: how long it takes until the first one can run, until all are there, and how much
// memory each takes.
func BenchmarkRecovery(b *testing.B) {
	const tasks, batch = 200_000, 2000
	path := filepath.Join(b.TempDir(), "tasks.db")
	s := open(b, sqlitestore.Config{Path: path, CacheBytes: 1})
	for range tasks / batch {
		list := make([]manager.Task, batch)
		for i := range list {
			list[i] = aTask(b)
		}
		create(b, s, list...)
	}
	closeStore(b, s)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		s, err := sqlitestore.Open(b.Context(), sqlitestore.Config{Path: path, CacheBytes: 1})
		if err != nil {
			b.Fatal(err)
		}
		begin(b, s)
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-first")
		if _, err := s.Queues(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-all")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/tasks, "B/task")
		closeStore(b, s)
	}
}
