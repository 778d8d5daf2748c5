package manager

import (
	"context"
	"errors"
	"math"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// run is one attempt in this process.
type run struct {
	m     *Manager
	shard *shard // of the task
	lease Lease

	// write is held by whoever stores the task, from reading to telling. It is taken before mu, never after.
	write sync.Mutex
	next  *Task // the task as it is being stored, or was stored last; for whoever holds write, and nil once the attempt is over

	mu       sync.Mutex
	task     *Task     // as it is now, progress included; nil once the attempt is over
	live     bool      // between begin and end
	step     int       // the step that may report
	dirty    bool      // progress is waiting to be stored
	unspoken bool      // progress is waiting to be told
	expires  time.Time // of the lease

	// Set by arm, before anybody else sees the run live.
	ctx    context.Context
	cancel context.CancelCauseFunc

	// Of the worker alone.
	ready  *abi.Error        // why the task cannot start; nil: it can
	input  []byte            // of the first step, where it is made of the outputs of other tasks
	memory *Record           // of the task's agent; nil: it has none
	vars   map[string][]byte // the agent's, as the step has left them
	err    *abi.Error        // nil: the attempt ended well
	ended  ended
	body   *body
}

// body is the large part of a run. Others use it again when the attempt is over; what still holds the run then, such as a report that
// comes too late, sees by live and step that there is nothing left to do.
type body struct{ task, next Task }

var bodies = sync.Pool{New: func() any { return new(body) }}

// newRun makes the attempt of a task that was claimed into a body.
func newRun(m *Manager, b *body, l Lease) *run {
	return &run{
		m: m, shard: m.shard(l.ID), lease: l, body: b, task: &b.task, next: &b.next, expires: l.Expires, cancel: func(error) {},
	}
}

// release gives the body back. It comes last, after the attempt was over and all of it was told; write is held, or nobody else has the run.
func (r *run) release() {
	r.mu.Lock()
	r.task = nil
	r.mu.Unlock()
	r.next = nil
	*r.body = body{}
	bodies.Put(r.body)
	r.body = nil
}

// arm makes the context of a started attempt and lets others see it.
func (r *run) arm(base context.Context) {
	ctx, cancel := context.WithCancelCause(base)
	r.cancel = cancel
	if end := r.task.deadline(); !end.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadlineCause(ctx, end, timeoutError(r.task.ID, r.task.Spec.Timeout))
		r.cancel = func(cause error) { cancel(cause); stop() }
	}
	r.ctx = ctx
	r.mu.Lock()
	r.live = true
	r.mu.Unlock()
}

// snapshot returns the task as it is now; ok is false before the attempt has begun and after it is over.
func (r *run) snapshot() (t Task, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.live {
		return Task{}, false
	}
	return *r.task, true
}

// isLive is snapshot without the task.
func (r *run) isLive() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live
}

// current writes the task as it is now to t.
func (r *run) current(t *Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*t = *r.task
}

// saved takes over what was stored; progress may have gone on meanwhile.
func (r *run) saved(t *Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.live || t.Status != StatusRunning {
		*r.task = *t
		return
	}
	p := progressOf(r.task)
	*r.task = *t
	p.copyTo(r.task)
}

// adopt takes over what somebody else stored: the revision, and the wish that the task stops.
func (r *run) adopt(t *Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.task.Revision = t.Revision
	if r.task.Status == StatusRunning {
		r.task.Cause = t.Cause
	}
}

// freeze ends reporting.
func (r *run) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.step = -1
}

// over marks the attempt as over.
func (r *run) over() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live, r.step = false, -1
}

// progress is how far a task is.
type progress struct {
	fraction    float64
	step, steps int
	message     string
}

func progressOf(t *Task) progress {
	return progress{t.Progress, t.CurrentStep, t.TotalSteps, t.Message}
}

func (p progress) copyTo(t *Task) {
	t.Progress, t.CurrentStep, t.TotalSteps, t.Message = p.fraction, p.step, p.steps, p.message
}

// execute runs the task's function or its steps, and leaves what came of it in err and ended.
func (r *run) execute() {
	r.err = errGone
	var t Task
	r.current(&t)
	spec := &t.Spec
	if spec.Kind == KindFunc {
		began := time.Now()
		r.mu.Lock()
		r.step = 1
		r.mu.Unlock()
		var err error
		r.ended.output, err = callFunc(r.ctx, spec.Func, func(p abi.Progress) { r.report(1, p) })
		r.ended.usage.Duration = time.Since(began)
		r.err = r.failure(r.ctx, err, abi.CodeFailed, 0)
		return
	}
	r.steps(&t)
}

// errGone stands for the error of an attempt whose goroutine ended before it could tell; see lastMove.
var errGone = &abi.Error{Code: abi.CodeInternal, Message: "the function ended its goroutine instead of returning"}

// steps runs the steps that are left; t is the task at the start of the attempt.
func (r *run) steps(t *Task) {
	spec := &t.Spec
	input, first := spec.Input, t.PartialStep+1
	if spec.Collect {
		input = r.input
	}
	if first > 1 {
		input = t.Partial
	}
	for i := first; i <= len(spec.Steps); i++ {
		step := &spec.Steps[i-1]
		r.enter(i, i > first)
		ctx, done := stepContext(r.ctx, t.ID, step, spec.StepTimeout)
		call := abi.Call{
			Plugin: step.Plugin, Function: step.Function, Input: input, Config: step.Config,
			Task: t.ID, Attempt: t.Attempt, TraceParent: r.m.traceParent(t, i), Vars: r.vars,
			Save: func(state []byte) error { return r.saveCheckpoint(i, state) },
		}
		if t.CheckpointStep == i {
			call.Checkpoint = t.Checkpoint
		}
		if spec.Kind == KindProcessor {
			call.Step = i
		}
		var res abi.Result
		err := ctx.Err()
		if err == nil {
			res, err = callRunner(ctx, r.m.runner, call, func(p abi.Progress) { r.report(i, p) })
		}
		r.ended.usage = r.ended.usage.Add(res.Usage)
		r.ended.function, r.ended.version = or(res.Function, step.Function), res.Version
		r.ended.log = lastLines(r.ended.log, res.Log)
		if err != nil {
			e := r.failure(ctx, err, abi.CodeInternal, call.Step)
			e.Plugin, e.Func = or(e.Plugin, step.Plugin), or(e.Func, r.ended.function)
			r.err = e
			done()
			return
		}
		done()
		input = res.Output
		if r.vars != nil && res.Vars != nil {
			r.vars = res.Vars
		}
		if i < len(spec.Steps) {
			r.ended.partial, r.ended.partialStep = res.Output, i
		}
	}
	r.ended.output, r.err = input, nil
}

// traceParent is where a step is in its trace; empty: nowhere.
func (m *Manager) traceParent(t *Task, step int) string {
	if m.cfg.TraceParent == nil {
		return t.Spec.TraceParent
	}
	return m.cfg.TraceParent(t, step)
}

// stepContext bounds the time of a step.
func stepContext(ctx context.Context, id string, step *Step, byDefault time.Duration) (context.Context, context.CancelFunc) {
	d := or(step.Timeout, byDefault)
	if d == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, d, &abi.Error{Code: abi.CodeTimeout, Task: id, Message: "the step did not end within " + d.String()})
}

// Bounds on what a task's error keeps, in bytes.
const (
	maxMessage = 4 << 10
	maxDetail  = 8 << 10
)

// failure makes the error of an attempt: a copy, with the task, and the step if it is one of several. When the time was over, that
// is the error, whatever the runner says. Nil stays nil.
func (r *run) failure(ctx context.Context, err error, unknown abi.Code, step int) *abi.Error {
	if err == nil {
		return nil
	}
	e := abi.Error{Code: unknown, Message: err.Error(), Err: err}
	if known, ok := errors.AsType[*abi.Error](err); ok {
		e.Code, e.Plugin, e.Func, e.Step, e.Detail, e.Exit = known.Code, known.Plugin, known.Func, known.Step, known.Detail, known.Exit
		if whole, ok := err.(*abi.Error); ok && whole == known { //nolint:errorlint // wrapped errors keep their own message
			e.Message, e.Err = known.Message, known.Err
		}
	}
	e.Message, e.Detail = e.Message[:min(len(e.Message), maxMessage)], e.Detail[:min(len(e.Detail), maxDetail)]
	if cause := abi.AsError(context.Cause(ctx)); ctx.Err() != nil && cause.Code == abi.CodeTimeout {
		e.Code, e.Message = cause.Code, cause.Message
	}
	e.Task, e.Step = r.lease.ID, or(e.Step, step)
	return &e
}

// stopCode is why the attempt was told to stop.
func stopCode(r *run) abi.Code { return abi.CodeOf(context.Cause(r.ctx)) }

func callRunner(ctx context.Context, runner Runner, call abi.Call, report func(abi.Progress)) (res abi.Result, err error) {
	defer recovered(&err, "the runner")
	return runner.Run(ctx, call, report)
}

func callFunc(ctx context.Context, f Func, report func(abi.Progress)) (output []byte, err error) {
	defer recovered(&err, "the function")
	return f(ctx, report)
}

// recovered makes an error of a panic.
func recovered(err *error, who string) {
	if v := recover(); v != nil {
		stack := debug.Stack()
		e := abi.Errorf(abi.CodeInternal, "%s panicked: %v", who, v)
		e.Detail = string(stack[:min(len(stack), maxDetail)])
		*err = e
	}
}

// fraction is how far a call is, 0..1; ok is false if p does not say.
func fraction(p abi.Progress) (f float64, ok bool) {
	f = p.Fraction
	if math.IsNaN(f) {
		if p.Total <= 0 {
			return 0, false
		}
		f = float64(p.Step) / float64(p.Total)
	}
	return min(1, max(0, f)), true
}

// cleanMessage is at most abi.MaxProgressMessage bytes of valid UTF-8.
func cleanMessage(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), abi.MaxProgressMessage)], "")
}
