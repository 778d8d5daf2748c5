package monitor

import (
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// maxRunning bounds the tasks whose progress is followed; the manager's own bound on slots is the same.
const maxRunning = 10_000

// runningTasks follows the progress of the tasks that run now, and shows it summed up by name, so that the number of series does not
// depend on the number of tasks.
type runningTasks struct {
	progressDesc *prometheus.Desc
	countDesc    *prometheus.Desc

	mu    sync.Mutex
	tasks map[string]*runningTask
}

type runningTask struct {
	name     string
	progress float64
}

func newRunningTasks() *runningTasks {
	return &runningTasks{
		progressDesc: prometheus.NewDesc("taskhost_task_progress",
			"Progress of the tasks that run now, 0 to 1: min, mean and max by name.", []string{"name", "stat"}, nil),
		countDesc: prometheus.NewDesc("taskhost_tasks_running", "Tasks that run now.", []string{"name"}, nil),
		tasks:     map[string]*runningTask{},
	}
}

func (r *runningTasks) start(id, name string, progress float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tasks) < maxRunning {
		r.tasks[id] = &runningTask{name, progress}
	}
}

func (r *runningTasks) progress(id string, progress float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tasks[id]; t != nil {
		t.progress = progress
	}
}

func (r *runningTasks) end(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tasks, id)
}

// Describe implements prometheus.Collector.
func (r *runningTasks) Describe(ch chan<- *prometheus.Desc) {
	ch <- r.progressDesc
	ch <- r.countDesc
}

// runningSum sums up the running tasks of one name.
type runningSum struct {
	name          string
	count         int
	sum, min, max float64
}

// Collect implements prometheus.Collector.
func (r *runningTasks) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range r.sums() {
		gauge(r.countDesc, float64(s.count), s.name)
		gauge(r.progressDesc, s.min, s.name, "min")
		gauge(r.progressDesc, s.sum/float64(s.count), s.name, "mean")
		gauge(r.progressDesc, s.max, s.name, "max")
	}
}

func (r *runningTasks) sums() []*runningSum {
	r.mu.Lock()
	defer r.mu.Unlock()
	byName := map[string]*runningSum{}
	var sums []*runningSum
	for _, t := range r.tasks {
		s := byName[t.name]
		if s == nil {
			s = &runningSum{name: t.name, min: t.progress, max: t.progress}
			byName[t.name] = s
			sums = append(sums, s)
		}
		s.count++
		s.sum += t.progress
		s.min, s.max = min(s.min, t.progress), max(s.max, t.progress)
	}
	slices.SortFunc(sums, func(a, b *runningSum) int { return strings.Compare(a.name, b.name) })
	return sums
}
