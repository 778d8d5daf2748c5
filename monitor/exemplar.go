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

// observe records a value that came up at a time, and calls labels for an exemplar when it is time for one.
func (o *observer) observe(v float64, at time.Time, labels func() prometheus.Labels) {
	last, now := o.last.Load(), at.UnixNano()
	if now-last >= int64(time.Second) && o.last.CompareAndSwap(last, now) {
		if l := labels(); len(l) > 0 {
			o.exemplar.ObserveWithExemplar(v, l)
			return
		}
	}
	o.plain.Observe(v)
}

// exemplarLabels name a task and its trace, as far as known. Prometheus takes 128 runes of names and values.
func exemplarLabels(task, trace string) prometheus.Labels {
	l := prometheus.Labels{}
	if task != "" && len(task) <= 64 {
		l["task_id"] = task
	}
	if trace != "" {
		l["trace_id"] = trace
	}
	return l
}
