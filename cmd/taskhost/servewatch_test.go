package main

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// TestServeIsWatched submits a task that belongs to a trace, and looks at what a collector of traces and a scraper of metrics get.
func TestServeIsWatched(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var spans []string // trace and name
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var export collector.ExportTraceServiceRequest
		zip, err := gzip.NewReader(r.Body)
		if err == nil {
			var body []byte
			if body, err = io.ReadAll(zip); err == nil {
				err = proto.Unmarshal(body, &export)
			}
		}
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, rs := range export.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				for _, s := range ss.GetSpans() {
					spans = append(spans, hex.EncodeToString(s.GetTraceId())+" "+s.GetName())
				}
			}
		}
	}))
	t.Cleanup(web.Close)
	r := start(t, filepath.Join(t.TempDir(), "data"), "--traces-endpoint", web.URL, "--traces-sample", "0", "--metrics-native-histograms")
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	r.submit("step=echo&wait=30s", "hello", "Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	r.submit("step=echo&wait=30s", "hello", "Traceparent", "not one")
	r.submit("step=echo&wait=30s", "hello")
	status, body, h := r.ask("POST", "/v1/batches", `{"tasks":[{"steps":["echo"],"name":"one"},{"steps":["echo"],"name":"two"}]}`,
		"Content-Type", "application/json", "Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	if status != http.StatusCreated {
		t.Fatalf("batch: %d %s", status, body)
	}
	if _, body, _ := r.ask("GET", h.Get("Location")+"?wait=30s", ""); !strings.Contains(body, `"done":true`) {
		t.Errorf("the batch: %s", body)
	}
	r.ask("GET", "/v1/tasks/nobody", "")
	r.ask("GET", "/healthz", "")
	_, page, _ := r.ask("GET", "/metrics", "", "Accept", "application/openmetrics-text")
	for _, want := range []string{
		`taskhost_http_requests_total{code="201",method="POST",route="/v1/tasks"} 3.0`,
		`taskhost_http_requests_total{code="404",method="GET",route="/v1/tasks/{id}"} 1.0`,
		`taskhost_http_requests_total{code="200",method="GET",route="/healthz"} 1.0`,
		`taskhost_store_operation_duration_seconds_count{operation="create"} 4`,
		`taskhost_store_up 1.0`, `taskhost_store_size_bytes{file="data"} `, `taskhost_queue_wait_seconds_count{queue="default"} `,
		`taskhost_restores_total{plugin="echo"} `, `# {task_id="`, `trace_id="` + trace + `"`, `taskhost_trace_spans_total{outcome="sent"} `,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	req, err := http.NewRequest(http.MethodGet, r.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text")
	resp, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "positive_span") {
		t.Errorf("no native histograms, %v", err)
	}
	r.stop()
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(spans)
	var want []string
	for _, name := range []string{"attempt", "attempt", "attempt", "echo:process", "echo:process", "echo:process", "queue", "queue", "queue",
		"submit", "submit", "submit", "task echo", "task one", "task two"} {
		want = append(want, trace+" "+name)
	}
	if !slices.Equal(spans, want) {
		t.Errorf("got %q, want %q", spans, want)
	}
}
