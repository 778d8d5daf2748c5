package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// runOnTerminal runs taskhost with standard error on a terminal of 100 columns and returns what it drew there.
func runOnTerminal(t *testing.T, env []string, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("taskhost", args...)
	cmd.Env = append(append(os.Environ(), "TERM=xterm", "NO_COLOR="), env...)
	cmd.Stderr = terminal
	err = cmd.Start()
	terminal.Close()
	if err != nil {
		t.Fatal(err)
	}
	drawn := make(chan string)
	go func() {
		var b bytes.Buffer
		// A terminal whose last program is gone gives EIO instead of an end.
		if _, err := b.ReadFrom(master); err != nil && !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
		drawn <- b.String()
	}()
	text := <-drawn
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%q", err, text)
	}
	return text
}

// TestBarsOnATerminal: a terminal shows a bar that moves, with the plugin's own messages, and log lines do not destroy it.
func TestBarsOnATerminal(t *testing.T) {
	env := scriptEnv(t)
	guests := filepath.Join(repository(t), "build", "testdata", "guests")

	drawn := runOnTerminal(t, env, "call", "agent", "count", "--arg", "steps=4", "--arg", "delay_ms=300")
	for _, want := range []string{"agent:count", "50%", "2/4", "counted to 2", "completed in", "[====", "\x1b["} {
		if !strings.Contains(drawn, want) {
			t.Errorf("no %q in %q", want, drawn)
		}
	}

	input := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(input, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	drawn = runOnTerminal(t, env, "run", "-p", guests, "-i", input, "logs:levels")
	if !strings.Contains(drawn, "level=WARN") || !strings.Contains(drawn, "logs:levels") {
		t.Errorf("a warning and a bar are missing in %q", drawn)
	}

}

// TestWorkOnATerminal: a worker, which does not know how many tasks there will be, shows how many have ended and those that run.
func TestWorkOnATerminal(t *testing.T) {
	env := scriptEnv(t)
	data := filepath.Join(t.TempDir(), "data")
	for range 2 {
		code, _, stderr := run(t, nil, "call", "--data", data, "--detach", "agent", "count", "--arg", "steps=2", "--arg", "delay_ms=200")
		if code != exitOK {
			t.Fatalf("exit code %d, %q", code, stderr)
		}
	}
	drawn := runOnTerminal(t, env, "work", "--data", data, "--until-empty", "-j", "1")
	for _, want := range []string{"agent:count", "all tasks", "2 ended", "2 tasks completed, 0 failed, 0 cancelled in"} {
		if !strings.Contains(drawn, want) {
			t.Errorf("no %q in %q", want, drawn)
		}
	}
}
