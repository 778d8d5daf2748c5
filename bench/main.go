// Command bench measures taskhost beside its peers in one run and prints a table. Machines are noisy: what counts are the ratios,
// of medians over rounds in which the sides take turns.
//
//	make bench
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	if err := run(context.Background()); err != nil {
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

func run(ctx context.Context) error {
	sdk, err := moduleDir("github.com/extism/go-sdk")
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for name, dir := range map[string]string{"extism-go": "", "upper-go": "", "kernels": "", "guests/noop": "", "guests/spin": "", "guests/echo": "", "count_vowels": filepath.Join(sdk, "wasm")} {
		if dir == "" {
			dir = filepath.Join("..", "build", "testdata")
		}
		if files[name], err = os.ReadFile(filepath.Join(dir, name+".wasm")); err != nil {
			return fmt.Errorf("%w; run make plugins first", err)
		}
	}
	goPlugin, vowels, noop := files["extism-go"], files["count_vowels"], files["guests/noop"]
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
	if err := compute(ctx, files["kernels"]); err != nil {
		return err
	}
	if err := latencies(ctx, files["guests/spin"]); err != nil {
		return err
	}
	return crowd(ctx, files["upper-go"])
}

func print(figures []figure) {
	fmt.Printf("%d cores, %s, %s/%s\n\n", runtime.GOMAXPROCS(0), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	const row = "%-52s %10s %10s  %-8s %8s  %s\n"
	fmt.Printf(row, "figure", "taskhost", "go-sdk", "unit", "times", "expected")
	for _, f := range figures {
		peer, times, want := "", "", fmt.Sprintf("at least %.0f", f.want)
		if f.peer > 0 {
			peer, times = number(f.peer), fmt.Sprintf("%.1f", f.ratio())
		}
		fmt.Printf(row, f.name, number(f.ours), peer, f.unit, times, want)
	}
}

func number(x float64) string {
	if x < 100 {
		return fmt.Sprintf("%.3g", x)
	}
	return fmt.Sprintf("%.0f", x)
}

// moduleDir is the folder of a module's source.
func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
