package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maker makes metrics and remembers them.
type maker struct {
	native bool // histograms get buckets of their own, besides those that they are given
	made   []prometheus.Collector
}

func keep[C prometheus.Collector](m *maker, c C) C {
	m.made = append(m.made, c)
	return c
}

func (m *maker) counter(name, help string, labels ...string) *prometheus.CounterVec {
	return keep(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
}

func (m *maker) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return keep(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels))
}

func (m *maker) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	o := prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}
	if m.native {
		o.NativeHistogramBucketFactor = 1.1
		o.NativeHistogramMaxBucketNumber = 160
		o.NativeHistogramMinResetDuration = time.Hour
	}
	return keep(m, prometheus.NewHistogramVec(o, labels))
}

// counterFunc is a counter of which something else keeps count.
func (m *maker) counterFunc(name, help string, labels prometheus.Labels, count func() float64) {
	keep(m, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, count))
}

// durationBuckets are 10 µs to 1,000 s in steps of about three.
func durationBuckets() []float64 {
	return []float64{
		.00001, .00003, .0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 100, 300, 1000,
	}
}
