package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// place is where a task is in the traces.
type place struct {
	trace   oteltrace.TraceID
	parent  oteltrace.SpanID // of whoever submitted the task; zero: unknown
	sampled bool
}

// placeOf is the task's place: that of its traceparent, else a trace of its own, whose id is made of the task's.
func (t *Tracing) placeOf(task *manager.Task) (p place) {
	if given, ok := abi.ParseTraceParent(task.Spec.TraceParent); ok {
		return placeAt(given)
	}
	sum := sha256.Sum256(append([]byte("trace "), task.ID...))
	p.trace = oteltrace.TraceID(sum[:16])
	p.sampled = binary.BigEndian.Uint64(p.trace[8:])>>1 < t.bound // as the SDK's TraceIDRatioBased has it
	return p
}

// placeAt is the place that a traceparent names.
func placeAt(given abi.Trace) (p place) {
	p.trace, _ = oteltrace.TraceIDFromHex(given.ID) // both were checked
	p.parent, _ = oteltrace.SpanIDFromHex(given.Span)
	p.sampled = given.Sampled
	return p
}

// The sorts of spans that have an id of their own in a task.
const (
	spanTask    = 't' // number: attempts that were begun before the last Retry
	spanSubmit  = 's'
	spanQueue   = 'q' // time: of the attempt's start
	spanAttempt = 'a' // time: of its start; its number may come twice, when a stop cuts it off
)

// spanID is the id of a span of a task.
func spanID(task string, sort byte, number int64) oteltrace.SpanID {
	b := make([]byte, 0, 64)
	b = append(b, sort)
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	sum := sha256.Sum256(append(b, task...))
	return oteltrace.SpanID(sum[:8])
}

func attemptID(task *manager.Task, began time.Time) oteltrace.SpanID {
	return spanID(task.ID, spanAttempt, began.UnixNano())
}

// stepID is the id of a step's span, made of its attempt's, and the other way round: the host tells of the one, and its parent is the other.
func stepID(attempt oteltrace.SpanID, step int) (id oteltrace.SpanID) {
	x := uint64(max(step, 1)) * 0x9e3779b97f4a7c15 // splitmix64
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	binary.BigEndian.PutUint64(id[:], binary.BigEndian.Uint64(attempt[:])^x)
	return id
}

// TraceParent is for manager.Config.TraceParent: the traceparent of a step names the step's span.
func (t *Tracing) TraceParent(task *manager.Task, step int) string {
	if t == nil {
		return task.Spec.TraceParent
	}
	p := t.placeOf(task)
	if !p.sampled && task.Spec.TraceParent != "" {
		return task.Spec.TraceParent
	}
	id := stepID(attemptID(task, task.AttemptAt), step)
	return abi.Trace{ID: p.trace.String(), Span: id.String(), Sampled: p.sampled}.String()
}

// traceID is the id of the trace in which a task is recorded, here or by whoever submitted it; empty: in none.
func (t *Tracing) traceID(task *manager.Task) string {
	if t == nil {
		return recordedTrace(task.Spec.TraceParent)
	}
	if p := t.placeOf(task); p.sampled && task.ID != "" {
		return p.trace.String()
	}
	return ""
}

// recordedTrace is the id of a traceparent's trace, if that is recorded.
func recordedTrace(traceParent string) string {
	if given, ok := abi.ParseTraceParent(traceParent); ok && given.Sampled {
		return given.ID
	}
	return ""
}

type idsKey struct{}

// givenIDs is an IDGenerator that takes ids from the context.
type givenIDs struct{}

// NewIDs implements sdktrace.IDGenerator, for a span without a parent.
func (givenIDs) NewIDs(ctx context.Context) (oteltrace.TraceID, oteltrace.SpanID) {
	c, _ := ctx.Value(idsKey{}).(oteltrace.SpanContext)
	return c.TraceID(), c.SpanID()
}

// NewSpanID implements sdktrace.IDGenerator.
func (givenIDs) NewSpanID(ctx context.Context, _ oteltrace.TraceID) oteltrace.SpanID {
	c, _ := ctx.Value(idsKey{}).(oteltrace.SpanContext)
	return c.SpanID()
}

// randomSpanID is for spans that nobody else names.
func randomSpanID() (id oteltrace.SpanID) {
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1)
	return id
}
