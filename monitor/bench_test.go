package monitor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/monitor"
)

// lifeOf is what a task with one step makes host and manager tell.
func lifeOf(mon *monitor.Monitor, t manager.Task, hook func(*manager.Task, int) string) {
	t.Status = manager.StatusPending
	mon.TaskEvent(manager.Event{Kind: manager.EventSubmit, Time: t.CreatedAt, Task: t})
	t.Status, t.Attempt = manager.StatusRunning, 1
	mon.TaskEvent(manager.Event{Kind: manager.EventStart, Time: t.StartedAt, Task: t})
	e := call("text", "process", t.ID, nil)
	e.Kind, e.Attempt, e.Step = host.EventCall, 1, 1
	if hook != nil {
		e.TraceParent = hook(&t, 1)
	}
	mon.HostEvent(e)
	t.Status = manager.StatusCompleted
	t.Attempts = []manager.Attempt{{Number: 1, StartedAt: t.AttemptAt, FinishedAt: t.FinishedAt}}
	mon.TaskEvent(manager.Event{Kind: manager.EventFinish, Time: t.FinishedAt, Task: t})
}

func benchTask() manager.Task {
	at := time.Unix(1_800_000_000, 0)
	t := task("0198c0de-1234-7000-8000-0123456789ab", "text", manager.StatusCompleted)
	t.CreatedAt, t.AttemptAt, t.StartedAt, t.FinishedAt = at, at, at, at.Add(time.Second)
	t.Spec.Queue = "default"
	return t
}

func benchmarkLife(b *testing.B, cfg monitor.Config) {
	mon, err := monitor.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	var hook func(*manager.Task, int) string
	if cfg.Tracing != nil {
		hook = cfg.Tracing.TraceParent
	}
	t := benchTask()
	b.ReportAllocs()
	for b.Loop() {
		lifeOf(mon, t, hook)
	}
}

// BenchmarkTaskUntraced and the two after it are what metrics and traces cost for one task of one step, from submit to end.
func BenchmarkTaskUntraced(b *testing.B) { benchmarkLife(b, monitor.Config{}) }

func BenchmarkTaskNotSampled(b *testing.B) {
	benchmarkLife(b, monitor.Config{Tracing: newTracing(b, monitor.TracingConfig{Endpoint: "http://127.0.0.1:1", SampleRatio: -1})})
}

func BenchmarkTaskTraced(b *testing.B) {
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	b.Cleanup(web.Close)
	benchmarkLife(b, monitor.Config{Tracing: newTracing(b, monitor.TracingConfig{Endpoint: web.URL, MaxQueue: 1 << 20})})
}

func BenchmarkHTTP(b *testing.B) {
	mon, err := monitor.New(monitor.Config{})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /x", func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	w := httptest.NewRecorder()
	for name, h := range map[string]http.Handler{"bare": mux, "measured": mon.HTTP(mux)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
