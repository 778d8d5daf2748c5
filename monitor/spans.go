package monitor

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
)

// span is one to be made.
type span struct {
	name       string
	kind       oteltrace.SpanKind
	id, parent oteltrace.SpanID
	remote     bool // the parent is another process's
	from, to   time.Time
	err        *abi.Error // nil: it ended well
	attrs      []attribute.KeyValue
}

// make makes a span in a trace, and hands it to the exporter's queue.
func (t *Tracing) make(trace oteltrace.TraceID, s span) {
	if !t.admit() {
		return
	}
	at := func(id oteltrace.SpanID) oteltrace.SpanContext {
		return oteltrace.NewSpanContext(oteltrace.SpanContextConfig{TraceID: trace, SpanID: id, TraceFlags: oteltrace.FlagsSampled, Remote: s.remote})
	}
	ctx := context.WithValue(context.Background(), idsKey{}, at(s.id))
	if s.parent.IsValid() {
		ctx = oteltrace.ContextWithSpanContext(ctx, at(s.parent))
	}
	if s.err != nil {
		s.attrs = append(s.attrs, attribute.String("error.type", string(s.err.Code)))
	}
	_, made := t.tracer.Start(ctx, s.name, oteltrace.WithTimestamp(s.from), oteltrace.WithSpanKind(s.kind), oteltrace.WithAttributes(s.attrs...))
	if s.to.Before(s.from) {
		s.to = s.from
	}
	if s.err != nil {
		made.SetStatus(codes.Error, s.err.Message)
		made.AddEvent("exception", oteltrace.WithTimestamp(s.to), oteltrace.WithAttributes(
			attribute.String("exception.type", string(s.err.Code)), attribute.String("exception.message", s.err.Error())))
	}
	made.End(oteltrace.WithTimestamp(s.to))
}

// taskEvent makes the spans that an event of the manager ends.
func (t *Tracing) taskEvent(e *manager.Event) {
	switch e.Kind {
	case manager.EventSubmit, manager.EventStart, manager.EventRetry, manager.EventFinish:
	default:
		return
	}
	task := &e.Task
	p := t.placeOf(task)
	if !p.sampled {
		return
	}
	root := spanID(task.ID, spanTask, int64(task.Retried))
	switch e.Kind {
	case manager.EventSubmit:
		t.make(p.trace, span{
			name: "submit", kind: oteltrace.SpanKindProducer, id: spanID(task.ID, spanSubmit, 0), parent: root,
			from: task.CreatedAt, to: e.Time, attrs: []attribute.KeyValue{attribute.Int("taskhost.input.bytes", task.InputBytes)},
		})
	case manager.EventStart:
		if from := waitsSince(task); !from.IsZero() {
			t.make(p.trace, span{
				name: "queue", kind: oteltrace.SpanKindInternal, id: spanID(task.ID, spanQueue, task.AttemptAt.UnixNano()), parent: root,
				from: from, to: task.AttemptAt,
				attrs: []attribute.KeyValue{attribute.String("taskhost.queue", task.Spec.Queue), attribute.Int("taskhost.attempt", task.Attempt)},
			})
		}
	case manager.EventRetry:
		if !task.AttemptAt.IsZero() { // else it is a task that Manager.Retry put back
			t.attempt(p.trace, task, root)
		}
	case manager.EventFinish:
		if last := len(task.Attempts) - 1; last >= 0 && task.Attempts[last].FinishedAt.Equal(task.FinishedAt) {
			t.attempt(p.trace, task, root)
		}
		t.task(p, task, root)
	}
}

// waitsSince is when the wait for the attempt that begins began; zero: nobody knows, because somebody put the task back by hand.
func waitsSince(t *manager.Task) time.Time {
	switch last := len(t.Attempts) - 1; {
	case t.Attempt <= 1 && t.Spec.RunAt.After(t.CreatedAt):
		return t.Spec.RunAt
	case t.Attempt <= 1:
		return t.CreatedAt
	case t.Attempt > t.Retried+1 && last >= 0:
		return t.Attempts[last].FinishedAt
	}
	return time.Time{}
}

// attempt makes the span of the attempt that ended last.
func (t *Tracing) attempt(trace oteltrace.TraceID, task *manager.Task, root oteltrace.SpanID) {
	a := &task.Attempts[len(task.Attempts)-1]
	t.make(trace, span{
		name: "attempt", kind: oteltrace.SpanKindConsumer, id: attemptID(task, a.StartedAt), parent: root,
		from: a.StartedAt, to: a.FinishedAt, err: a.Error,
		attrs: append(usageAttrs(a.Usage), attribute.String("taskhost.task.id", task.ID), attribute.Int("taskhost.attempt", a.Number)),
	})
}

// task makes the span of a task that is final.
func (t *Tracing) task(p place, task *manager.Task, root oteltrace.SpanID) {
	s := &task.Spec
	attrs := append(usageAttrs(task.Usage),
		attribute.String("taskhost.task.id", task.ID), attribute.String("taskhost.task.name", s.Name),
		attribute.String("taskhost.task.kind", string(s.Kind)), attribute.String("taskhost.task.status", string(task.Status)),
		attribute.String("taskhost.queue", s.Queue), attribute.Int("taskhost.attempts", task.Attempt),
		attribute.Int("taskhost.output.bytes", task.OutputBytes))
	if task.Cause != "" {
		attrs = append(attrs, attribute.String("taskhost.task.cause", string(task.Cause)))
	}
	made := span{
		name: "task " + s.Name, kind: oteltrace.SpanKindInternal, id: root, parent: p.parent, remote: true,
		from: task.CreatedAt, to: task.FinishedAt, attrs: attrs,
	}
	if task.Status == manager.StatusFailed {
		made.err = task.Error
	}
	t.make(p.trace, made)
}

func usageAttrs(u abi.Usage) []attribute.KeyValue {
	return append(make([]attribute.KeyValue, 0, 16),
		attribute.Int64("taskhost.ticks", int64(u.Ticks)), attribute.Int64("taskhost.memory.peak", int64(u.PeakMemory)),
		attribute.Float64("taskhost.instance.wait", u.Wait.Seconds()))
}

// hostEvent makes the spans of a step's call and of its HTTP requests.
func (t *Tracing) hostEvent(e *host.Event) {
	if e.Task == "" || e.Attempt == 0 || (e.Kind != host.EventCall && e.Kind != host.EventHTTP) {
		return
	}
	given, ok := abi.ParseTraceParent(e.TraceParent)
	if !ok || !given.Sampled {
		return
	}
	p := placeAt(given)
	plugin := []attribute.KeyValue{attribute.String("taskhost.plugin", e.Plugin), attribute.String("taskhost.function", e.Function)}
	var failed *abi.Error
	if e.Err != nil {
		failed = abi.AsError(e.Err)
	}
	if e.Kind == host.EventHTTP {
		t.make(p.trace, span{
			name: e.HTTP.Method, kind: oteltrace.SpanKindClient, id: randomSpanID(), parent: p.parent,
			from: e.Time.Add(-e.Duration), to: e.Time, err: failed, attrs: append(plugin, httpAttrs(&e.HTTP)...),
		})
		return
	}
	attrs := append(usageAttrs(e.Usage), plugin...)
	attrs = append(attrs, attribute.String("taskhost.version", string(e.Version)), attribute.String("taskhost.task.id", e.Task),
		attribute.Int("taskhost.step", max(e.Step, 1)), attribute.Int("taskhost.attempt", e.Attempt))
	t.make(p.trace, span{
		name: e.Plugin + ":" + e.Function, kind: oteltrace.SpanKindInternal, id: p.parent, parent: stepID(p.parent, e.Step),
		from: e.Time.Add(-e.Usage.Duration - e.Usage.Wait), to: e.Time, err: failed, attrs: attrs,
	})
}

// httpAttrs are OpenTelemetry's for a client.
func httpAttrs(h *host.HTTP) []attribute.KeyValue {
	attrs := []attribute.KeyValue{attribute.String("http.request.method", h.Method)}
	name, port, err := net.SplitHostPort(h.Host)
	if err != nil {
		name = strings.Trim(h.Host, "[]")
	} else if n, err := strconv.Atoi(port); err == nil {
		attrs = append(attrs, attribute.Int("server.port", n))
	}
	attrs = append(attrs, attribute.String("server.address", name))
	if h.Status != 0 {
		attrs = append(attrs, attribute.Int("http.response.status_code", h.Status))
	}
	return attrs
}
