package monitor

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskhost/taskhost/abi"
)

// guestSeries is one series of a guest. Its owner guards it.
type guestSeries struct {
	name  string // as the guest calls it
	kind  abi.MetricKind
	desc  *prometheus.Desc
	label []string

	value   float64 // of a counter or a gauge; the sum of a histogram
	count   uint64
	bounds  []float64 // shared, see guestBuckets
	buckets []uint64  // not cumulative, by index of bounds
}

// guestBuckets fit any unit roughly: two for each power of ten from a millionth to a billion.
func guestBuckets() []float64 {
	return []float64{
		1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, .01, .03, .1, .3, 1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5,
		1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9,
	}
}

func newGuestSeries(m abi.Metric, bounds []float64, plugin string, names, values []string) *guestSeries {
	exposed := guestPrefix + m.Name
	if m.Kind == abi.MetricAdd {
		exposed = strings.TrimSuffix(exposed, "_total") + "_total"
	}
	s := &guestSeries{
		name: m.Name, kind: m.Kind,
		desc: prometheus.NewDesc(exposed, "Reported by plugins as "+m.Name+", a "+string(m.Kind)+".",
			append([]string{"plugin"}, names...), nil),
		label: append([]string{plugin}, values...),
	}
	if m.Kind == abi.MetricObserve {
		s.bounds, s.buckets = bounds, make([]uint64, len(bounds))
	}
	return s
}

func (s *guestSeries) add(v float64) {
	switch s.kind {
	case abi.MetricSet:
		s.value = v
	case abi.MetricAdd:
		s.value += v
	case abi.MetricObserve:
		s.value += v
		s.count++
		if i, _ := slices.BinarySearch(s.bounds, v); i < len(s.buckets) {
			s.buckets[i]++
		}
	}
}

// metric is the series as it is now.
func (s *guestSeries) metric() prometheus.Metric {
	switch s.kind {
	case abi.MetricSet:
		return prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, s.value, s.label...)
	case abi.MetricObserve:
		buckets, sum := map[float64]uint64{}, uint64(0)
		for i, bound := range s.bounds {
			sum += s.buckets[i]
			buckets[bound] = sum
		}
		return prometheus.MustNewConstHistogram(s.desc, s.count, s.value, buckets, s.label...)
	}
	return prometheus.MustNewConstMetric(s.desc, prometheus.CounterValue, s.value, s.label...)
}
