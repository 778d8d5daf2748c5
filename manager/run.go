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
	lease Lease

	// write is held by whoever stores the task, from reading to telling. It is taken before mu, never after.
	write sync.Mutex

	mu       sync.Mutex
	task     Task      // as it is now, progress included
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
}

func newRun(m *Manager, t Task, l Lease) *run {
	return &run{m: m, lease: l, task: t, expires: l.Expires, cancel: func(error) {}}
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
	return r.task, true
}

func (r *run) current() Task {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.task
}

// saved takes over what was stored; progress may have gone on meanwhile.
func (r *run) saved(t *Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	progress := r.task
	r.task = *t
	if r.live && t.Status == StatusRunning {
		r.task.copyProgress(&progress)
	}
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

// freeze ends reporting and returns the task.
func (r *run) freeze() Task {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.step = -1
	return r.task
}

// over marks the attempt as over; t is its task as it was stored last.
func (r *run) over(t Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live, r.step, r.task = false, -1, t
}

// copyProgress takes the progress of another copy.
func (t *Task) copyProgress(from *Task) {
	t.Progress, t.CurrentStep, t.TotalSteps, t.Message = from.Progress, from.CurrentStep, from.TotalSteps, from.Message
}

// execute runs the task's function or its steps, and leaves what came of it in err and ended.
func (r *run) execute() {
	r.err = &abi.Error{Code: abi.CodeInternal, Task: r.lease.ID, Message: "the function ended its goroutine instead of returning"}
	t := r.current()
	spec := &t.Spec
	began := time.Now()
	if spec.Kind == KindFunc {
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
