package main

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are at most a 128th of their value wide: its quantiles are that near to those of all samples,
// however many there are, in a bounded space. The smallest and the largest are kept as they are.
type histogram struct {
	counts   [57 * 128]uint32
	n        int64
	min, max time.Duration
}

// bucket is the number of a duration's bucket: the value itself below 256, then 128 buckets for each power of two.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	e := max(0, bits.Len64(v)-8)
	return e<<7 + int(v>>e)
}

// middle is the duration in the middle of a bucket.
func middle(b int) time.Duration {
	if b < 256 {
		return time.Duration(b)
	}
	e := b>>7 - 1
	return time.Duration(b-e<<7)<<e + time.Duration(1)<<e/2
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(d)]++
	if h.n == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.n++
}

// merge adds what o has counted.
func (h *histogram) merge(o *histogram) {
	if o.n == 0 {
		return
	}
	for b, c := range o.counts {
		h.counts[b] += c
	}
	if h.n == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.n += o.n
}

// quantile is the duration that the part q of the samples does not exceed; 0 if there is none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int64(math.Ceil(q * float64(h.n)))
	if rank >= h.n {
		return h.max
	}
	for b, c := range h.counts {
		if rank -= int64(c); c > 0 && rank <= 0 {
			return min(max(middle(b), h.min), h.max)
		}
	}
	return 0
}
