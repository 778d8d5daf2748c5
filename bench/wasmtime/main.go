// Command wasmtime runs the guests of bench on Wasmtime, for reference: what a switch for interruption costs there, and how long a
// module takes to become an instance. It is a module of its own, since Wasmtime is large and needs a C compiler.
//
//	make bench-wasmtime
package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/taskhost/taskhost/bench/measure"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "wasmtime:", err)
		os.Exit(1)
	}
}

func run() error {
	guests, err := measure.Guests(filepath.Join("..", "..", "build"))
	if err != nil {
		return err
	}
	if err := compute(guests); err != nil {
		return err
	}
	fmt.Printf("\n%-52s %10s %10s\n", "Wasmtime, a new instance, µs", "made", "+ init")
	for _, g := range guests {
		if g.Name != "sieve" && g.Name != "JSON in Go" {
			continue
		}
		t, err := instances(g)
		if err != nil {
			return fmt.Errorf("%s: %w", g.Name, err)
		}
		fmt.Printf("%-52s %10s %10s\n", "the module of "+g.Name, measure.Number(t[0]), measure.Number(t[1]))
	}
	return nil
}

// compute prints the run times with epoch interruption and without.
func compute(guests []measure.Guest) error {
	fmt.Printf("\n%-52s %10s %10s %10s\n", "Wasmtime, run time of guests that compute", "alone, ms", "epochs, ms", "ratio")
	logs := 0.0
	for _, g := range guests {
		var sides []func() error
		for _, epochs := range []bool{false, true} {
			m, err := compile(g, epochs)
			if err != nil {
				return fmt.Errorf("%s: %w", g.Name, err)
			}
			i, err := m.instantiate()
			if err != nil {
				return fmt.Errorf("%s: %w", g.Name, err)
			}
			defer i.store.Close()
			if err := i.initialize(); err != nil {
				return fmt.Errorf("%s: %w", g.Name, err)
			}
			sides = append(sides, i.call)
		}
		t, err := measure.Turns(sides...)
		if err != nil {
			return fmt.Errorf("%s: %w", g.Name, err)
		}
		ratio := t[1] / t[0]
		logs += math.Log(ratio)
		fmt.Printf("%-52s %10s %10s %10.2f\n", g.Name, measure.Number(t[0]/1e3), measure.Number(t[1]/1e3), ratio)
	}
	fmt.Printf("%-52s %10s %10s %10.2f\n", "geometric mean", "", "", math.Exp(logs/float64(len(guests))))
	return nil
}

// instances returns the times to make an instance, and to make and initialise one.
func instances(g measure.Guest) ([]float64, error) {
	m, err := compile(g, true)
	if err != nil {
		return nil, err
	}
	begin := func(initialize bool) func() error {
		return func() error {
			i, err := m.instantiate()
			if err != nil {
				return err
			}
			defer i.store.Close()
			if initialize {
				return i.initialize()
			}
			return nil
		}
	}
	return measure.Turns(begin(false), begin(true))
}
