package main

import (
	"path/filepath"
	"testing"
)

// TestDevOnATerminal: each run has a clean screen, a save gives the next, and keys end it or run it again, also while a call runs.
func TestDevOnATerminal(t *testing.T) {
	t.Parallel()
	dir := devProject(t)
	source := filepath.Join(dir, "loud.c")
	x := newTerminal(t, 100, 40, scriptEnv(t), "dev", dir)
	x.shows("loud  run 1, begins", "HELLO", "completed in", "✓ cases 1 passed", "waiting for changes; q ends")
	edit(t, source, "-= 'a' - 'A'", "-= 'a' - 'B'")
	x.shows("run 2, loud.c changed", "IFMMP", "the output changed", "-HELLO", "✗ cases", "waiting for changes", "!run 1")
	edit(t, source, "'B'", "")
	x.shows("run 3", "expected expression", "the version before goes on", "!run 2")
	x.press("r")
	x.shows("run 4, once more", "IFMMP", "the same output as before", "waiting for changes")
	edit(t, source, "-= 'a' - ;", "-= 'a' - 'A'; for (;;) {}")
	x.shows("running …")
	x.press("q")
	x.exits(exitOK)
}
