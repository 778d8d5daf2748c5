package monitor

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// taskMetrics are the metrics of tasks.
type taskMetrics struct {
	names      *names
	operations *prometheus.CounterVec
	entered    *prometheus.CounterVec
	failures   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	running    *runningTasks
	series     sync.Map // taskKey to *taskSeries
}

type taskKey struct {
	name   string
	status manager.Status
}

// taskSeries holds the series of one key, looked up once.
type taskSeries struct {
	entered  prometheus.Counter
	duration *observer // final statuses only
}

func newTaskMetrics() *taskMetrics {
	return &taskMetrics{
		names: newNames(MaxNames),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskhost_task_operations_total", Help: "What happened to tasks, and their status after it.",
		}, []string{"operation", "status"}),
		entered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskhost_tasks_total", Help: "Tasks that entered a status. Running counts attempts.",
		}, []string{"name", "status"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskhost_task_failures_total", Help: "Failed tasks by the code of their error.",
		}, []string{"name", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "taskhost_task_duration_seconds", Help: "Time of tasks from their first start to their end, by final status.",
			Buckets: durationBuckets(),
		}, []string{"name", "status"}),
		running: newRunningTasks(),
	}
}

// durationBuckets are 10 µs to 1,000 s in steps of about three.
func durationBuckets() []float64 {
	return []float64{
		.00001, .00003, .0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 100, 300, 1000,
	}
}

func (m *taskMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.operations, m.entered, m.failures, m.duration, m.running}
}

// noStatus is the status of an operation that left no task behind.
const noStatus = "none"

func (m *taskMetrics) event(e manager.Event) {
	t := &e.Task
	if e.Kind == manager.EventProgress {
		m.running.progress(t.ID, t.Progress)
		return
	}
	status := string(t.Status)
	if status == "" {
		status = noStatus
	}
	m.operations.WithLabelValues(string(e.Kind), status).Inc()
	name := ""
	if t.ID != "" {
		name = m.names.bound(t.Spec.Name)
	}
	switch e.Kind {
	case manager.EventSubmit:
		m.of(name, t.Status).entered.Inc()
	case manager.EventRetry:
		m.of(name, t.Status).entered.Inc()
		m.running.end(t.ID)
	case manager.EventStart:
		m.of(name, t.Status).entered.Inc()
		m.running.start(t.ID, name, t.Progress)
	case manager.EventLost:
		m.running.end(t.ID)
	case manager.EventFinish:
		m.running.end(t.ID)
		s := m.of(name, t.Status)
		s.entered.Inc()
		if !t.StartedAt.IsZero() {
			s.duration.observe(t.Duration().Seconds(), t.ID, t.FinishedAt)
		}
		if t.Status == manager.StatusFailed {
			m.failures.WithLabelValues(name, codeLabel(t.Err())).Inc()
		}
	}
}

func (m *taskMetrics) of(name string, status manager.Status) *taskSeries {
	key := taskKey{name, status}
	if s, ok := m.series.Load(key); ok {
		return s.(*taskSeries)
	}
	s := &taskSeries{entered: m.entered.WithLabelValues(name, string(status))}
	if status.Final() {
		s.duration = newObserver(m.duration.WithLabelValues(name, string(status)))
	}
	kept, _ := m.series.LoadOrStore(key, s)
	return kept.(*taskSeries)
}

// codeLabel is the code of an error as a label: "ok" for none, and one of abi's words for any other, so that it is bounded.
func codeLabel(err error) string {
	if err == nil {
		return "ok"
	}
	code := abi.CodeOf(err)
	if slices.Contains(abi.Codes(), code) {
		return string(code)
	}
	return string(abi.CodeInternal)
}
