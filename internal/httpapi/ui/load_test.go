package ui_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// busy fills a server of its own with tasks that run until it is closed, and tell each so often how far they are.
func busy(t testing.TB, tasks int, every time.Duration) (*system, []string) {
	t.Helper()
	s, err := newSystem(manager.Config{MaxConcurrent: tasks})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, tasks)
	for i := range ids {
		ids[i] = s.submit(t, manager.FuncTask("busy", func(ctx context.Context, report func(abi.Progress)) ([]byte, error) {
			next := time.NewTimer(rand.N(every))
			defer next.Stop()
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return nil, context.Cause(ctx)
				case now := <-next.C:
					report(abi.Progress{Fraction: float64(n%100) / 100, Message: strconv.FormatInt(now.UnixMicro(), 10)})
					next.Reset(every)
				}
			}
		})).ID
	}
	until(t, "all tasks run", func() bool {
		stats, err := s.tasks.Stats(t.Context())
		return err == nil && stats.Counts.Running == tasks
	})
	return s, ids
}

// TestTenThousandRunningTasks looks at lists of many tasks that run: the page goes on to answer, and its bars move.
func TestTenThousandRunningTasks(t *testing.T) {
	s, _ := busy(t, 10_000, 2*time.Second)
	b := open(t, s)
	for _, path := range []string{"/tasks?status=running&limit=200", "/"} {
		b.visit(path)
		b.wait(`document.querySelector("#link").dataset.state === "on"`)
		long := eval[[]float64](b, `new Promise((done) => {
			const long = [];
			new PerformanceObserver((list) => { for (const e of list.getEntries()) long.push(e.duration); }).observe({type: "longtask", buffered: false});
			setTimeout(() => done(long), 3000);
		})`)
		sum := 0.0
		for _, ms := range long {
			sum += ms
		}
		if len(long) > 0 && (slices.Max(long) > 700 || sum > 2000) {
			t.Errorf("%s: in 3 s the page was busy for %.0f ms, at once for up to %.0f ms", path, sum, slices.Max(long))
		}
		t.Logf("%s: long tasks in 3 s: %.0f ms", path, long)
		b.wait(`[...document.querySelectorAll("[data-task] progress")].some((p) => p.value > 0)`)
	}
	rows := eval[int](b, `fetch("/tasks?status=running&limit=200").then((r) => r.text()).then((t) => t.split("data-task").length - 1)`)
	if rows != 200 {
		t.Errorf("%d rows on a page, want 200", rows)
	}
}

// BenchmarkProgressToBrowser measures the time from a task's report of its progress to the text on the page, with 1,000 tasks that report
// ten times a second in all manner of phases.
func BenchmarkProgressToBrowser(b *testing.B) {
	s, ids := busy(b, 1000, 500*time.Millisecond)
	page := open(b, s)
	page.visit("/tasks/" + ids[0])
	page.wait(`document.querySelector("#link").dataset.state === "on"`)
	n := max(20, min(b.N, 100))
	b.ResetTimer()
	took := eval[[]float64](page, fmt.Sprintf(`new Promise((done) => {
		const took = [], message = document.querySelector("[data-message]");
		new MutationObserver(() => {
			took.push(performance.timeOrigin + performance.now() - Number(message.textContent) / 1000);
			if (took.length >= %d) done(took);
		}).observe(message, {childList: true, characterData: true, subtree: true});
	})`, n))
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "p50-ms")
	b.ReportMetric(took[len(took)*99/100], "p99-ms")
	b.ReportMetric(0, "ns/op")
}
