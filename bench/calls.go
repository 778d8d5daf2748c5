package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"runtime"

	"github.com/taskhost/taskhost/bench/measure"
)

// figure is one line of a table.
type figure struct {
	name       string
	unit       string
	ours, peer float64 // in unit; peer 0: there is none
	higher     bool    // more is better
	want       string  // what is expected
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

const figureRow = "%-52s %10s %10s  %-8s %8s  %s\n"

func (f figure) print() {
	peer, times := "", ""
	if f.peer > 0 {
		peer, times = measure.Number(f.peer), fmt.Sprintf("%.1f", f.ratio())
	}
	fmt.Printf(figureRow, f.name, measure.Number(f.ours), peer, f.unit, times, f.want)
}

// printAll prints the rows as they are measured and returns them.
func printAll(ctx context.Context, title string, rows []func(context.Context) (figure, error)) ([]figure, error) {
	fmt.Printf("\n"+figureRow, title, "taskhost", "go-sdk", "unit", "times", "expected")
	var figures []figure
	for _, row := range rows {
		f, err := row(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		f.print()
		figures = append(figures, f)
	}
	return figures, nil
}

// calls compares calls of the same unmodified plugins, and counts tasks.
func calls(ctx context.Context, wasm files) error {
	small := []byte("hello world, this is a vowel test")
	big := bytes.Repeat([]byte("hello world "), 1<<20/12)
	noop := callCase{name: "Go noop", wasm: wasm["extism-go"], function: "noop", input: small}
	echo := callCase{name: "Go echo 33 B", wasm: wasm["extism-go"], function: "echo", input: small}
	echoBig := callCase{name: "Go echo 1 MiB", wasm: wasm["extism-go"], function: "echo", input: big}
	echoSDK := callCase{name: "Go echo 1 MiB, made with our SDK", wasm: wasm["echo-go"], function: "process", input: big}
	vowels := callCase{name: "Rust count_vowels 33 B", wasm: wasm["go-sdk/count_vowels"], function: "count_vowels", input: small}

	if _, err := printAll(ctx, "call of an instance that is there", []func(context.Context) (figure, error){
		noop.wants("at least 20 times").reused,
		echo.wants("at least 20 times").reused,
		echoBig.wants("at least 5 times").reused,
		echoSDK.wants("at most 500 µs").beside(echoBig),
		vowels.wants("at least 20 times").reused,
	}); err != nil {
		return err
	}
	if _, err := printAll(ctx, "call with a sandbox of its own", []func(context.Context) (figure, error){
		noop.wants("").fresh,
		echo.wants("at most 10 µs").fresh,
		vowels.wants("at most 5 µs").fresh,
	}); err != nil {
		return err
	}
	_, err := printAll(ctx, "tasks", []func(context.Context) (figure, error){
		noopTasks(wasm["guests/noop"], 1),
		noopTasks(wasm["guests/noop"], runtime.GOMAXPROCS(0)),
	})
	return err
}

// ready compares calls of the plugins in go-sdk's own folder that need no folder, no server and no functions of an embedder.
func ready(ctx context.Context, wasm files) error {
	text := []byte("Hello, World!")
	config := map[string]string{"thing": "hello", "vowels": "aeiouyAEIOUY", "greeting": "Howdy"}
	var rows []func(context.Context) (figure, error)
	for _, c := range []callCase{
		{name: "alloc", function: "run_test"},
		{name: "config", function: "run_test"},
		{name: "count_vowels", function: "count_vowels"},
		{name: "fail", function: "run_test", fails: true},
		{name: "hello", function: "run_test"},
		{name: "hello_haskell", function: "testing"},
		{name: "input_offset", function: "input_offset_length"},
		{name: "log", function: "run_test"},
		{name: "main", function: "run_test", libs: files{"lib": wasm["go-sdk/lib"]}},
		{name: "noop", function: "run_test"},
		{name: "println", function: "run_test"},
		{name: "replace", function: "run_test"},
		{name: "var", function: "run_test"},
	} {
		c.wasm, c.input, c.config = wasm["go-sdk/"+c.name], text, config
		rows = append(rows, c.reused)
	}
	figures, err := printAll(ctx, "call of an instance that is there, go-sdk's plugins", rows)
	if err != nil {
		return err
	}
	sum := 0.0
	for _, f := range figures {
		sum += math.Log(f.ratio())
	}
	fmt.Printf(figureRow, "geometric mean", "", "", "", fmt.Sprintf("%.1f", math.Exp(sum/float64(len(figures)))), "at least 100 times")
	return nil
}
