package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets tests and scripts run this test binary as taskhost, so that what they run is under the race detector too.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"taskhost": func() { os.Exit(runProcess()) }})
}

// TestScripts runs the terminal sessions in testdata/script against the real plugins. Beside testscript's own commands they have
//
//	exits CODE PROGRAM ARG...       the program must end with this exit code
//	interrupt REGEXP PROGRAM ARG... sends it SIGINT once a line of its stderr matches; it must end with exit code 130
//	quit REGEXP PROGRAM ARG...      likewise, but with exit code 0
//	crash REGEXP PROGRAM ARG...     likewise, but with SIGKILL, so that it does nothing more
//	server [stop | ARG...]          starts taskhost serve on a free port, and sets TASKHOST_SERVER
//	capture NAME [REGEXP]           sets a variable to the last stdout, or to what the group of the regexp matches in it
//
// and the variables PLUGINS, TESTDATA, GUESTS and BROKEN (folders of plugins) and GOSDK (the plugins in go-sdk's module).
//
// The servers, and what is interrupted, are this test binary. Commands that exec runs are the taskhost of warmCache, which has no race
// detector and takes a fifth of the time; with SCRIPTS_RACE=1 they have it, too.
func TestScripts(t *testing.T) {
	t.Parallel()
	env := scriptEnv(t)
	bin := filepath.Dir(warmCache(t, env))
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, env...)
			if os.Getenv("SCRIPTS_RACE") == "" {
				e.Setenv("PATH", bin+string(filepath.ListSeparator)+e.Getenv("PATH"))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "interrupt": signals(os.Interrupt, exitCancelled), "quit": signals(os.Interrupt, exitOK), "crash": signals(os.Kill, killed),
			"capture": capture, "server": scriptServer,
		},
	})
}

// repository is the root of the checkout.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// scriptEnv is what scripts find in their environment. It fails when the plugins were not built.
func scriptEnv(t *testing.T) []string {
	t.Helper()
	build := filepath.Join(repository(t), "build")
	for _, need := range []string{
		"plugins/agent.wasm", "plugins/markdown.wasm", "plugins/text.wasm", "testdata/upper-go.wasm", "testdata/filter-c.wasm",
		"testdata/hostile/spin.wasm", "testdata/broken/not-wasm.wasm",
	} {
		if _, err := os.Stat(filepath.Join(build, need)); err != nil {
			t.Fatalf("build/%s is not there: run \"make plugins\" first", need)
		}
	}
	sdk, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Fatalf("where is go-sdk's module? %v", err)
	}
	env := []string{
		"PLUGINS=" + filepath.Join(build, "plugins"),
		"TESTDATA=" + filepath.Join(build, "testdata"),
		"GUESTS=" + filepath.Join(build, "testdata", "guests"),
		"HOSTILE=" + filepath.Join(build, "testdata", "hostile"),
		"BROKEN=" + filepath.Join(build, "testdata", "broken"),
		"GOSDK=" + filepath.Join(strings.TrimSpace(string(sdk)), "wasm"),
		"TASKHOST_PLUGINS=" + filepath.Join(build, "plugins"),
	}
	env = append(env, cacheEnv(t)...)
	warmCache(t, env)
	return env
}

// cacheEnv makes programs keep compiled plugins where all tests do, and lets them find what Go has built before.
func cacheEnv(t *testing.T) []string {
	t.Helper()
	cache := filepath.Join(repository(t), "build", "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	built, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatalf("where does Go keep what it builds? %v", err)
	}
	return []string{"XDG_CACHE_HOME=" + cache, "GOCACHE=" + strings.TrimSpace(string(built))}
}

// warm is a taskhost without the race detector; it was made once, and has compiled the plugins.
var warm struct {
	once    sync.Once
	program string
	err     error
}

// warmCache compiles the plugins with a taskhost that has no race detector, which makes compiling ten times slower; the machine code is
// the same. It returns that program.
func warmCache(t *testing.T, env []string) string {
	t.Helper()
	warm.once.Do(func() { warm.program, warm.err = warmUp(repository(t), env) })
	if warm.err != nil {
		t.Fatal(warm.err)
	}
	return warm.program
}

func warmUp(root string, env []string) (string, error) {
	program := filepath.Join(root, "build", "cache", "bin", "taskhost")
	if err := buildPlain(program); err != nil {
		return "", err
	}
	for _, folder := range []string{"PLUGINS", "TESTDATA", "GUESTS", "GOSDK"} {
		cmd := exec.Command("sh", "-c", `exec "$0" plugins -p "$`+folder+`"`, program)
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("plugins of %s: %w\n%s", folder, err, out)
		}
	}
	return program, nil
}

// buildPlain builds taskhost as make does, from the same compiled packages.
func buildPlain(program string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	checkExit(ts, ts.Exec(args[1], args[2:]...), want)
}

func checkExit(ts *testscript.TestScript, err error, want int) {
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// killed is what ExitCode tells of a process that a signal ended.
const killed = -1

// signals makes the commands that start a program and send it a signal.
func signals(signal os.Signal, wantExit int) func(ts *testscript.TestScript, neg bool, args []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: COMMAND REGEXP PROGRAM ARG...")
		}
		when, err := regexp.Compile(args[0])
		ts.Check(err)
		program, err := exec.LookPath(args[1])
		ts.Check(err)
		cmd := exec.Command(program, args[2:]...)
		cmd.Dir = ts.MkAbs(".")
		for _, name := range []string{
			"PLUGINS", "TESTDATA", "GUESTS", "XDG_CACHE_HOME", "GOCACHE", "TASKHOST_PLUGINS", "TASKHOST_DATA", "TASKHOST_SERVER", "HOME", "TMPDIR", "PATH", "NO_COLOR",
		} {
			cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
		}
		cmd.Stdout = ts.Stdout()
		stderr, err := cmd.StderrPipe()
		ts.Check(err)
		ts.Check(cmd.Start())
		lines := bufio.NewReader(stderr)
		sent := false
		for {
			line, err := lines.ReadString('\n')
			_, _ = io.WriteString(ts.Stderr(), line)
			if !sent && when.MatchString(line) {
				sent = true
				ts.Check(cmd.Process.Signal(signal))
			}
			if err != nil {
				break
			}
		}
		err = cmd.Wait()
		if !sent {
			ts.Fatalf("no line of stderr matches %s", when)
		}
		checkExit(ts, err, wantExit)
	}
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: capture NAME [REGEXP]")
	}
	value := strings.TrimSpace(ts.ReadFile("stdout"))
	if len(args) == 2 {
		find, err := regexp.Compile(args[1])
		ts.Check(err)
		found := find.FindStringSubmatch(value)
		if len(found) != 2 {
			ts.Fatalf("stdout does not match %s with one group", find)
		}
		value = found[1]
	}
	ts.Setenv(args[0], value)
}
