package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/bench/measure"
	"github.com/taskhost/taskhost/host"
)

// language is a row of the tables of docs/languages.md. The files are of build/testdata, or of go-sdk.
type language struct {
	name  string
	small string // the smallest processor
	whole string // a plugin that uses all that the SDK has; may be empty
	call  string // the function of the smallest processor; empty: the default
}

var written = []language{
	{name: "Go", small: "small/go", whole: "contract/go"},
	{name: "Rust", small: "small/rust", whole: "contract/rust"},
	{name: "C", small: "small/c", whole: "contract/c"},
	{name: "C++", small: "small/cpp", whole: "contract/cpp"},
	{name: "AssemblyScript", small: "small/as", whole: "contract/as"},
	{name: "JavaScript", small: "small/upper.js", whole: "contract/js/contract.js"},
	{name: "WAT", small: "small/wat", whole: "contract/wat"},
	{name: "WASI program, in C", small: "small/wasi"},
	{name: "WASI program, in Go", small: "filter-go"},
	{name: "Extism PDK for Go", small: "extism-go", call: "upper"},
	{name: "Extism PDK for Rust", small: "go-sdk/count_vowels", call: "count_vowels"},
	{name: "Extism PDK for TinyGo", small: "go-sdk/config", call: "run_test"},
	{name: "Extism PDK for C", small: "go-sdk/hello", call: "run_test"},
	{name: "Extism PDK for Haskell", small: "go-sdk/hello_haskell", call: "testing"},
}

// languages measures the smallest processor in each language, and prints the table as docs/languages.md has it.
func languages(ctx context.Context, wasm files) error {
	fmt.Printf("\n| language | smallest processor | with all functions | cold load | pristine call |\n|---|---|---|---|---|\n")
	for _, l := range written {
		row, err := l.measure(ctx, wasm)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		fmt.Println(row)
	}
	return nil
}

func (l language) measure(ctx context.Context, wasm files) (row string, err error) {
	small, err := wasm.built(l.small)
	if err != nil {
		return "", err
	}
	whole := ""
	if l.whole != "" {
		b, err := wasm.built(l.whole)
		if err != nil {
			return "", err
		}
		whole = size(len(b))
	}
	src, script := host.Source{Wasm: small}, ""
	if filepath.Ext(l.small) == ".js" {
		script = "upper.js"
		src = host.Source{Script: small, File: script}
	}
	cold, err := fastest(func() (time.Duration, error) { return coldSwap(ctx, src) })
	if err != nil {
		return "", err
	}
	c := callCase{name: l.name, wasm: small, script: script, function: l.call, input: []byte(`{"text": "hello world", "n": 12345}`)}
	call, done, err := c.ours(ctx, abi.IsolationPristine)
	if err != nil {
		return "", err
	}
	defer done()
	took, err := fastest(func() (time.Duration, error) {
		const calls = 16
		began := time.Now()
		for range calls {
			if _, err := call(); err != nil {
				return 0, err
			}
		}
		return time.Since(began) / calls, nil
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("| %s | %s | %s | %s ms | %s µs |", l.name, size(len(small)), whole,
		measure.Number(cold.Seconds()*1e3), measure.Number(float64(took.Nanoseconds())/1e3)), nil
}

// fastest is the shortest of many times that f takes, some at least: there is no peer to take turns with here, and what else the machine does
// only adds to a time.
func fastest(f func() (time.Duration, error)) (time.Duration, error) {
	const some, enough = 3, 3 * time.Second
	best := time.Duration(math.MaxInt64)
	began := time.Now()
	for n := 0; n < some || time.Since(began) < enough; n++ {
		took, err := f()
		if err != nil {
			return 0, err
		}
		best = min(best, took)
	}
	return best, nil
}

// built is a module that was read, or one of build/testdata.
func (f files) built(name string) ([]byte, error) {
	if b, ok := f[name]; ok || strings.HasPrefix(name, "go-sdk/") {
		return b, nil
	}
	if filepath.Ext(name) == ".js" { // which is not built
		return os.ReadFile(filepath.Join("..", "testdata", name))
	}
	b, err := os.ReadFile(filepath.Join(build, "testdata", name+".wasm"))
	if err != nil {
		return nil, fmt.Errorf("%w; run make plugins first", err)
	}
	return b, nil
}

func size(n int) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return measure.Number(float64(n)/1e3) + " KB"
	}
	return measure.Number(float64(n)/1e6) + " MB"
}
