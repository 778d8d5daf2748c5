package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"

	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// terminal is a program on a terminal that is drawn by an emulator.
type terminal struct {
	t      *testing.T
	master *os.File
	mu     sync.Mutex // of the screen, but for what it answers
	screen *vt.Emulator
	cmd    *exec.Cmd
	drawn  chan struct{} // something was drawn; has room for one
	gone   chan struct{} // closed when the program has left the terminal
}

// newTerminal runs taskhost on a terminal of some size.
func newTerminal(t *testing.T, width, height int, env []string, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, master: master, screen: vt.NewEmulator(width, height), drawn: make(chan struct{}, 1), gone: make(chan struct{})}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	x.resize(width, height)
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x.cmd = exec.Command("taskhost", args...)
	x.cmd.Env = append(append(os.Environ(), "TERM=xterm-256color", "NO_COLOR="), env...)
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = slave, slave, slave
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = x.cmd.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	go x.draw()
	go x.reply()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		<-x.gone
		_ = x.cmd.Wait()
		if answers, ok := x.screen.InputPipe().(io.Closer); ok {
			answers.Close() // which ends reply
		}
		master.Close()
	})
	return x
}

// draw takes in what the program writes.
func (x *terminal) draw() {
	defer close(x.gone)
	buf := make([]byte, 32<<10)
	for {
		n, err := x.master.Read(buf)
		x.mu.Lock()
		_, _ = x.screen.Write(buf[:n])
		x.mu.Unlock()
		select {
		case x.drawn <- struct{}{}:
		default:
		}
		if err != nil {
			if !errors.Is(err, syscall.EIO) { // the last program is gone
				x.t.Error(err)
			}
			return
		}
	}
}

// reply answers what the program asks the terminal.
func (x *terminal) reply() {
	buf := make([]byte, 1024)
	for {
		n, err := x.screen.Read(buf)
		if err != nil {
			return
		}
		_, _ = x.master.Write(buf[:n])
	}
}

func (x *terminal) resize(width, height int) {
	x.t.Helper()
	x.mu.Lock()
	x.screen.Resize(width, height)
	x.mu.Unlock()
	if err := unix.IoctlSetWinsize(int(x.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(height), Col: uint16(width)}); err != nil {
		x.t.Fatal(err)
	}
}

// text is what is on the screen.
func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}

func (x *terminal) press(keys string) {
	x.t.Helper()
	if _, err := x.master.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// shows waits until the screen has all of these texts and none of those that begin with "!".
func (x *terminal) shows(texts ...string) {
	x.t.Helper()
	late := time.After(30 * time.Second)
	for {
		screen := x.text()
		missing := ""
		for _, text := range texts {
			if not, ok := strings.CutPrefix(text, "!"); ok == strings.Contains(screen, strings.TrimPrefix(not, "!")) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-x.drawn:
		case <-x.gone:
			x.t.Fatalf("the program ended without %q on the screen:\n%s", missing, x.text())
		case <-late:
			x.t.Fatalf("no %q on the screen:\n%s", missing, x.text())
		}
	}
}

// exits waits for the program to end.
func (x *terminal) exits(code int) {
	x.t.Helper()
	<-x.gone
	_ = x.cmd.Wait()
	if got := x.cmd.ProcessState.ExitCode(); got != code {
		x.t.Errorf("exit code %d, want %d\n%s", got, code, x.text())
	}
}

// TestTop: the screen follows what happens at a server, and its keys do what they say.
func TestTop(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "data"), "--drain-timeout", "100ms")
	c, err := client.New(client.Config{BaseURL: s.url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx := t.Context()
	submit := func(spec manager.Spec) string {
		t.Helper()
		task, err := c.Submit(ctx, spec, client.SubmitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return task.ID
	}
	endless := func(name string) manager.Spec {
		spec := manager.ProcessorTask("", "progress:wait")
		spec.Name = name
		return spec
	}
	failing := submit(manager.ProcessorTask("x", "echo:nothing"))
	if err := c.SetLimit(ctx, manager.Limit{Queue: "mail", Concurrency: 3}); err != nil {
		t.Fatal(err)
	}

	x := newTerminal(t, 100, 40, nil, "top", "--server", s.url)
	x.shows("taskhost top", s.url, "live", "Running 0", "Queues 1", "mail", "Failures 1", shortID(failing), "not_found", "Plugins 2", "progress", "q quit")
	first := submit(endless("first"))
	second := submit(endless("second"))
	x.shows("Running 2", "first", shortID(first), shortID(second), "2/3  waiting", "[=========>     ]  67%", "2 running")

	// cancel asks, and does nothing without a yes
	x.press("c")
	x.shows("cancel second", "y/n")
	x.press("n")
	x.shows("nothing was done")
	x.press("j")
	x.press("c")
	x.shows("cancel first", "y/n")
	x.press("y")
	x.shows("is cancelled", "Running 1")
	if task, err := c.Result(ctx, first); task.Status != manager.StatusCancelled {
		t.Errorf("%+v %v", task, err)
	}

	// a queue is paused
	x.press("\t")
	x.shows("▶ Queues")
	x.press("p")
	x.shows("let no task of", "y/n")
	x.press("y")
	x.shows("is paused")
	x.press("p")
	x.shows("begin again?")
	x.press("y")
	x.shows("goes on")

	// a failure is tried again
	x.press("\t")
	x.shows("▶ Failures")
	x.press("r")
	x.shows("back in the queue")

	// a filter hides what does not match, and leaves what does
	x.press("/second")
	x.shows("/second_")
	x.press("\r")
	x.shows("filter: second", "Running 1", "Failures 0")
	x.press("/\x15plugin:echo\r")
	x.shows("Running 0", "Failures 1")
	x.press("/\x15\r")
	x.shows("Running 1", "Failures 1")

	x.press("?")
	x.shows("taskhost top: keys", "any key goes back")
	x.press("x")
	x.shows("!any key goes back", "Failures 1")

	// what there is room for
	x.resize(60, 12)
	x.shows("▶ Failures", "!Plugins")
	x.resize(30, 5)
	x.shows("too small")
	x.resize(100, 40)
	x.shows("Plugins 2")

	// the server goes and is missed
	s.stop()
	x.shows("no answer", "cannot be reached")
	x.press("q")
	x.exits(exitOK)
	if after := x.text(); strings.Contains(after, "Plugins 2") {
		t.Errorf("the screen was not given back:\n%s", after)
	}
}

// TestTopOfMany: however many tasks run, as many are asked for as a screen and some can show.
func TestTopOfMany(t *testing.T) {
	var d topData
	for i := range 3 * topRows {
		d.running = append(d.running, manager.Task{ID: fmt.Sprintf("%036d", i), Status: manager.StatusRunning, Spec: manager.Spec{Name: "x\x1b[2J"}, Progress: .5})
	}
	d.stats.Tasks.Counts.Running = 10_000
	c, err := client.New(client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m := newTop(c, manager.Filter{}, false)
	defer m.close()
	m.width, m.height = 120, 50
	m.Update(topLooked{data: d})
	for range 3 {
		m.Update(tea.KeyPressMsg(tea.Key{Code: tea.KeyPgDown}))
		lines := strings.Split(m.View().Content, "\n")
		if len(lines) != 50 {
			t.Fatalf("%d lines", len(lines))
		}
		if text := strings.Join(lines, "\n"); strings.Contains(text, "\x1b") || !strings.Contains(text, "of 10000") {
			t.Fatalf("%q", text)
		}
	}
}

// TestTopWithoutATerminal: it says what to use instead.
func TestTopWithoutATerminal(t *testing.T) {
	code, _, stderr := run(t, nil, "top", "--server", "http://127.0.0.1:1")
	if code != exitUsage || !strings.Contains(stderr, "watch --json") {
		t.Errorf("%d %q", code, stderr)
	}
}
