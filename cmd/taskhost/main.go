// Command taskhost runs background tasks whose code is sandboxed WebAssembly plugins. See docs/cli.md.
package main

import (
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // zones of schedules, where the system has none
)

// version is set by the linker (see the Makefile).
var version = "dev"

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(runProcess())
}

// gcPercent lets the heap grow to five times of what lives in it: that is small beside the memories of the guests, which are not on it,
// and a third of the time that many small tasks take is saved.
const gcPercent = 400

// runProcess runs the command line of this process and returns its exit code.
func runProcess() int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	a := app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, signals: signals, kill: os.Exit}
	return a.run(os.Args[1:])
}
