// Command bench measures taskhost beside its peers in one run and prints a table. Machines are noisy: what counts are the ratios,
// of medians over rounds in which the sides take turns.
//
//	make bench
//	go run . [PART...]   in this folder, some of the tables: calls, compute, latencies, crowd
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/bench/measure"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// figure is one line of the table.
type figure struct {
	name       string
	unit       string
	ours, peer float64 // in unit; peer 0: there is none
	higher     bool    // more is better
	want       float64 // the ratio, or without a peer the figure, that is expected
}

// ratio is how many times better we are than the peer.
func (f figure) ratio() float64 {
	switch {
	case f.peer == 0:
		return 0
	case f.higher:
		return f.ours / f.peer
	}
	return f.peer / f.ours
}

// build is where make puts what it builds.
var build = filepath.Join("..", "build")

// files are modules, by the names of their files.
type files map[string][]byte

// part is one of the tables; the words after the command choose some.
type part struct {
	name string
	run  func(context.Context, files) error
}

var parts = []part{
	{"calls", calls},
	{"compute", compute},
	{"latencies", latencies},
	{"crowd", crowd},
}

func run(ctx context.Context, chosen []string) error {
	read, err := readGuests()
	if err != nil {
		return err
	}
	fmt.Printf("%d cores, %s, %s/%s\n", runtime.GOMAXPROCS(0), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, p := range parts {
		if len(chosen) > 0 && !slices.Contains(chosen, p.name) {
			continue
		}
		if err := p.run(ctx, read); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// readGuests reads the modules that are measured, by the names of their files.
func readGuests() (files, error) {
	sdk, err := moduleDir("github.com/extism/go-sdk")
	if err != nil {
		return nil, err
	}
	read := files{}
	for dir, names := range map[string][]string{
		filepath.Join(build, "testdata"):           {"extism-go", "upper-go"},
		filepath.Join(build, "testdata", "guests"): {"noop", "spin"},
		filepath.Join(sdk, "wasm"):                 {"count_vowels"},
	} {
		for _, name := range names {
			if read[name], err = os.ReadFile(filepath.Join(dir, name+".wasm")); err != nil {
				return nil, fmt.Errorf("%w; run make plugins first", err)
			}
		}
	}
	return read, nil
}

// calls compares calls of the same unmodified plugins.
func calls(ctx context.Context, guests files) error {
	goPlugin, vowels, noop := guests["extism-go"], guests["count_vowels"], guests["noop"]
	small := []byte("hello world, this is a vowel test")
	big := bytes.Repeat([]byte("hello world "), 1<<20/12)

	var figures []figure
	for _, c := range []callCase{
		{"call, Go noop", goPlugin, "noop", small, 20},
		{"call, Go echo 33 B", goPlugin, "echo", small, 20},
		{"call, Go echo 1 MiB", goPlugin, "echo", big, 5},
		{"call, Rust count_vowels 33 B", vowels, "count_vowels", small, 20},
	} {
		f, err := c.reused(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		figures = append(figures, f)
	}
	for _, c := range []callCase{
		{"own sandbox for each call, Go noop", goPlugin, "noop", small, 1},
		{"own sandbox for each call, Rust count_vowels 33 B", vowels, "count_vowels", small, 1},
	} {
		f, err := c.fresh(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		figures = append(figures, f)
	}
	for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
		f, err := noopTasks(ctx, noop, workers)
		if err != nil {
			return err
		}
		figures = append(figures, f)
	}
	print(figures)
	return nil
}

func print(figures []figure) {
	const row = "%-52s %10s %10s  %-8s %8s  %s\n"
	fmt.Println()
	fmt.Printf(row, "figure", "taskhost", "go-sdk", "unit", "times", "expected")
	for _, f := range figures {
		peer, times, want := "", "", fmt.Sprintf("at least %.0f", f.want)
		if f.peer > 0 {
			peer, times = measure.Number(f.peer), fmt.Sprintf("%.1f", f.ratio())
		}
		fmt.Printf(row, f.name, measure.Number(f.ours), peer, f.unit, times, want)
	}
}

// moduleDir is the folder of a module's source.
func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
