package main

import (
	"bufio"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// served is a taskhost serve that a script started.
type served struct {
	url  string
	cmd  *exec.Cmd
	done chan struct{}
	once sync.Once
}

var servingOn = regexp.MustCompile(`serving on (https?://\S+)`)

// serveProcess starts taskhost serve on a free port and waits until it serves. What it writes to stderr goes to log.
func serveProcess(dir string, env []string, log io.Writer, args ...string) (*served, error) {
	program, err := exec.LookPath("taskhost")
	if err != nil {
		return nil, err
	}
	s := &served{cmd: exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...), done: make(chan struct{})}
	s.cmd.Dir, s.cmd.Env = dir, env
	stderr, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	found := make(chan string, 1)
	go func() {
		defer close(s.done)
		lines := bufio.NewReader(stderr)
		for {
			line, err := lines.ReadString('\n')
			_, _ = io.WriteString(log, line)
			if m := servingOn.FindStringSubmatch(line); m != nil {
				select {
				case found <- m[1]:
				default:
				}
			}
			if err != nil {
				break
			}
		}
		close(found)
		_ = s.cmd.Wait()
	}()
	s.url = <-found
	if s.url == "" {
		<-s.done
		return nil, &exec.ExitError{ProcessState: s.cmd.ProcessState}
	}
	return s, nil
}

// stop ends the server as an operator does, and waits for it.
func (s *served) stop() {
	s.once.Do(func() { _ = s.cmd.Process.Signal(syscall.SIGTERM) })
	<-s.done
}

// servers are those that a script started, by its folder.
var servers sync.Map

// scriptServer is the command "server [ARG...]" of scripts: it starts taskhost serve with these arguments, the data folder server-data and a free
// port, and sets TASKHOST_SERVER. "server stop" stops it and waits; it is stopped at the end of the script, too.
func scriptServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: server [stop | ARG...]")
	}
	if old, ok := servers.LoadAndDelete(ts.MkAbs(".")); ok {
		old.(*served).stop()
	}
	if len(args) == 1 && args[0] == "stop" {
		return
	}
	var env []string
	for _, name := range []string{
		"XDG_CACHE_HOME", "TASKHOST_PLUGINS", "HOME", "TMPDIR", "PATH",
	} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	var log strings.Builder
	s, err := serveProcess(ts.MkAbs("."), env, &log, append([]string{"--data", "server-data"}, args...)...)
	if err != nil {
		ts.Fatalf("%v: %s", err, log.String())
	}
	servers.Store(ts.MkAbs("."), s)
	ts.Defer(s.stop)
	ts.Setenv("TASKHOST_SERVER", s.url)
}
