package monitor

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// observer is a histogram's series that gets an exemplar at most once a second, because making one costs more than the observation.
type observer struct {
	plain    prometheus.Observer
	exemplar prometheus.ExemplarObserver
	last     atomic.Int64 // time of the last exemplar, Unix nanoseconds
}

func newObserver(o prometheus.Observer) *observer {
	e, ok := o.(prometheus.ExemplarObserver)
	if !ok { // every histogram is one
		panic("monitor: the histogram takes no exemplars")
	}
	return &observer{plain: o, exemplar: e}
}

// observe records a value that came up in a task at a time.
func (o *observer) observe(v float64, task string, at time.Time) {
	last, now := o.last.Load(), at.UnixNano()
	// The exemplar's limit is 128 runes for name and value; ids are UUIDs.
	if task == "" || len(task) > 100 || now-last < int64(time.Second) || !o.last.CompareAndSwap(last, now) {
		o.plain.Observe(v)
		return
	}
	o.exemplar.ObserveWithExemplar(v, prometheus.Labels{"task_id": task})
}
