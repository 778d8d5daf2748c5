package main

import (
	"math"
	"runtime/metrics"
	"slices"
	"time"
)

// durations are times that were measured one by one.
type durations []time.Duration

// quantile is in seconds; 1 is the longest.
func (d durations) quantile(q float64) float64 {
	s := slices.Sorted(slices.Values(d))
	return s[min(int(q*float64(len(s))), len(s)-1)].Seconds()
}

// waits is what the Go runtime knows of waiting.
type waits struct {
	scheduling histogram // from when a goroutine could run until it runs
	pauses     histogram // of all goroutines, for the garbage collector, from when it asks them to stop
}

func readWaits() waits {
	samples := []metrics.Sample{{Name: "/sched/latencies:seconds"}, {Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(samples)
	return waits{newHistogram(samples[0]), newHistogram(samples[1])}
}

func (w waits) since(before waits) waits {
	return waits{w.scheduling.since(before.scheduling), w.pauses.since(before.pauses)}
}

// histogram counts times in buckets: counts[i] of them lie between bounds[i] and bounds[i+1], in seconds.
type histogram struct {
	counts []uint64
	bounds []float64
}

func newHistogram(s metrics.Sample) histogram {
	h := s.Value.Float64Histogram()
	return histogram{slices.Clone(h.Counts), h.Buckets}
}

func (h histogram) since(before histogram) histogram {
	counts := slices.Clone(h.counts)
	for i := range counts {
		counts[i] -= before.counts[i]
	}
	return histogram{counts, h.bounds}
}

// quantile is the upper bound of the bucket in which it lies, in seconds.
func (h histogram) quantile(q float64) float64 {
	var total, seen uint64
	for _, n := range h.counts {
		total += n
	}
	for i, n := range h.counts {
		if seen += n; n > 0 && float64(seen) >= q*float64(total) {
			if bound := h.bounds[i+1]; !math.IsInf(bound, 1) {
				return bound
			}
			return h.bounds[i]
		}
	}
	return 0
}
