package monitor_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/monitor"
)

func newMonitor(t *testing.T, cfg monitor.Config) (*monitor.Monitor, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	cfg.Registerer = reg
	m, err := monitor.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m, reg
}

// task is a task of a name in a status that began a second before it ended.
func task(id, name string, status manager.Status) manager.Task {
	t := manager.Task{ID: id, Spec: manager.Spec{Name: name, Steps: []manager.Step{{Plugin: "text"}}}, Status: status}
	if status != manager.StatusPending {
		t.StartedAt = time.Unix(1000, 0)
	}
	if status.Final() {
		t.FinishedAt = time.Unix(1001, 0)
	}
	if status == manager.StatusFailed {
		t.Error = &abi.Error{Code: abi.CodeTrap, Message: "unreachable", Plugin: "text", Func: "process", Task: id, Step: 1}
	}
	return t
}

// play tells the monitor a whole life of a task.
func play(m *monitor.Monitor, id, name string, end manager.Status) {
	m.TaskEvent(manager.Event{Kind: manager.EventSubmit, Task: task(id, name, manager.StatusPending)})
	m.TaskEvent(manager.Event{Kind: manager.EventStart, Task: task(id, name, manager.StatusRunning)})
	m.TaskEvent(manager.Event{Kind: manager.EventFinish, Task: task(id, name, end)})
}

func call(plugin, function, id string, err error) host.Event {
	return host.Event{
		Kind: host.EventCall, Time: time.Unix(1000, 0), Plugin: plugin, Function: function, Version: "sha256:0123456789abcdef", Task: id,
		Usage: abi.Usage{Wait: time.Millisecond, Duration: time.Second, PeakMemory: 1 << 20, Ticks: 7}, Err: err,
	}
}

func guest(plugin string, kind abi.MetricKind, name string, v float64, labels map[string]string) host.Event {
	return host.Event{Kind: host.EventMetric, Plugin: plugin, Metric: abi.Metric{Kind: kind, Name: name, Value: v, Labels: labels}}
}

func expect(t *testing.T, reg prometheus.Gatherer, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestTasks(t *testing.T) {
	m, reg := newMonitor(t, monitor.Config{})
	play(m, "1", "text", manager.StatusCompleted)
	play(m, "2", "text", manager.StatusFailed)
	m.TaskEvent(manager.Event{Kind: manager.EventReject, Error: errors.New("full")})
	for i, progress := range []float64{.25, .75} {
		running := task(fmt.Sprint("r", i), "text", manager.StatusRunning)
		m.TaskEvent(manager.Event{Kind: manager.EventStart, Task: running})
		running.Progress = progress
		m.TaskEvent(manager.Event{Kind: manager.EventProgress, Task: running})
	}
	expect(t, reg, `
# HELP taskhost_task_operations_total What happened to tasks, and their status after it.
# TYPE taskhost_task_operations_total counter
taskhost_task_operations_total{operation="finish",status="completed"} 1
taskhost_task_operations_total{operation="finish",status="failed"} 1
taskhost_task_operations_total{operation="reject",status="none"} 1
taskhost_task_operations_total{operation="start",status="running"} 4
taskhost_task_operations_total{operation="submit",status="pending"} 2
# HELP taskhost_tasks_total Tasks that entered a status. Running counts attempts.
# TYPE taskhost_tasks_total counter
taskhost_tasks_total{name="text",status="completed"} 1
taskhost_tasks_total{name="text",status="failed"} 1
taskhost_tasks_total{name="text",status="pending"} 2
taskhost_tasks_total{name="text",status="running"} 4
# HELP taskhost_task_failures_total Failed tasks by the code of their error.
# TYPE taskhost_task_failures_total counter
taskhost_task_failures_total{code="trap",name="text"} 1
# HELP taskhost_task_progress Progress of the tasks that run now, 0 to 1: min, mean and max by name.
# TYPE taskhost_task_progress gauge
taskhost_task_progress{name="text",stat="max"} 0.75
taskhost_task_progress{name="text",stat="mean"} 0.5
taskhost_task_progress{name="text",stat="min"} 0.25
# HELP taskhost_tasks_running Tasks that run now.
# TYPE taskhost_tasks_running gauge
taskhost_tasks_running{name="text"} 2
`, "taskhost_task_operations_total", "taskhost_tasks_total", "taskhost_task_failures_total", "taskhost_task_progress", "taskhost_tasks_running")
	if n, err := testutil.GatherAndCount(reg, "taskhost_task_duration_seconds"); err != nil || n != 2 {
		t.Errorf("%d series of durations, %v; want one for each final status", n, err)
	}
}

// TestTasksEndTheirProgress: whatever ends an attempt takes its progress away.
func TestTasksEndTheirProgress(t *testing.T) {
	for kind, status := range map[manager.EventKind]manager.Status{
		manager.EventFinish: manager.StatusCancelled, manager.EventRetry: manager.StatusPending, manager.EventLost: manager.StatusRunning,
	} {
		m, reg := newMonitor(t, monitor.Config{})
		m.TaskEvent(manager.Event{Kind: manager.EventStart, Task: task("1", "text", manager.StatusRunning)})
		m.TaskEvent(manager.Event{Kind: kind, Task: task("1", "text", status)})
		m.TaskEvent(manager.Event{Kind: manager.EventProgress, Task: task("1", "text", manager.StatusRunning)}) // late
		if n, err := testutil.GatherAndCount(reg, "taskhost_task_progress"); err != nil || n != 0 {
			t.Errorf("after %s: %d series of progress, %v; want none", kind, n, err)
		}
	}
}

func TestPlugins(t *testing.T) {
	m, reg := newMonitor(t, monitor.Config{})
	m.HostEvent(host.Event{Kind: host.EventLoad, Plugin: "text", Version: "sha256:0123456789abcdef", Duration: time.Second})
	m.HostEvent(host.Event{Kind: host.EventLoad, Plugin: "text", Version: "sha256:fedcba9876543210", Duration: time.Second})
	m.HostEvent(host.Event{Kind: host.EventRollback, Plugin: "text", Version: "sha256:0123456789abcdef"})
	m.HostEvent(host.Event{Kind: host.EventRefuse, Plugin: "text", Err: &abi.Error{Code: abi.CodeRefused}})
	for i, version := range []abi.Digest{"old", "new", "new"} {
		m.HostEvent(host.Event{Kind: host.EventInstantiate, Plugin: "text", Version: version, Instances: max(1, i), Duration: time.Millisecond})
	}
	m.HostEvent(host.Event{Kind: host.EventInstanceGone, Plugin: "text", Version: "new", Instances: 1})
	m.HostEvent(host.Event{Kind: host.EventFree, Plugin: "text", Version: "old"})
	m.HostEvent(call("text", "process", "1", nil))
	m.HostEvent(call("text", "process", "2", &abi.Error{Code: abi.CodeTimeout}))
	m.HostEvent(call("text", "process", "3", &abi.Error{Code: "made up by a guest"}))
	expect(t, reg, `
# HELP taskhost_calls_total Calls of plugins that ended, by the code of their error.
# TYPE taskhost_calls_total counter
taskhost_calls_total{code="internal",function="process",plugin="text"} 1
taskhost_calls_total{code="ok",function="process",plugin="text"} 1
taskhost_calls_total{code="timeout",function="process",plugin="text"} 1
# HELP taskhost_call_ticks_total Fuel that calls used.
# TYPE taskhost_call_ticks_total counter
taskhost_call_ticks_total{function="process",plugin="text"} 21
# HELP taskhost_instances Sandboxes that exist now.
# TYPE taskhost_instances gauge
taskhost_instances{plugin="text"} 1
# HELP taskhost_refusals_total Versions that were refused, by code.
# TYPE taskhost_refusals_total counter
taskhost_refusals_total{code="refused",plugin="text"} 1
# HELP taskhost_swaps_total Changes of a plugin's current version: load, rollback, remove.
# TYPE taskhost_swaps_total counter
taskhost_swaps_total{operation="load",plugin="text"} 2
taskhost_swaps_total{operation="rollback",plugin="text"} 1
# HELP taskhost_version_info 1 for the version that is current.
# TYPE taskhost_version_info gauge
taskhost_version_info{plugin="text",version="0123456789ab"} 1
`, "taskhost_calls_total", "taskhost_call_ticks_total", "taskhost_instances", "taskhost_refusals_total", "taskhost_swaps_total",
		"taskhost_version_info")

	m.HostEvent(host.Event{Kind: host.EventRemove, Plugin: "text"})
	if n, err := testutil.GatherAndCount(reg, "taskhost_version_info"); err != nil || n != 0 {
		t.Errorf("%d current versions of a removed plugin, %v", n, err)
	}
}

// TestNamesAreBounded: users and guests can name what they like; the number of series stays.
func TestNamesAreBounded(t *testing.T) {
	m, reg := newMonitor(t, monitor.Config{})
	for i := range 3 * monitor.MaxNames {
		name := fmt.Sprint("n", i)
		play(m, name, name, manager.StatusCompleted)
		m.HostEvent(call(name, "process", name, nil))
		m.HostEvent(call("text", name, name, nil))
		m.HostEvent(guest("text", abi.MetricAdd, "words", 1, map[string]string{"n": name}))
		m.HostEvent(guest(name, abi.MetricSet, "level", 1, nil))
		m.HostEvent(host.Event{Kind: host.EventLoad, Plugin: name, Version: "sha256:0123456789abcdef"})
	}
	for name, most := range map[string]int{
		"taskhost_tasks_total":           3 * (monitor.MaxNames + 1),
		"taskhost_calls_total":           monitor.MaxNames + 1 + monitor.MaxFunctions + 1,
		"taskhost_call_duration_seconds": monitor.MaxNames + 1 + monitor.MaxFunctions + 1,
		"taskhost_plugin_words_total":    abi.MaxMetricSeries,
		"taskhost_plugin_level":          monitor.MaxNames + 1,
		"taskhost_swaps_total":           monitor.MaxNames + 1,
		"taskhost_version_info":          monitor.MaxNames,
	} {
		n, err := testutil.GatherAndCount(reg, name)
		if err != nil || n > most || n < most-2 {
			t.Errorf("%s has %d series, %v; want %d", name, n, err, most)
		}
	}
	expectContains(t, scrape(t, m, ""), `taskhost_tasks_total{name="other",status="completed"}`,
		`taskhost_guest_metrics_dropped_total{plugin="text",reason="plugin"}`)
}

// TestGuestMetricsAllTogether: many plugins, each within its bound, are bounded together.
func TestGuestMetricsAllTogether(t *testing.T) {
	m, reg := newMonitor(t, monitor.Config{})
	for p := range 40 {
		for i := range abi.MaxMetricSeries {
			m.HostEvent(guest(fmt.Sprint("p", p), abi.MetricSet, "level", 1, map[string]string{"n": fmt.Sprint(i)}))
		}
	}
	if n, err := testutil.GatherAndCount(reg, "taskhost_plugin_level"); err != nil || n != monitor.MaxGuestSeries {
		t.Errorf("%d series, %v", n, err)
	}
	m.HostEvent(host.Event{Kind: host.EventRemove, Plugin: "p0"})
	m.HostEvent(guest("late", abi.MetricSet, "level", 1, nil))
	expectContains(t, scrape(t, m, ""), `taskhost_plugin_level{plugin="late"} 1`, `taskhost_guest_metrics_dropped_total{plugin="p39",reason="all"}`)
}

func TestMetricsAreLintClean(t *testing.T) {
	m, reg := newMonitor(t, monitor.Config{})
	play(m, "1", "text", manager.StatusFailed)
	m.TaskEvent(manager.Event{Kind: manager.EventStart, Task: task("2", "text", manager.StatusRunning)})
	m.HostEvent(call("text", "process", "1", nil))
	m.HostEvent(guest("text", abi.MetricSet, "BAD", 1, nil))
	for _, kind := range []host.EventKind{host.EventLoad, host.EventRefuse, host.EventRollback, host.EventInstantiate} {
		m.HostEvent(host.Event{Kind: kind, Plugin: "text", Version: "sha256:0123456789abcdef"})
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestHandler(t *testing.T) {
	var broken error
	m, _ := newMonitor(t, monitor.Config{Health: func() error { return broken }})
	play(m, "0198-id", "text", manager.StatusCompleted)

	expectContains(t, scrape(t, m, ""), `taskhost_tasks_total{name="text",status="completed"} 1`,
		`taskhost_task_duration_seconds_bucket{name="text",status="completed",le="1"} 1`)
	open := scrape(t, m, "application/openmetrics-text; version=1.0.0")
	expectContains(t, open, `# {task_id="0198-id"} 1.0`, "# EOF")
	if plain := scrape(t, m, ""); strings.Contains(plain, "0198-id") {
		t.Errorf("a task's id is a label:\n%s", plain)
	}

	if code, body := get(t, m, "/healthz", ""); code != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %q", code, body)
	}
	broken = errors.New("the host is closed")
	if code, body := get(t, m, "/healthz", ""); code != http.StatusServiceUnavailable || body != "the host is closed\n" {
		t.Errorf("healthz of a closed host: %d %q", code, body)
	}
}

func TestNewRefusesTheSameRegistryTwice(t *testing.T) {
	_, reg := newMonitor(t, monitor.Config{})
	if _, err := monitor.New(monitor.Config{Registerer: reg}); err == nil {
		t.Fatal("no error")
	}
	if m, err := monitor.New(monitor.Config{}); err != nil {
		t.Fatal(err)
	} else if code, _ := get(t, m, "/metrics", ""); code != http.StatusOK {
		t.Errorf("/metrics of a monitor with its own registry: %d", code)
	}
	wrapped := prometheus.WrapRegistererWithPrefix("x_", prometheus.NewRegistry())
	if _, err := monitor.New(monitor.Config{Registerer: wrapped}); err == nil || !strings.Contains(err.Error(), "Gatherer") {
		t.Errorf("a Registerer that cannot gather: %v", err)
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	m, _ := newMonitor(t, monitor.Config{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	play(m, "1", "text", manager.StatusCompleted)
	play(m, "2", "text", manager.StatusFailed)
	m.TaskEvent(manager.Event{Kind: manager.EventError, Error: errors.New("disk full")})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("want one line for each finished task and one for the store:\n%s", out.String())
	}
	expectContains(t, lines[0], `level=INFO msg="task finish" task=1 name=text status=completed plugin=text duration=1s`)
	expectContains(t, lines[1], `level=WARN msg="task finish" task=2 name=text status=failed plugin=text function=process code=trap error=unreachable`)
	expectContains(t, lines[2], `level=ERROR msg="task error" code=internal error="disk full"`)
}

// TestHammer uses everything at once; it is for the race detector.
func TestHammer(t *testing.T) {
	m, reg := newMonitor(t, monitor.Config{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 300 {
				id := fmt.Sprintf("%d-%d", w, i)
				play(m, id, fmt.Sprint("n", i%10), manager.StatusCompleted)
				m.HostEvent(call(fmt.Sprint("p", i%10), "process", id, nil))
				m.HostEvent(guest(fmt.Sprint("p", i%10), abi.MetricObserve, "size", float64(i), map[string]string{"w": fmt.Sprint(w)}))
				m.HostEvent(host.Event{Kind: host.EventInstantiate, Plugin: "p0"})
				m.HostEvent(host.Event{Kind: host.EventInstanceGone, Plugin: "p0"})
				if i%100 == 0 {
					m.HostEvent(host.Event{Kind: host.EventRemove, Plugin: "p9"})
					if _, err := reg.Gather(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	body := scrape(t, m, "")
	expectContains(t, body, `taskhost_task_operations_total{operation="finish",status="completed"} 2400`, `taskhost_instances{plugin="p0"} 0`)
	if strings.Contains(body, "taskhost_tasks_running{") {
		t.Error("a task that ended counts as running")
	}
}

func get(t *testing.T, m *monitor.Monitor, path, accept string) (int, string) {
	t.Helper()
	srv := httptest.NewServer(m.Handler())
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func scrape(t *testing.T, m *monitor.Monitor, accept string) string {
	t.Helper()
	code, body := get(t, m, "/metrics", accept)
	if code != http.StatusOK {
		t.Fatalf("/metrics: %d %s", code, body)
	}
	return body
}

func expectContains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text[:min(len(text), 3000)])
		}
	}
}
