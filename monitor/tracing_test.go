package monitor_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/monitor"
)

// receiver is an OTLP/HTTP collector that keeps what it gets.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	spans    []*otlp.Span
	resource map[string]string
	header   http.Header
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var export collector.ExportTraceServiceRequest
		zip, err := gzip.NewReader(req.Body)
		if err == nil {
			var body []byte
			if body, err = io.ReadAll(zip); err == nil {
				err = proto.Unmarshal(body, &export)
			}
		}
		if err != nil || req.URL.Path != "/v1/traces" || req.Method != http.MethodPost {
			t.Errorf("an export that cannot be read: %s %s: %v", req.Method, req.URL, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.header = req.Header
		for _, rs := range export.GetResourceSpans() {
			r.resource = attrsOf(rs.GetResource().GetAttributes())
			for _, ss := range rs.GetScopeSpans() {
				r.spans = append(r.spans, ss.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

func attrsOf(list []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			m[a.GetKey()] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_DoubleValue:
			m[a.GetKey()] = fmt.Sprint(v.DoubleValue)
		}
	}
	return m
}

// tree writes the spans of a trace, children after their parent and further in, with the attributes that are asked for.
func (r *receiver) tree(trace, parent, indent string, attrs ...string) string {
	var b strings.Builder
	list := slices.Clone(r.spans)
	slices.SortStableFunc(list, func(x, y *otlp.Span) int {
		return cmp.Or(cmp.Compare(x.GetStartTimeUnixNano(), y.GetStartTimeUnixNano()), strings.Compare(y.GetName(), x.GetName()))
	})
	for _, s := range list {
		if hex.EncodeToString(s.GetTraceId()) != trace || hex.EncodeToString(s.GetParentSpanId()) != parent {
			continue
		}
		fmt.Fprintf(&b, "%s%s", indent, s.GetName())
		have := attrsOf(s.GetAttributes())
		for _, name := range attrs {
			if v, ok := have[name]; ok {
				fmt.Fprintf(&b, " %s", v)
			}
		}
		if s.GetStatus().GetCode() == otlp.Status_STATUS_CODE_ERROR {
			fmt.Fprintf(&b, " (failed, %d events)", len(s.GetEvents()))
		}
		b.WriteString("\n" + r.tree(trace, hex.EncodeToString(s.GetSpanId()), indent+"  ", attrs...))
	}
	return b.String()
}

// span finds the nth span of a name, by its start.
func (r *receiver) span(t testing.TB, name string, n int) *otlp.Span {
	t.Helper()
	list := slices.DeleteFunc(slices.Clone(r.spans), func(s *otlp.Span) bool { return s.GetName() != name })
	slices.SortFunc(list, func(x, y *otlp.Span) int { return cmp.Compare(x.GetStartTimeUnixNano(), y.GetStartTimeUnixNano()) })
	if n >= len(list) {
		t.Fatalf("there are %d spans %s", len(list), name)
	}
	return list[n]
}

func newTracing(t testing.TB, cfg monitor.TracingConfig) *monitor.Tracing {
	t.Helper()
	tracing, err := monitor.NewTracing(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = tracing.Shutdown(over)
	})
	return tracing
}

// flaky is a web server that drops the connection of its first request. It keeps the traceparent of each.
func flaky(t testing.TB) (web *httptest.Server, parents func() []string) {
	t.Helper()
	var mu sync.Mutex
	var got []string
	web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if got = append(got, r.Header.Get("Traceparent")); len(got) == 1 {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "answer")
	}))
	t.Cleanup(web.Close)
	return web, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

func envGuests() guests {
	return guests{
		"echo": {file: "echo.wasm"},
		"env":  {file: "env.wasm", manifest: abi.Manifest{AllowedHosts: []string{"127.0.0.1"}}},
	}
}

const (
	callerTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerSpan  = "00f067aa0ba902b7"
)

// TestTraces runs a task that fails once on a real host, and looks at what a collector gets, and what the plugin's requests carried.
func TestTraces(t *testing.T) {
	rec := newReceiver(t)
	tracing := newTracing(t, monitor.TracingConfig{
		Endpoint: rec.URL, Headers: map[string]string{"Authorization": "Bearer secret"}, ServiceName: "tasks", ServiceVersion: "1.2",
	})
	var out lockedBuffer
	mon, _ := newMonitor(t, monitor.Config{Tracing: tracing, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	h := newHost(t, mon, envGuests())
	m := newManager(t, h, manager.Config{OnEvent: mon.TaskEvent, TraceParent: tracing.TraceParent})
	web, parents := flaky(t)

	spec := manager.ProcessorTask(fmt.Sprintf(`{"url": "%s/secret?token=x"}`, web.URL), "echo", "env:http")
	spec.Name, spec.TraceParent = "fetch", "00-"+callerTrace+"-"+callerSpan+"-01"
	spec.Retry = manager.Retry{MaxAttempts: 2, Backoff: time.Millisecond}
	task, err := m.Submit(t.Context(), spec)
	if err == nil {
		task, err = m.Result(t.Context(), task.ID)
	}
	if err != nil || string(task.Output) != "answer" {
		t.Fatalf("%q, %v", task.Output, err)
	}
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	tree := rec.tree(callerTrace, callerSpan, "", "taskhost.task.status", "taskhost.attempt", "taskhost.plugin", "taskhost.function",
		"http.request.method", "http.response.status_code", "server.address", "error.type")
	if want := `task fetch completed
  submit
  queue 1
  attempt 1 unavailable (failed, 1 events)
    echo:process 1 echo process
    env:http 1 env http unavailable (failed, 1 events)
      GET env http GET 127.0.0.1 unavailable (failed, 1 events)
  queue 2
  attempt 2
    env:http 2 env http
      GET env http GET 200 127.0.0.1
`; tree != want {
		t.Errorf("got\n%s\nwant\n%s", tree, want)
	}
	if n := strings.Count(tree, "\n"); len(rec.spans) != n {
		t.Errorf("there are %d spans, and %d in the tree", len(rec.spans), n)
	}
	var want []string
	for n := range 2 {
		want = append(want, fmt.Sprintf("00-%s-%x-01", callerTrace, rec.span(t, "env:http", n).GetSpanId()))
	}
	if got := parents(); !slices.Equal(got, want) {
		t.Errorf("the requests carried %v, the spans are %v", got, want)
	}
	if strings.Contains(fmt.Sprint(rec.spans), "token") {
		t.Error("the query of a request is in the spans")
	}
	step := attrsOf(rec.span(t, "env:http", 1).GetAttributes())
	if step["taskhost.version"] != string(task.Version) || step["taskhost.ticks"] == "0" || step["taskhost.step"] != "2" || step["taskhost.task.id"] != task.ID {
		t.Errorf("the step has %v", step)
	}
	checkTimes(t, rec)
	if rec.resource["service.name"] != "tasks" || rec.resource["service.version"] != "1.2" || rec.header.Get("Authorization") != "Bearer secret" {
		t.Errorf("exported by %v with %v", rec.resource, rec.header)
	}
	expectContains(t, out.String(), "msg=\"task finish\" task="+task.ID+" name=fetch status=completed", "trace_id="+callerTrace)
}

// checkTimes checks that no span begins or ends outside of its parent.
func checkTimes(t *testing.T, rec *receiver) {
	t.Helper()
	for _, s := range rec.spans {
		if s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
			t.Errorf("%s ends before it begins", s.GetName())
		}
		for _, p := range rec.spans {
			if bytes.Equal(p.GetSpanId(), s.GetParentSpanId()) &&
				(p.GetStartTimeUnixNano() > s.GetStartTimeUnixNano() || p.GetEndTimeUnixNano() < s.GetEndTimeUnixNano()) {
				t.Errorf("%s, %d to %d, is not within %s, %d to %d", s.GetName(), s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano(),
					p.GetName(), p.GetStartTimeUnixNano(), p.GetEndTimeUnixNano())
			}
		}
	}
}

// TestTracesOfTheirOwn: a task that came without a traceparent is a trace of its own, retries by hand included; one whose caller does not
// record is in none, and its requests say so.
func TestTracesOfTheirOwn(t *testing.T) {
	rec := newReceiver(t)
	tracing := newTracing(t, monitor.TracingConfig{Endpoint: rec.URL})
	mon, _ := newMonitor(t, monitor.Config{Tracing: tracing})
	h := newHost(t, mon, envGuests())
	m := newManager(t, h, manager.Config{OnEvent: mon.TaskEvent, TraceParent: tracing.TraceParent})
	web, parents := flaky(t)
	run := func(spec manager.Spec) string {
		task, err := m.Submit(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = m.Result(t.Context(), task.ID)
		return task.ID
	}
	args := map[string]any{"url": web.URL}
	own := run(manager.AgentTask("env/7", "http", args)) // fails
	if _, err := m.Retry(t.Context(), own, false); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Result(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	const unsampled = "00-" + callerTrace + "-" + callerSpan + "-00"
	quiet := manager.AgentTask("env", "http", args)
	quiet.TraceParent = unsampled
	run(quiet)
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	trace := hex.EncodeToString(rec.span(t, "submit", 0).GetTraceId())
	if got, want := rec.tree(trace, "", "", "taskhost.task.status"), `task env:http failed (failed, 1 events)
  submit
  queue
  attempt (failed, 1 events)
    env:http (failed, 1 events)
      GET (failed, 1 events)
task env:http completed
  attempt
    env:http
      GET
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := rec.tree(callerTrace, callerSpan, ""); got != "" {
		t.Errorf("not to be recorded:\n%s", got)
	}
	if got := parents(); got[2] != unsampled || !strings.HasPrefix(got[0], "00-"+trace) || !strings.HasSuffix(got[1], "-01") {
		t.Errorf("the requests carried %v", got)
	}
}

// TestSampling: the ratio is kept for tasks, and a traceparent that goes out says what was decided.
func TestSampling(t *testing.T) {
	for _, c := range []struct {
		ratio     float64
		low, high int
	}{{0, 1000, 1000}, {1, 1000, 1000}, {.25, 200, 300}, {-1, 0, 0}} {
		tracing := newTracing(t, monitor.TracingConfig{Endpoint: "http://127.0.0.1:1", SampleRatio: c.ratio})
		n := 0
		for i := range 1000 {
			task := manager.Task{ID: fmt.Sprintf("0198c0de-0000-7000-8000-%012x", i), Attempt: 1}
			p, ok := abi.ParseTraceParent(tracing.TraceParent(&task, 1))
			if !ok {
				t.Fatal("no traceparent")
			}
			if p.Sampled {
				n++
			}
		}
		if n < c.low || n > c.high {
			t.Errorf("ratio %v: %d of 1000 are sampled", c.ratio, n)
		}
	}
	var off *monitor.Tracing
	if got := off.TraceParent(&manager.Task{Spec: manager.Spec{TraceParent: "passed on"}}, 1); got != "passed on" {
		t.Errorf("without tracing, steps get %q", got)
	}
	if err := off.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTracingNeverBlocks: a collector that does not answer costs spans, and no time.
func TestTracingNeverBlocks(t *testing.T) {
	stuck := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	t.Cleanup(func() {
		close(stuck)
		web.Close()
	})
	tracing := newTracing(t, monitor.TracingConfig{Endpoint: web.URL, MaxQueue: 100, Interval: time.Millisecond})
	mon, reg := newMonitor(t, monitor.Config{Tracing: tracing})
	began := time.Now()
	for i := range 1000 {
		play(mon, fmt.Sprint("id", i), "text", manager.StatusCompleted) // spans of submit and task
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("1000 tasks took %v", took)
	}
	expect(t, reg, `
# HELP taskhost_trace_spans_total Spans by what became of them: sent, failed (the collector did not take them), dropped (too many waited).
# TYPE taskhost_trace_spans_total counter
taskhost_trace_spans_total{outcome="dropped"} 1900
taskhost_trace_spans_total{outcome="failed"} 0
taskhost_trace_spans_total{outcome="sent"} 0
`, "taskhost_trace_spans_total")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tracing.Shutdown(over); abi.CodeOf(err) != abi.CodeUnavailable {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestTracingFailures: a collector that refuses is told of once, and counted.
func TestTracingFailures(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	var out lockedBuffer
	tracing := newTracing(t, monitor.TracingConfig{Endpoint: web.URL + "/other", Logger: slog.New(slog.NewTextHandler(&out, nil)), MaxQueue: 1000})
	mon, reg := newMonitor(t, monitor.Config{Tracing: tracing})
	for i := range 300 {
		play(mon, fmt.Sprint("id", i), "text", manager.StatusCompleted)
	}
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "traces cannot be sent") {
		t.Errorf("logged:\n%s", text)
	}
	if got := value(t, reg, "taskhost_trace_spans_total", "failed"); got != 600 {
		t.Errorf("%v spans failed", got)
	}
}

func TestNewTracingRefuses(t *testing.T) {
	for _, cfg := range []monitor.TracingConfig{
		{}, {Endpoint: "127.0.0.1:4318"}, {Endpoint: "ftp://x"}, {Endpoint: "http://"}, {Endpoint: "http://user:pw@x"},
		{Endpoint: "http://x", SampleRatio: 2}, {Endpoint: "http://x", MaxQueue: -1},
	} {
		if _, err := monitor.NewTracing(t.Context(), cfg); abi.CodeOf(err) != abi.CodeInvalid || strings.Contains(err.Error(), "pw") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// value is that of the series that has a label of the given value.
func value(t testing.TB, g prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == label {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	t.Fatalf("there is no %s with %s", name, label)
	return 0
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
