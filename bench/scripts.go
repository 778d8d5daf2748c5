package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/bench/measure"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/builtin"
)

// small are scripts, and their inputs.
var small = []callCase{
	{name: "does nothing", wasm: []byte("export function process() {}\n"), input: []byte("hello world")},
	{name: "capital letters", wasm: []byte("export const process = (text) => text.toUpperCase();\n"), input: []byte("hello world, this is a vowel test")},
	{
		name: "JSON in, JSON out", input: []byte(`{"items": [{"name": "a", "price": 1.5, "count": 3}, {"name": "b", "price": 20, "count": 1}]}`),
		wasm: []byte("export const process = ({ items }) => ({ total: items.reduce((sum, i) => sum + i.price * i.count, 0), names: items.map(i => i.name) });\n" +
			"process.input = 'json';\n"),
	},
}

// scripts measures tasks of scripts, each with a sandbox of its own, beside a process of node that does nothing; how long scripts take to load;
// and what a thousand instances of one cost.
func scripts(ctx context.Context, _ files) error {
	node := func() error { return exec.CommandContext(ctx, "node", "-e", "0").Run() }
	if err := node(); err != nil {
		return fmt.Errorf("node is the peer: %w", err)
	}
	const row = "%-52s %10s %10s  %-8s %8s  %s\n"
	fmt.Printf("\n"+row, "a script's task, pristine", "taskhost", "node", "unit", "times", "expected")
	for _, c := range small {
		c.script = "p.js"
		f, done, err := c.ours(ctx, abi.IsolationPristine)
		if err != nil {
			return err
		}
		took, err := measure.Turns(func() error { _, err := f(); return err }, node)
		done()
		if err != nil {
			return err
		}
		fmt.Printf(row, c.name, measure.Number(took[0]), measure.Number(took[1]), "µs", measure.Number(took[1]/took[0]), "at most 50 µs")
	}
	if err := loadingScripts(ctx); err != nil {
		return err
	}
	return crowdOf(ctx, "a script", callCase{
		script: "p.js", wasm: []byte("export function process(text) { progress(1, 1); return text; }\n"),
	})
}

// loadingScripts measures Swap for the first script, with the interpreter, and for further ones.
func loadingScripts(ctx context.Context) error {
	cache, err := os.MkdirTemp("", "taskhost-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	first := func(dir string, load func(h *host.Host) error) (time.Duration, error) {
		h, err := host.New(ctx, host.Config{CacheDir: dir, Interpreters: builtin.Interpreters()})
		if err != nil {
			return 0, err
		}
		defer h.Close(ctx)
		began := time.Now()
		err = load(h)
		return time.Since(began), err
	}
	n := 0
	swap := func(h *host.Host, file string) error {
		n++
		text := fmt.Appendf(nil, "export const process = (text) => text + %d;\n", n)
		_, err := h.Swap(ctx, fmt.Sprintf("p%d", n), host.Source{Script: text, File: file})
		return err
	}
	cold, err := fastest(func() (time.Duration, error) {
		return first("off", func(h *host.Host) error { return swap(h, "p.js") })
	})
	if err != nil {
		return err
	}
	warm, err := fastest(func() (time.Duration, error) {
		return first(filepath.Join(cache, "c"), func(h *host.Host) error { return swap(h, "p.js") })
	})
	if err != nil {
		return err
	}
	fmt.Printf("\nloading the first script: %.0f ms where nothing is cached, %.0f ms from the cache\n", cold.Seconds()*1e3, warm.Seconds()*1e3)
	for _, file := range []string{"p.js", "p.ts"} {
		further := time.Duration(0)
		const scripts = 20
		_, err := first(filepath.Join(cache, "c"), func(h *host.Host) error {
			if err := swap(h, file); err != nil {
				return err
			}
			began := time.Now()
			for range scripts {
				if err := swap(h, file); err != nil {
					return err
				}
			}
			further = time.Since(began) / scripts
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Printf("each further one, %s: %.1f ms\n", filepath.Ext(file), further.Seconds()*1e3)
	}
	return nil
}
