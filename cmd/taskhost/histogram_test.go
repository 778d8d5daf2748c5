package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestQuantilesAreThoseOfTheSamples: within the width of a bucket, whatever the size of the samples.
func TestQuantilesAreThoseOfTheSamples(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	var whole, one, other histogram
	if whole.quantile(0.5) != 0 {
		t.Error("there is a quantile of nothing")
	}
	for k := range 20_000 {
		d := time.Duration(rng.ExpFloat64() * float64(time.Duration(1)<<(k%40)))
		all = append(all, d)
		if whole.add(d); k%3 == 0 {
			one.add(d)
		} else {
			other.add(d)
		}
	}
	slices.Sort(all)
	one.merge(&other)
	one.merge(&histogram{})
	if one != whole {
		t.Error("two parts are not the whole")
	}
	if whole.quantile(0) != all[0] || whole.quantile(1) != all[len(all)-1] || whole.max != all[len(all)-1] {
		t.Errorf("from %v to %v, want %v to %v", whole.quantile(0), whole.quantile(1), all[0], all[len(all)-1])
	}
	for _, q := range []float64{0.01, 0.1, 0.5, 0.9, 0.99, 0.999} {
		want := all[int(q*float64(len(all)))-1]
		if got := whole.quantile(q); (got - want).Abs() > want/100 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

func TestBucketsHaveNoGapsAndOverlapNowhere(t *testing.T) {
	last := -1
	for e := 2; e < 63; e++ {
		for _, d := range []time.Duration{1 << e, 1<<e + 1, 1<<e + 1<<e>>1, 1<<e + (1<<e - 1)} {
			b := bucket(d)
			if b < last || b >= len(histogram{}.counts) {
				t.Fatalf("bucket of %d is %d, that of a smaller one %d", d, b, last)
			}
			if bucket(middle(b)) != b {
				t.Errorf("the middle of bucket %d is in bucket %d", b, bucket(middle(b)))
			}
			last = b
		}
	}
	for v := range time.Duration(5000) {
		if d := bucket(v+1) - bucket(v); d != 0 && d != 1 {
			t.Errorf("buckets of %d and the next one are %d apart", v, d)
		}
	}
}

func TestArgumentsThatAreFiles(t *testing.T) {
	for arg, want := range map[string][2]string{
		"x.wasm": {"x.wasm"}, "./x": {"./x"}, "a/b.wasm:process": {"a/b.wasm", "process"}, "x.js:default": {"x.js", "default"},
		`C:\x.wasm`: {`C:\x.wasm`}, `C:\x.wasm:f`: {`C:\x.wasm`, "f"}, "a:b/c.wasm": {"a:b/c.wasm"},
	} {
		if file, function, ok := cutFile(arg); !ok || file != want[0] || function != want[1] {
			t.Errorf("%s: %q %q %v", arg, file, function, ok)
		}
	}
	for _, arg := range []string{"text", "text:count", "my.plugin", "agent:a.b"} {
		if _, _, ok := cutFile(arg); ok {
			t.Errorf("%s is taken for a file", arg)
		}
	}
}
