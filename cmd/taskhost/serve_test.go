package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskhost/taskhost/manager"
)

// running is a taskhost serve in a process of its own.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	dir  string // its data folder
	http *http.Client

	mu    sync.Mutex
	lines []string // of its stderr
	more  chan struct{}
	ended chan struct{}
}

// process starts taskhost serve. Flags come first; what has a "=" before any dash is environment.
func process(t *testing.T, dir string, args ...string) *running {
	t.Helper()
	return command(t, dir, nil, func(program string, args []string) *exec.Cmd { return exec.Command(program, args...) }, args...)
}

func command(t *testing.T, dir string, env []string, make func(program string, args []string) *exec.Cmd, args ...string) *running {
	t.Helper()
	program, err := exec.LookPath("taskhost") // this test binary, see TestMain
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, dir: dir, http: &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	r.cmd = make(program, append([]string{"serve", "--data", dir}, args...))
	r.cmd.Env = append(append(os.Environ(), smallEnv(t)...), env...)
	r.cmd.Dir = t.TempDir()
	stderr, err := r.cmd.StderrPipe()
	if err == nil {
		r.more, r.ended = newSignal(), newSignal()
		err = r.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go r.read(stderr)
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.ended
		r.http.CloseIdleConnections()
	})
	return r
}

func newSignal() chan struct{} { return make(chan struct{}) }

func (r *running) read(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		r.mu.Lock()
		r.lines = append(r.lines, lines.Text())
		close(r.more)
		r.more = newSignal()
		r.mu.Unlock()
	}
	_ = r.cmd.Wait()
	close(r.ended)
}

// smallPlugins is a folder with the plugins that these tests run: small ones, since a server under the race detector takes long to start
// with large ones.
func smallPlugins(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"echo.wasm", "progress.wasm"} {
		data, err := os.ReadFile(filepath.Join(repository(t), "build", "testdata", "guests", name))
		if err != nil {
			t.Fatalf("%v: run \"make plugins\" first", err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// smallEnv is the environment of these tests' commands.
func smallEnv(t *testing.T) []string {
	t.Helper()
	return append(cacheEnv(t), "TASKHOST_PLUGINS="+smallPlugins(t))
}

// line waits for a line of its stderr that matches, and returns the first group, or the line.
func (r *running) line(pattern string) string {
	r.t.Helper()
	find := regexp.MustCompile(pattern)
	end := time.After(60 * time.Second)
	for from := 0; ; {
		r.mu.Lock()
		lines, more := r.lines[from:], r.more
		r.mu.Unlock()
		for _, line := range lines {
			if m := find.FindStringSubmatch(line); m != nil {
				return m[len(m)-1]
			}
		}
		from += len(lines)
		select {
		case <-more:
		case <-r.ended:
			r.mu.Lock()
			left := slices.Clone(r.lines[from:])
			r.mu.Unlock()
			if len(left) == 0 {
				r.t.Fatalf("it ended, and no line matches %s:\n%s", pattern, strings.Join(r.lines, "\n"))
			}
		case <-end:
			r.t.Fatalf("no line matches %s:\n%s", pattern, strings.Join(r.lines, "\n"))
		}
	}
}

// start starts a server on a port that is free, and waits until it serves.
func start(t *testing.T, dir string, args ...string) *running {
	t.Helper()
	r := process(t, dir, append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	r.url = r.line(`serving on (http[^\s"]+)`)
	return r
}

// signal sends a signal.
func (r *running) signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// exit waits for its end and returns the exit code.
func (r *running) exit() int {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(60 * time.Second):
		r.t.Fatalf("it does not end:\n%s", strings.Join(r.lines, "\n"))
	}
	return r.cmd.ProcessState.ExitCode()
}

// stop ends it as systemd does.
func (r *running) stop() {
	r.t.Helper()
	r.signal(syscall.SIGTERM)
	if code := r.exit(); code != 0 {
		r.t.Errorf("exit code %d:\n%s", code, strings.Join(r.lines, "\n"))
	}
}

// ask makes a request; pairs of header names and values follow the body.
func (r *running) ask(method, path, body string, header ...string) (status int, answer string, got http.Header) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(data), resp.Header
}

// submit submits a task and returns it.
func (r *running) submit(query, input string, header ...string) manager.Task {
	r.t.Helper()
	status, body, _ := r.ask("POST", "/v1/tasks?"+query, input, append([]string{"Content-Type", "text/plain"}, header...)...)
	var task manager.Task
	if err := json.Unmarshal([]byte(body), &task); status != http.StatusCreated || err != nil {
		r.t.Fatalf("submit: %d %s", status, body)
	}
	return task
}

// status waits until a task has one.
func (r *running) status(id string, want manager.Status) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		status, body, _ := r.ask("GET", "/v1/tasks/"+id, "")
		var task manager.Task
		if err := json.Unmarshal([]byte(body), &task); err == nil && task.Status == want {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("task %s is not %s: %d %s", id, want, status, body)
		}
	}
}

// taskhost runs another command to its end and returns its stdout.
func taskhost(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("taskhost", args...)
	cmd.Env = append(os.Environ(), smallEnv(t)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("taskhost %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// bearer is the header with a token.
func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// TestServeKeepsTasks submits, stops in the middle of a task, and starts anew.
func TestServeKeepsTasks(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	r := start(t, dir, "--drain-timeout", "100ms", "-j", "2")
	if status, body, _ := r.ask("GET", "/readyz", ""); status != 200 || body != "ok\n" {
		t.Errorf("readyz: %d %s", status, body)
	}
	done := r.submit("step=echo&wait=30s", "hello")
	if done.Status != manager.StatusCompleted {
		t.Errorf("%+v", done)
	}
	if status, body, h := r.ask("GET", "/v1/tasks/"+done.ID+"/output", ""); status != 200 || body == "" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("output: %d %s", status, body)
	}
	status, body, _ := r.ask("POST", "/v1/tasks", `{"steps":["progress:wait"]}`, "Content-Type", "application/json")
	var slow manager.Task
	if err := json.Unmarshal([]byte(body), &slow); status != 201 || err != nil {
		t.Fatalf("%d %s", status, body)
	}
	r.status(slow.ID, manager.StatusRunning)
	r.stop()
	r.line("1 tasks were put back")
	if out := taskhost(t, "tasks", "show", "--data", dir, slow.ID); !strings.Contains(out, "pending") {
		t.Errorf("after the stop:\n%s", out)
	}

	r = start(t, dir, "--log-format", "json")
	r.status(done.ID, manager.StatusCompleted)
	r.status(slow.ID, manager.StatusRunning)
	if status, body, _ := r.ask("POST", "/v1/tasks/"+slow.ID+"/cancel", ""); status != 200 {
		t.Errorf("cancel: %d %s", status, body)
	}
	_, body, _ = r.ask("GET", "/v1/audit", "")
	if strings.Count(body, "server.start") != 2 || strings.Count(body, "server.stop") != 1 {
		t.Errorf("audit: %s", body)
	}
	r.stop()
	for _, line := range r.lines {
		if !json.Valid([]byte(line)) && !strings.HasPrefix(line, "taskhost: stopping") {
			t.Errorf("a log line is no JSON: %s", line)
		}
	}
}

// TestServeSecondSignal ends a server at once that would drain for long.
func TestServeSecondSignal(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), "--drain-timeout", "1h")
	_, body, _ := r.ask("POST", "/v1/tasks", `{"steps":["progress:wait"]}`, "Content-Type", "application/json")
	var slow manager.Task
	if err := json.Unmarshal([]byte(body), &slow); err != nil {
		t.Fatal(err)
	}
	r.status(slow.ID, manager.StatusRunning)
	r.signal(syscall.SIGTERM)
	r.line("stopping; interrupt again")
	r.signal(syscall.SIGTERM)
	if code := r.exit(); code != exitCancelled {
		t.Errorf("exit code %d", code)
	}
}

// TestServeDrains lets a running task end, while nobody can connect any more.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, dir)
	waited := make(chan string, 1)
	go func() { // a client that waits gets its answer
		resp, err := r.http.Post(r.url+"/v1/tasks?wait=60s", "application/json", strings.NewReader(`{"steps":["progress"],"content":"200000"}`))
		if err != nil {
			waited <- err.Error()
			return
		}
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		waited <- string(data)
	}()
	for {
		if _, body, _ := r.ask("GET", "/v1/tasks?status=running", ""); strings.Contains(body, `"status":"running"`) {
			break
		}
	}
	r.signal(syscall.SIGTERM)
	r.line("stopping")
	if answer := <-waited; !strings.Contains(answer, `"status":"completed"`) {
		t.Errorf("the client that waited got %s", answer)
	}
	if code := r.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := r.http.Get(r.url + "/healthz"); err == nil {
		t.Error("it still listens")
	}
}

func TestServeRoles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	tokens := map[string][]string{}
	for _, role := range []string{"read", "submit", "operate", "admin"} {
		tokens[role] = bearer(taskhost(t, "token", "create", "--role", role, "--name", role, "--data", dir))
	}
	r := start(t, dir)
	for _, tc := range []struct {
		method, path, body, least string
	}{
		{"GET", "/v1/tasks", "", "read"},
		{"GET", "/metrics", "", "read"},
		{"POST", "/v1/tasks?step=echo", "x", "submit"},
		{"POST", "/v1/queues/q/pause", "", "operate"},
		{"GET", "/v1/audit", "", "admin"},
		{"GET", "/v1/debug/bundle", "", "admin"},
		{"GET", "/debug/pprof/goroutine", "", "admin"},
	} {
		allowed := false
		for _, role := range []string{"", "read", "submit", "operate", "admin"} {
			allowed = allowed || role == tc.least
			status, body, _ := r.ask(tc.method, tc.path, tc.body, append([]string{"Content-Type", "text/plain"}, tokens[role]...)...)
			switch {
			case role == "" && status != 401, role != "" && !allowed && status != 403, allowed && status/100 != 2:
				t.Errorf("%s %s as %q: %d %s", tc.method, tc.path, role, status, body)
			}
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/login": 200, "/": 401, "/openapi.json": 401} {
		if status, body, _ := r.ask("GET", path, ""); status != want {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
	if status, body, _ := r.ask("GET", "/", "", tokens["read"]...); status != 200 || !strings.Contains(body, "<html") {
		t.Errorf("the page: %d %.200s", status, body)
	}
	if status, _, h := r.ask("GET", "/tasks", "", "Accept", "text/html"); status != 303 || !strings.HasPrefix(h.Get("Location"), "/login?next=") {
		t.Errorf("a browser is sent to %d %s", status, h.Get("Location"))
	}
	for range 12 {
		r.ask("GET", "/v1/tasks", "", bearer("th_x_wrong")...)
	}
	if status, body, h := r.ask("GET", "/v1/tasks", "", bearer("th_x_wrong")...); status != 429 || h.Get("Retry-After") == "" {
		t.Errorf("failed logins: %d %s", status, body)
	}
	if status, _, _ := r.ask("GET", "/v1/tasks", "", tokens["read"]...); status != 200 {
		t.Errorf("a known client behind the same address: %d", status)
	}
	taskhost(t, "token", "rm", "read", "--data", dir)
	for end := time.Now().Add(5 * time.Second); ; {
		if status, _, _ := r.ask("GET", "/v1/stats", "", tokens["read"]...); status == 401 || status == 429 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("a token that was removed still works: %d", status)
		}
	}
	_, body, _ := r.ask("GET", "/v1/audit?limit=500", "", tokens["admin"]...)
	for _, want := range []string{"login_failed", "login_limited", "debug.bundle", `"remote":"127.0.0.1"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the audit log has no %s: %s", want, body)
		}
	}
}

// TestServeRefusesOpenAddress starts servers that everybody could use.
func TestServeRefusesOpenAddress(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		r := process(t, t.TempDir(), "--listen", addr)
		r.line("taskhost token create --role admin")
		if code := r.exit(); code != exitUsage {
			t.Errorf("%s: exit code %d", addr, code)
		}
	}
	dir := t.TempDir()
	taskhost(t, "token", "create", "--role", "admin", "--name", "me", "--data", dir)
	r := process(t, dir, "--listen", "0.0.0.0:0")
	r.line("serving on http://localhost:")
	r.line("tokens travel unencrypted")
	r.stop()
	r = process(t, t.TempDir(), "--tokens", filepath.Join(t.TempDir(), "none"))
	r.line("there is no token in")
	if code := r.exit(); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
}

// TestServeStrangers makes requests that a page of another origin could make.
func TestServeStrangers(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	for _, tc := range []struct {
		header []string
		want   int
	}{
		{[]string{"Host", "evil.example"}, 421},
		{[]string{"Origin", "https://evil.example"}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"X-Forwarded-For", "192.0.2.1"}, 403},
	} {
		status, body, h := r.ask("POST", "/v1/tasks?step=echo", "x", append(tc.header, "Content-Type", "text/plain")...)
		if status != tc.want || h.Get("Access-Control-Allow-Origin") != "" || !strings.Contains(body, `"denied"`) {
			t.Errorf("%v: %d %s", tc.header, status, body)
		}
	}
	if _, body, _ := r.ask("GET", "/v1/tasks", ""); strings.Contains(body, `"id"`) {
		t.Errorf("one got through: %s", body)
	}
}

// TestServeReload changes what can change, and what cannot.
func TestServeReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "taskhost.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log:\n  level: warn\nconcurrency: 2\n")
	r := start(t, filepath.Join(dir, "data"), "--config", file)
	write("log:\n  level: info\nconcurrency: 3\n")
	r.signal(syscall.SIGHUP)
	r.line(`need a restart" keys=concurrency`)
	r.line(`level=INFO msg="the configuration was read again"`)
	write("lok:\n  level: debug\n")
	r.signal(syscall.SIGHUP)
	r.line(`level=ERROR .*there is no key lok`)
	if status, _, _ := r.ask("GET", "/readyz", ""); status != 200 {
		t.Errorf("after a broken configuration: %d", status)
	}
	r.stop()
}

// TestDebugBundle fetches the bundle through the command, and looks for what must not be in it.
func TestDebugBundle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	token := taskhost(t, "token", "create", "--role", "admin", "--name", "me", "--data", data)
	r := start(t, data, "--plugin-config", "echo.password=verysecret")
	r.submit("step=echo&wait=30s", "a private input", bearer(token)...)
	r.ask("GET", "/v1/stats", "", bearer("th_x_wrong")...)
	file := filepath.Join(dir, "bundle.tar.gz")
	taskhost(t, "debug", "bundle", "--server", r.url, "--token", token, "-o", file)
	out, err := exec.Command("tar", "-xzf", file, "-C", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for name, want := range map[string]string{
		"version.json": `"go": "go`, "build.txt": "taskhost", "config.json": "echo.password=(hidden)", "plugins.json": "progress", "stats.json": `"completed"`,
		"queues.json": "[", "metrics.txt": "taskhost_tasks_total", "goroutines.txt": "goroutine ", "heap.pprof": "", "errors.log": "",
	} {
		text, err := os.ReadFile(filepath.Join(dir, bundleName, name))
		if err != nil || !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s: %v %.500s", name, err, text)
		}
		for _, secret := range []string{"verysecret", token, "a private input"} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds %q", name, secret)
			}
		}
	}
}
