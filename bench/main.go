// Command bench measures taskhost beside its peers in one run and prints a table. Machines are noisy: what counts are the ratios,
// of medians over rounds in which the sides take turns.
//
//	make bench
//	go run . [PART...]   in this folder, some of the tables: calls, ready, compute, load, languages, scripts, latencies, crowd, http, durable, authoring, backlog
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/bench/durable"
	"github.com/taskhost/taskhost/bench/overhttp"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == overhttp.Streams {
		if err := overhttp.Clients(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
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
	{"ready", ready},
	{"compute", compute},
	{"load", loading},
	{"languages", languages},
	{"scripts", scripts},
	{"latencies", latencies},
	{"crowd", crowd},
	{"http", overHTTP},
	{"durable", queues},
	{"authoring", authoring},
	{"backlog", backlog},
}

// overHTTP measures the HTTP API.
func overHTTP(ctx context.Context, wasm files) error { return overhttp.Run(ctx, wasm["guests/noop"]) }

// queues measures durable queues of tasks side by side.
func queues(ctx context.Context, wasm files) error { return durable.Run(ctx, wasm["guests/noop"]) }

// backlog measures what a long queue costs. It takes minutes and some gigabytes of disk, so it is done only when it is named.
func backlog(ctx context.Context, _ files) error { return durable.Backlog(ctx) }

func run(ctx context.Context, chosen []string) error {
	for _, name := range chosen {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return fmt.Errorf("there is no part %q", name)
		}
	}
	read, err := readFiles(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d cores, %s, %s/%s\n", runtime.GOMAXPROCS(0), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, p := range parts {
		if named := slices.Contains(chosen, p.name); !named && (len(chosen) > 0 || p.name == "backlog" || p.name == "authoring") {
			continue
		}
		if err := p.run(ctx, read); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// readFiles reads the modules that are measured: those of testdata, and go-sdk's as go-sdk/NAME.
func readFiles(ctx context.Context) (files, error) {
	sdk, err := moduleDir(ctx, "github.com/extism/go-sdk")
	if err != nil {
		return nil, err
	}
	read := files{}
	for _, name := range []string{"extism-go", "upper-go", "echo-go", "guests/noop", "hostile/spin", "guests/pages"} {
		if read[name], err = os.ReadFile(filepath.Join(build, "testdata", name+".wasm")); err != nil {
			return nil, fmt.Errorf("%w; run make plugins first", err)
		}
	}
	paths, err := filepath.Glob(filepath.Join(sdk, "wasm", "*.wasm"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		name := "go-sdk/" + strings.TrimSuffix(filepath.Base(path), ".wasm")
		if read[name], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return read, nil
}

// moduleDir is the folder of a module's source.
func moduleDir(ctx context.Context, module string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
