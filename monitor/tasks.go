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
	queues     *names
	tracing    *Tracing
	operations *prometheus.CounterVec
	entered    *prometheus.CounterVec
	failures   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	wait       *prometheus.HistogramVec
	running    *runningTasks
	series     sync.Map // taskKey to *taskSeries
	waits      sync.Map // name of a queue to *observer
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

func newTaskMetrics(mk *maker, queues *names, tracing *Tracing) *taskMetrics {
	return &taskMetrics{
		names: newNames(MaxNames), queues: queues, tracing: tracing,
		operations: mk.counter("taskhost_task_operations_total", "What happened to tasks, and their status after it.", "operation", "status"),
		entered:    mk.counter("taskhost_tasks_total", "Tasks that entered a status. Running counts attempts.", "name", "status"),
		failures:   mk.counter("taskhost_task_failures_total", "Failed tasks by the code of their error.", "name", "code"),
		duration: mk.histogram("taskhost_task_duration_seconds", "Time of tasks from their first start to their end, by final status.",
			durationBuckets(), "name", "status"),
		wait: mk.histogram("taskhost_queue_wait_seconds", "Time that tasks waited for their first start, from when they were due.",
			durationBuckets(), "queue"),
		running: keep(mk, newRunningTasks()),
	}
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
		if t.Attempt == 1 {
			m.waited(t)
		}
	case manager.EventLost:
		m.running.end(t.ID)
	case manager.EventFinish:
		m.running.end(t.ID)
		s := m.of(name, t.Status)
		s.entered.Inc()
		if !t.StartedAt.IsZero() {
			s.duration.observe(t.Duration().Seconds(), t.FinishedAt, func() prometheus.Labels { return m.exemplar(t) })
		}
		if t.Status == manager.StatusFailed {
			m.failures.WithLabelValues(name, codeLabel(t.Err())).Inc()
		}
	}
}

// waited records how long a task that starts for the first time has waited.
func (m *taskMetrics) waited(t *manager.Task) {
	o, ok := m.waits.Load(t.Spec.Queue)
	if !ok {
		queue := m.queues.bound(t.Spec.Queue)
		if o, ok = m.waits.Load(queue); !ok {
			o, _ = m.waits.LoadOrStore(queue, newObserver(m.wait.WithLabelValues(queue)))
		}
	}
	o.(*observer).observe(t.AttemptAt.Sub(waitsSince(t)).Seconds(), t.AttemptAt, func() prometheus.Labels { return m.exemplar(t) })
}

func (m *taskMetrics) exemplar(t *manager.Task) prometheus.Labels {
	return exemplarLabels(t.ID, m.tracing.traceID(t))
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
