package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// console is stderr as it is shared by log lines, notices and progress bars. It is safe for concurrent use.
type console struct {
	mu sync.Mutex
	w  io.Writer
}

// Write writes whole lines to where they go now.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.w.Write(p)
}

func (c *console) printf(format string, args ...any) { fmt.Fprintf(c, format, args...) }

// divert lets lines go to w instead, until the returned function is called.
func (c *console) divert(w io.Writer) (undo func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.w
	c.w = w
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.w = before
	}
}

// logger writes log lines to the console: warnings and errors, with -v information, with -vv everything. Without -v it is silent until
// the returned function is called, for a time in which what goes wrong is told in another way.
func (a *app) logger() (log *slog.Logger, speak func()) {
	const silent = slog.LevelError + 1
	level := new(slog.LevelVar)
	switch a.verbose {
	case 0:
		level.Set(silent)
		speak = func() { level.Set(slog.LevelWarn) }
	case 1:
		level.Set(slog.LevelInfo)
		speak = func() {}
	default:
		level.Set(slog.LevelDebug)
		speak = func() {}
	}
	return slog.New(slog.NewTextHandler(a.console, &slog.HandlerOptions{Level: level})), speak
}
