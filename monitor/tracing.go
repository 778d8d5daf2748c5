package monitor

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/taskhost/taskhost/abi"
)

// TracingConfig says where traces go. Endpoint is needed.
type TracingConfig struct {
	// Endpoint is the URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318. One without a path gets /v1/traces.
	Endpoint string
	// Headers go with each export, such as one that authorises it.
	Headers map[string]string
	// SampleRatio is the part of the tasks that are traced, of those that came without a traceparent; the flag of a traceparent decides
	// for its task. Default: 1, all; negative: none.
	SampleRatio float64
	// ServiceName and ServiceVersion say in the traces who made them. Default of the name: taskhost.
	ServiceName, ServiceVersion string
	// MaxQueue is how many spans may wait for the collector; further ones are dropped and counted. Default: 8192.
	MaxQueue int
	// Interval is how long a span waits for others to be sent with, at most. Default: 2 s.
	Interval time.Duration
	// Logger gets a line when spans cannot be sent, at most one a minute. Default: none.
	Logger *slog.Logger
}

// Tracing makes OpenTelemetry spans of what host and manager tell, after the fact, and sends them to a collector. Make one with
// NewTracing, give it to Config.Tracing, and its TraceParent to manager.Config. A nil *Tracing traces nothing and costs nothing.
//
// The spans of a task: "task NAME" from its submit to its end, in it "submit", "queue" (the wait for each attempt), "attempt", in that one
// for each step, "PLUGIN:FUNCTION", and in that the guest's HTTP requests. Their ids are made of the task's id, so that the traceparent that goes
// out with a guest's request names the span of its step, though that is sent later; and the spans of a task that outlives its process are
// one trace.
type Tracing struct {
	spans    sdktrace.SpanProcessor
	tracer   oteltrace.Tracer
	bound    uint64 // of the number that a trace's id stands for: those below are sampled
	max      int64
	closed   atomic.Bool
	exporter *exporter
	dropped  atomic.Uint64
}

// NewTracing sets tracing up; it connects to nothing yet. What the standard environment variables OTEL_EXPORTER_OTLP_* say of timeouts and
// certificates counts. Errors are CodeInvalid. The caller must call [Tracing.Shutdown].
func NewTracing(ctx context.Context, cfg TracingConfig) (*Tracing, error) {
	u, err := url.Parse(cfg.Endpoint)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil:
		return nil, abi.Errorf(abi.CodeInvalid, "tracing: the endpoint must be a URL such as http://127.0.0.1:4318, without a user")
	case math.IsNaN(cfg.SampleRatio) || cfg.SampleRatio > 1:
		return nil, abi.Errorf(abi.CodeInvalid, "tracing: the sample ratio is %v; at most 1 is possible", cfg.SampleRatio)
	case cfg.MaxQueue < 0 || cfg.MaxQueue > 1<<20:
		return nil, abi.Errorf(abi.CodeInvalid, "tracing: the queue of %d spans is not between 0 (the default) and %d", cfg.MaxQueue, 1<<20)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	otlp, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithHeaders(cfg.Headers),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 10 * time.Second, MaxElapsedTime: 30 * time.Second,
		}))
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "tracing: %w", err)
	}
	t := &Tracing{max: int64(cmp.Or(cfg.MaxQueue, 8192)), bound: ratioBound(cmp.Or(cfg.SampleRatio, 1))}
	t.exporter = &exporter{SpanExporter: otlp, gone: make(chan struct{}), log: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))}
	who := []attribute.KeyValue{attribute.String("service.name", cmp.Or(cfg.ServiceName, "taskhost"))}
	if cfg.ServiceVersion != "" {
		who = append(who, attribute.String("service.version", cfg.ServiceVersion))
	}
	t.spans = sdktrace.NewBatchSpanProcessor(t.exporter,
		sdktrace.WithMaxQueueSize(int(t.max)), sdktrace.WithMaxExportBatchSize(min(512, int(t.max))),
		sdktrace.WithBatchTimeout(cmp.Or(cfg.Interval, 2*time.Second)))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithIDGenerator(givenIDs{}),
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // what is not sampled gets no span
		sdktrace.WithResource(resource.NewSchemaless(who...)),
		sdktrace.WithSpanProcessor(t.spans),
	)
	t.tracer = provider.Tracer("github.com/taskhost/taskhost")
	return t, nil
}

// ratioBound is the number below which a part of all numbers of 63 bits lies.
func ratioBound(ratio float64) uint64 {
	if ratio >= 1 {
		return 1 << 63
	}
	return uint64(max(ratio, 0) * (1 << 63))
}

// Shutdown sends what waits, until ctx ends, and frees everything. Call it when the manager has stopped.
func (t *Tracing) Shutdown(ctx context.Context) error {
	if t == nil || t.closed.Swap(true) {
		return nil
	}
	if err := t.spans.Shutdown(ctx); err != nil {
		_ = t.exporter.SpanExporter.Shutdown(context.WithoutCancel(ctx)) // breaks off what is under way
		<-t.exporter.gone
		return abi.Errorf(abi.CodeUnavailable, "tracing: sending the last spans: %w", err)
	}
	return nil
}

// admit takes a place in the queue for a span; false: there is none, and the span is dropped.
func (t *Tracing) admit() bool {
	if t.exporter.waiting.Add(1) <= t.max && !t.closed.Load() {
		return true
	}
	t.exporter.waiting.Add(-1)
	t.dropped.Add(1)
	return false
}

// exporter counts what becomes of spans. The SDK's queue never overflows, because no span is made that has no place in it.
type exporter struct {
	sdktrace.SpanExporter
	gone    chan struct{} // closed when the last spans were tried
	log     *slog.Logger
	told    atomic.Int64 // when a failure was logged last, Unix seconds
	waiting atomic.Int64
	sent    atomic.Uint64
	failed  atomic.Uint64
}

// Shutdown implements sdktrace.SpanExporter. The SDK calls it once, when nothing waits any more.
func (e *exporter) Shutdown(ctx context.Context) error {
	defer close(e.gone)
	return e.SpanExporter.Shutdown(ctx)
}

// ExportSpans implements sdktrace.SpanExporter. Errors end here: the SDK would write them to standard error.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.waiting.Add(-int64(len(spans)))
	if err == nil {
		e.sent.Add(uint64(len(spans)))
		return nil
	}
	e.failed.Add(uint64(len(spans)))
	last, now := e.told.Load(), time.Now().Unix()
	if now-last >= 60 && e.told.CompareAndSwap(last, now) {
		e.log.LogAttrs(ctx, slog.LevelWarn, "traces cannot be sent", slog.String("error", err.Error()), slog.Uint64("lost", e.failed.Load()))
	}
	return nil
}

// metrics shows how tracing does.
func (t *Tracing) metrics(mk *maker) {
	if t == nil {
		return
	}
	for outcome, count := range map[string]*atomic.Uint64{"sent": &t.exporter.sent, "failed": &t.exporter.failed, "dropped": &t.dropped} {
		mk.counterFunc("taskhost_trace_spans_total", "Spans by what became of them: sent, failed (the collector did not take them), dropped (too many waited).",
			prometheus.Labels{"outcome": outcome}, func() float64 { return float64(count.Load()) })
	}
}
