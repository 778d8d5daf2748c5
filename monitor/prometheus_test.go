package monitor_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
	"github.com/taskhost/taskhost/monitor"
)

// deploy is a file that is shipped for operators.
func deploy(t testing.TB, path ...string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join(append([]string{"..", "deploy"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// tool runs promtool, which Debian's package prometheus has.
func promtool(t testing.TB, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir = deploy(t, "prometheus")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v (make toolchains installs it)\n%s", args, err, out)
	}
}

// TestAlerts has promtool check the rules, and that each alert fires when it should and not otherwise.
func TestAlerts(t *testing.T) {
	promtool(t, "check", "rules", "alerts.yml", "recording.yml")
	promtool(t, "test", "rules", "alerts_test.yml")
	runbook, err := os.ReadFile("../docs/observe.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range alertNames(t) {
		for what, text := range map[string]string{
			deploy(t, "prometheus", "alerts_test.yml"): "name: " + name + " fires\n", "../docs/observe.md": "\n### " + name + "\n",
		} {
			have := runbook
			if what != "../docs/observe.md" {
				if have, err = os.ReadFile(what); err != nil {
					t.Fatal(err)
				}
			}
			if !strings.Contains(string(have), text) {
				t.Errorf("%s has no %q", what, text)
			}
		}
	}
}

func alertNames(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile(deploy(t, "prometheus", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	if len(names) < 10 {
		t.Fatalf("only %d alerts: %v", len(names), names)
	}
	return names
}

// world is a taskhost in which everything happens that there are metrics of.
type world struct {
	mon     *monitor.Monitor
	reg     *prometheus.Registry
	tasks   *manager.Manager
	host    *host.Host
	server  *httptest.Server
	web     *httptest.Server
	tracing *monitor.Tracing
	loads   int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{reg: prometheus.NewPedanticRegistry()}
	w.web = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(w.web.Close)
	w.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	w.tracing = newTracing(t, monitor.TracingConfig{Endpoint: w.web.URL})
	var err error
	if w.mon, err = monitor.New(monitor.Config{Registerer: w.reg, Tracing: w.tracing, Version: "v1"}); err != nil {
		t.Fatal(err)
	}
	g := envGuests()
	for name, file := range map[string]string{"metrics": "metrics.wasm", "fail": "fail.wasm", "progress": "progress.wasm"} {
		p := g[name]
		p.file = file
		g[name] = p
	}
	w.host = newHost(t, w.mon, g)
	file := filepath.Join(t.TempDir(), "tasks.db")
	store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close(context.Background()) })
	w.tasks = newManager(t, w.host, manager.Config{
		Store: w.mon.Store(store), OnEvent: w.mon.TaskEvent, TraceParent: w.tracing.TraceParent, KeepOnStop: true, MaxQueue: 50,
	})
	w.mon.Watch(monitor.Sources{Tasks: w.tasks, StoreFile: file})

	api := http.NewServeMux()
	api.HandleFunc("GET /v1/tasks", func(http.ResponseWriter, *http.Request) {})
	api.HandleFunc("GET /v1/broken", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
	mux := http.NewServeMux()
	mux.Handle("/v1/", monitor.Route(api))
	mux.Handle("/", w.mon.Handler())
	w.server = httptest.NewServer(w.mon.HTTP(mux))
	t.Cleanup(w.server.Close)
	if _, err := w.tasks.Submit(t.Context(), manager.ProcessorTask(fmt.Sprintf(`{"url": "%s/slow"}`, w.web.URL), "env:http")); err != nil {
		t.Fatal(err)
	}
	return w
}

// live lets everything happen once that there are metrics of.
func (w *world) live(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
	submit := func(end bool, s manager.Spec) {
		task, err := w.tasks.Submit(ctx, s)
		check(err)
		if err == nil && end {
			_, _ = w.tasks.Result(ctx, task.ID)
		}
	}
	submit(true, manager.ProcessorTask("x", "echo", "progress"))
	retried := manager.ProcessorTask("no", "fail")
	retried.Retry = manager.Retry{MaxAttempts: 2, Backoff: time.Millisecond}
	submit(true, retried)
	submit(true, manager.ProcessorTask("add words 1\nset level 2\nobserve size 3\n", "metrics"))
	submit(true, manager.ProcessorTask(fmt.Sprintf(`{"url": %q}`, w.web.URL), "env:http"))
	check(w.tasks.Pause(ctx, "mail", true))
	later := manager.ProcessorTask("x", "echo")
	later.Queue = "mail"
	if stats, err := w.tasks.Stats(ctx); err == nil && stats.Counts.Pending < 3 {
		submit(false, later)
	}
	if _, err := w.tasks.SubmitBatch(ctx, slices.Repeat([]manager.Spec{later}, 60)); abi.CodeOf(err) != abi.CodeQueueFull {
		t.Errorf("a batch that is larger than the queue: %v", err)
	}
	file := []string{"noop.wasm", "echo.wasm"}[w.loads/4%2] // a new version each second
	w.loads++
	wasm, err := os.ReadFile(filepath.Join("..", "build", "testdata", "guests", file))
	check(err)
	_, err = w.host.Swap(ctx, "turns", host.Source{Wasm: wasm})
	check(err)
	_, err = w.host.Swap(ctx, "echo", host.Source{Wasm: []byte("no plugin")})
	if err == nil {
		t.Error("a file that is no plugin was taken")
	}
	w.mon.HostEvent(host.Event{Kind: host.EventMetric, Plugin: "metrics", Metric: abi.Metric{Kind: abi.MetricAdd, Name: "BAD"}}) // the host lets none pass
	for _, path := range []string{"/v1/tasks", "/v1/broken", "/v1/nowhere"} {
		if resp := ask(t, w.server, http.MethodGet, path); resp != nil {
			_, _ = io.Copy(io.Discard, resp.Body)
		}
	}
}

// TestShown looks at everything that a taskhost shows in which everything happens.
func TestShown(t *testing.T) {
	w := newWorld(t)
	w.live(t)
	t.Run("documented", func(t *testing.T) { documented(t, w) })
	t.Run("dashboard and rules", func(t *testing.T) { dashboardAndRules(t, w) })
}

// documented: promtool and promlint find nothing, docs/observe.md names all of it, and nothing else.
func documented(t *testing.T, w *world) {
	t.Helper()
	problems, err := testutil.GatherAndLint(w.reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	doc, err := os.ReadFile("../docs/observe.md")
	if err != nil {
		t.Fatal(err)
	}
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{"taskhost_plugin_": true}
	for _, f := range families {
		shown[f.GetName()] = true
		if name := f.GetName(); strings.HasPrefix(name, "taskhost_") && !strings.HasPrefix(name, "taskhost_plugin_") &&
			!regexp.MustCompile("`"+name+"[`{]").Match(doc) {
			t.Errorf("docs/observe.md does not tell of %s", name)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(taskhost_[a-z_]+)").FindAllStringSubmatch(string(doc), -1) {
		if !shown[m[1]] {
			t.Errorf("docs/observe.md tells of %s, which is not there", m[1])
		}
	}
	cmd := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(ownMetrics(scrape(t, w.mon, "")))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// ownMetrics leaves out what the Go runtime and guests call their metrics.
func ownMetrics(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		if strings.Contains(line, "taskhost_") && !strings.Contains(line, "taskhost_plugin_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// server is a Prometheus that scrapes.
type server struct{ url string }

var listening = regexp.MustCompile(`address=(127\.0\.0\.1:\d+)`)

// startPrometheus starts one that scrapes a taskhost, and ends it with the test.
func startPrometheus(t *testing.T, target string) *server {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf(`global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 500ms}
rule_files: [%q, %q]
scrape_configs: [{job_name: taskhost, static_configs: [{targets: [%q]}]}]
`, deploy(t, "prometheus", "recording.yml"), deploy(t, "prometheus", "alerts.yml"), target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "config", config)
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0", "--enable-feature=exemplar-storage", "--log.level=info")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("prometheus: %v (make toolchains installs it)", err)
	}
	found := make(chan string, 1)
	drained := make(chan struct{})
	var log strings.Builder
	go func() {
		defer close(drained)
		for in := bufio.NewScanner(stderr); in.Scan(); {
			log.WriteString(in.Text() + "\n")
			if m := listening.FindStringSubmatch(in.Text()); m != nil && strings.Contains(in.Text(), "Listening on") {
				select {
				case found <- m[1]:
				default:
				}
			}
		}
		close(found)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("prometheus ends with %v:\n%s", err, log.String())
		}
	})
	addr, ok := <-found
	if !ok {
		t.Fatal("prometheus does not listen")
	}
	return &server{"http://" + addr}
}

// get asks Prometheus's API. It may not be ready yet: then data is nil.
func (s *server) get(t *testing.T, path string, query url.Values, data any) error {
	t.Helper()
	resp, err := http.Get(s.url + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s", answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// query tells how many series an expression has that are numbers now.
func (s *server) query(t *testing.T, expr string) (n int, err error) {
	t.Helper()
	var data struct {
		Result []struct {
			Value [2]any
		}
	}
	if err := s.get(t, "/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		return 0, err
	}
	for _, r := range data.Result {
		if r.Value[1] != "NaN" {
			n++
		}
	}
	return n, nil
}

// unknownRules lists the rules that have not been evaluated without an error yet.
func (s *server) unknownRules(t *testing.T) (bad []string, all int) {
	t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := s.get(t, "/api/v1/rules", nil, &data); err != nil {
		return []string{err.Error()}, 0
	}
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if all++; r.Health != "ok" || r.LastError != "" {
				bad = append(bad, r.Name+": "+r.Health+" "+r.LastError)
			}
		}
	}
	return bad, all
}

// dashboardQueries are the expressions of the dashboard, by the title of their panel, with its variables filled in.
func dashboardQueries(t *testing.T) map[string][]string {
	t.Helper()
	type panel struct {
		Title   string
		Type    string
		Targets []struct{ Expr string }
		Panels  []json.RawMessage
	}
	var d struct {
		Panels      []panel
		Annotations struct{ List []struct{ Name, Expr string } }
		Templating  struct {
			List []struct{ Name, Definition string }
		}
		SchemaVersion int
	}
	text, err := os.ReadFile(deploy(t, "grafana", "taskhost.json"))
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "30s", "$__range", "30s", "$job", ".*", "$queue", ".*", "$plugin", ".*", "$name", ".*").Replace
	all := map[string][]string{}
	add := func(title, expr string) {
		if expr = fill(expr); strings.Contains(expr, "$") || expr == "" {
			t.Errorf("%s: %q has a variable that nobody fills in", title, expr)
		}
		all[title] = append(all[title], expr)
	}
	for _, p := range d.Panels {
		if len(p.Panels) > 0 || (p.Type != "row") != (len(p.Targets) > 0) {
			t.Errorf("the panel %s has no queries, or panels in it", p.Title)
		}
		for _, q := range p.Targets {
			add(p.Title+", "+p.Type, q.Expr)
		}
	}
	values := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	for _, v := range d.Templating.List {
		if m := values.FindStringSubmatch(v.Definition); m != nil {
			add("variable "+v.Name, "count by ("+m[2]+") ("+m[1]+")")
		} else if v.Name != "datasource" {
			t.Errorf("the variable %s has the query %q", v.Name, v.Definition)
		}
	}
	return all
}

// dashboardAndRules has a real Prometheus scrape it: every query of the dashboard has data, and every rule is evaluated.
func dashboardAndRules(t *testing.T, w *world) {
	t.Helper()
	prom := startPrometheus(t, strings.TrimPrefix(w.server.URL, "http://"))
	waiting := dashboardQueries(t)
	if len(waiting) < 50 {
		t.Errorf("the dashboard has only %d panels with queries", len(waiting))
	}
	deadline := time.Now().Add(90 * time.Second)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var bad []string
	for {
		w.live(t)
		for title, exprs := range waiting {
			exprs = slices.DeleteFunc(exprs, func(expr string) bool {
				n, err := prom.query(t, expr)
				return err == nil && n > 0
			})
			if waiting[title] = exprs; len(exprs) == 0 {
				delete(waiting, title)
			}
		}
		var rules int
		if bad, rules = prom.unknownRules(t); len(waiting) == 0 && len(bad) == 0 && rules >= len(alertNames(t)) {
			return
		}
		if time.Now().After(deadline) {
			break
		}
		<-tick.C
	}
	for title, exprs := range waiting {
		for _, expr := range exprs {
			_, err := prom.query(t, expr)
			t.Errorf("%s has no data (%v): %s", title, err, expr)
		}
	}
	t.Errorf("rules: %v", bad)
}
