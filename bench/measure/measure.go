// Package measure is what bench and its reference have in common: the guests that compute, and how times are taken.
package measure

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// rounds is how often the sides take turns, and turnTime how long each turn lasts. Slow calls get fewer rounds: those that begin
// within enough, but some.
const (
	rounds   = 21
	some     = 3
	enough   = 4 * time.Second
	turnTime = 25 * time.Millisecond
)

// Turns lets the sides take turns and returns the median time of a call of each, in microseconds.
func Turns(sides ...func() error) ([]float64, error) {
	times := make([][]float64, len(sides))
	began := time.Now()
	for round := range rounds {
		if round >= some && time.Since(began) > enough {
			break
		}
		for i, f := range sides {
			t, err := turn(f)
			if err != nil {
				return nil, err
			}
			times[i] = append(times[i], t)
		}
	}
	medians := make([]float64, len(sides))
	for i, t := range times {
		slices.Sort(t)
		medians[i] = t[len(t)/2]
	}
	return medians, nil
}

// turn is the mean time of a call in one turn.
func turn(f func() error) (float64, error) {
	n := 0
	began := time.Now()
	for time.Since(began) < turnTime {
		batch := 1
		if n > 500 { // fast enough that looking at the clock would count
			batch = 50
		}
		for range batch {
			if err := f(); err != nil {
				return 0, err
			}
		}
		n += batch
	}
	return float64(time.Since(began).Nanoseconds()) / 1e3 / float64(n), nil
}

// Number writes a figure with three digits.
func Number(x float64) string {
	if x < 100 {
		return fmt.Sprintf("%.3g", x)
	}
	return fmt.Sprintf("%.0f", x)
}

// Guest is a function that computes: it takes nothing, does the same work in every call, and returns 0.
type Guest struct {
	Name     string
	Wasm     []byte
	Function string
}

// Guests reads from the folder of what was built the kernels, each some lines of C, and the programs.
func Guests(build string) ([]Guest, error) {
	kernels, err := os.ReadFile(filepath.Join(build, "testdata", "kernels.wasm"))
	if err != nil {
		return nil, fmt.Errorf("%w; run make plugins first", err)
	}
	var guests []Guest
	for _, name := range []string{"sieve", "matrix", "fib", "hash", "sort", "vowels", "tree", "sum"} {
		guests = append(guests, Guest{name, kernels, name})
	}
	for _, p := range []struct{ file, name string }{
		{"json", "JSON in Go"},
		{"markdown", "Markdown in Go (goldmark)"},
		{"gojq", "jq in Go (gojq)"},
		{"sqlite", "SQLite in C"},
		{"zstd", "zstd in C"},
	} {
		wasm, err := os.ReadFile(filepath.Join(build, "bench", p.file+".wasm"))
		if err != nil {
			return nil, fmt.Errorf("%w; run make plugins-bench first", err)
		}
		guests = append(guests, Guest{p.name, wasm, "run"})
	}
	return guests, nil
}
