package host_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// pluginFolder is a new folder with one plugin of the tests, which `make plugins` builds.
func pluginFolder(name string) string {
	dir, err := os.MkdirTemp("", "plugins")
	if err != nil {
		log.Fatal(err)
	}
	wasm, err := os.ReadFile(filepath.Join("..", "build", "testdata", name+".wasm"))
	if err != nil {
		log.Fatalf("%v: run make plugins", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".wasm"), wasm, 0o644); err != nil {
		log.Fatal(err)
	}
	return dir
}

// A host loads every plugin of a folder, and runs their functions.
func ExampleNew() {
	ctx := context.Background()
	dir := pluginFolder("upper-c")
	defer os.RemoveAll(dir)

	h, err := host.New(ctx, host.Config{Dir: dir, CacheDir: testCache})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close(ctx)
	for _, p := range h.Plugins() {
		fmt.Println(p.Name, p.State, p.Default)
	}
	res, err := h.Run(ctx, abi.Call{Plugin: "upper-c", Input: []byte("hello")}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", res.Output)
	// Output:
	// upper-c ready process
	// HELLO
}

// Errors have codes, which say whether another attempt makes sense.
func ExampleHost_Run() {
	ctx := context.Background()
	dir := pluginFolder("upper-c")
	defer os.RemoveAll(dir)
	h, err := host.New(ctx, host.Config{Dir: dir, CacheDir: testCache})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close(ctx)

	report := func(p abi.Progress) { fmt.Printf("%.0f%%\n", 100*p.Fraction) }
	if _, err = h.Run(ctx, abi.Call{Plugin: "upper-c", Input: []byte("fine")}, report); err != nil {
		log.Fatal(err)
	}
	_, err = h.Run(ctx, abi.Call{Plugin: "upper-c", Input: []byte("bad \xff"), Task: "t-1"}, nil)
	fmt.Println(err)
	fmt.Println(abi.CodeOf(err), abi.CodeOf(err).Temporary())
	_, err = h.Run(ctx, abi.Call{Plugin: "uper-c"}, nil)
	fmt.Println(abi.CodeOf(err))
	// Output:
	// 0%
	// 100%
	// task t-1: plugin upper-c:process: invalid UTF-8 at byte 4
	// invalid false
	// not_found
}

// A WASI command is a plugin: standard input is the input, standard output the output. Swap adds a plugin that is in no folder, and
// makes another version of it current; Rollback goes back.
func ExampleHost_Swap() {
	ctx := context.Background()
	h, err := host.New(ctx, host.Config{CacheDir: testCache})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close(ctx)
	wasm, err := os.ReadFile(filepath.Join("..", "build", "testdata", "filter-c.wasm"))
	if err != nil {
		log.Fatalf("%v: run make plugins", err)
	}
	say := func() {
		res, err := h.Run(ctx, abi.Call{Plugin: "rot13", Input: []byte("Hello")}, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", res.Output)
	}
	if _, err := h.Swap(ctx, "rot13", host.Source{Wasm: wasm}); err != nil {
		log.Fatal(err)
	}
	say()
	upper := &abi.Manifest{Taskhost: &abi.ManifestTaskhost{Args: []string{"--upper"}}}
	if _, err := h.Swap(ctx, "rot13", host.Source{Wasm: wasm, Manifest: upper}); err != nil {
		log.Fatal(err)
	}
	say()
	if _, err := h.Rollback(ctx, "rot13"); err != nil {
		log.Fatal(err)
	}
	say()
	// Output:
	// Uryyb
	// URYYB
	// Uryyb
}
