package host

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/kernel"
	"github.com/taskhost/taskhost/host/internal/linmem"
)

// instance is one sandbox of a version. It serves one call at a time.
type instance struct {
	v            *version
	ctx          guestContext // what guests' code runs under
	kernel       *kernel.Kernel
	kernelMemory *linmem.Memory
	modules      []linked // those of the version, main last
	memory       *linmem.Allocator
	watch        linmem.Watch   // of an instance that is put back
	funcs        []api.Function // by their numbers; nil where it is not at hand
	handles      int            // how many of them were looked up since they were last given up
	result       [1]uint64
	meter        meter
	stop         interrupter
	idleAt       time.Duration // on the host's clock

	// What belongs to the call that runs.
	parent   context.Context // nothing of it reaches wazero; functions of the host that wait honour it
	call     *abi.Call       // nil between calls
	current  abi.Call        // what call points to: a copy, so that the caller's stays on its stack
	report   func(abi.Progress)
	resumed  time.Duration // on the host's clock: when the slice of ticks began
	nextTurn time.Duration // when the guest gives way to others
	logged   int64
	ticks    uint64       // what it has cost, once it is over
	badInput bool         // the guest said that its input is bad
	spoke    bool         // the guest reported progress
	failed   api.Function // what has been entered and did not return, until the error is described
	trapped  error        // and the engine's error
	place    string       // where in a script it failed, as the interpreter tells
	stdio    stdio
	callVars vars // those of a call that brings its own; taken when it is over

	// What lives as long as the instance.
	vars  vars
	lines logRing // taken after each call
	http  httpState

	scriptNames []string // the functions of the script that it has loaded, in the interpreter's order

	drew   int    // random bytes so far
	size   uint32 // pages of the modules' memories after the last call, as these see them
	growth growth // of one that serves call after call as it is
}

// linked is one module of an instance.
type linked struct {
	api.Module
	control *instrument.Control
	yield   api.Module // what gives the module its way to let others run
}

// guestContext is the context.Context of guests' code. It has no deadline and is never done: the interrupter stops guests.
type guestContext struct{ inst *instance }

type instanceKey struct{}

func (*guestContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*guestContext) Done() <-chan struct{}       { return nil }
func (*guestContext) Err() error                  { return nil }

func (c *guestContext) Value(key any) any {
	if _, ok := key.(instanceKey); ok {
		return c.inst
	}
	return nil
}

// instanceOf is the instance whose guest called a function of the host.
func instanceOf(ctx context.Context) *instance {
	if c, ok := ctx.(*guestContext); ok {
		return c.inst
	}
	return ctx.Value(instanceKey{}).(*instance)
}

// newInstance makes an instance and initialises its modules' runtimes. It runs guests' code, within the call's context and limits, but not
// with the call's state: an instance is the same whichever call it is made for. When it fails, the instance, nil or closed, is only good
// for telling what was logged.
func (v *version) newInstance(ctx context.Context, call *abi.Call, report func(abi.Progress)) (inst *instance, err error) {
	need := v.startMemory()
	if err := v.host.budget.enter(ctx, need); err != nil {
		if ctx.Err() == nil {
			return nil, err
		}
		e := interruption(err, 0)
		e.Message += ", while waiting for memory: the plugins together have all that they may"
		return nil, e
	}
	i := &instance{v: v, funcs: make([]api.Function, max(len(v.functions), 1))}
	i.meter = meter{budget: v.host.budget, inst: i, prepaid: need}
	i.memory = v.host.memory.NewAllocator(uint64(v.limits.Memory), linmem.Meter{Grow: i.meter.grow, Free: i.meter.free})
	i.ctx.inst = i
	i.stop.inst = i
	v.pool.add(i)
	v.host.dog.add(&i.stop)
	defer func() {
		if r := recover(); r != nil { // wazero panics when the system has no memory for a minimal size
			err = abi.Errorf(abi.CodeUnavailable, "no memory for an instance: %v", r)
		}
		if err != nil {
			v.pool.discard(i)
		}
	}()
	i.begin(ctx, call, report)
	i.current.Vars, i.current.Checkpoint, i.current.Save, i.current.TraceParent = nil, nil, nil, ""
	limit := min(v.limits.RunTime, initLimit)
	i.stop.arm(ctx, v.host.now(), limit)
	err = i.instantiate()
	switch {
	case err != nil:
	case v.snapshot != nil:
		err = i.adopt(v.snapshot)
	case v.form != FormWASI:
		if err = i.initialise(); err == nil && v.script != nil {
			err = i.loadScript()
		}
	}
	cause := i.stop.disarm()
	i.end()
	i.meter.settle()
	if err == nil {
		return i, nil
	}
	e := i.failure(err, cause, limit)
	e.Message = "while it starts: " + e.Message
	i.describe(e, nil, i.lines.list())
	return i, e
}

// initLimit bounds the time that a start function and a runtime's initialisation take.
const initLimit = 30 * time.Second

// instantiate makes the kernel and the modules and links them.
func (i *instance) instantiate() error {
	v := i.v
	rt := v.host.runtime
	kernelMemory := v.host.memory.NewAllocator(uint64(v.limits.KernelMemory), linmem.Meter{Grow: i.meter.grow, Free: i.meter.free})
	kctx := experimental.WithMemoryAllocator(&i.ctx, kernelMemory)
	k, err := rt.InstantiateModule(kctx, v.host.kernel, v.host.anonymous)
	if err != nil {
		return fmt.Errorf("kernel: %w", err)
	}
	i.kernel = kernel.New(k)
	i.kernelMemory = kernelMemory.Memories()[0]
	ctx := experimental.WithMemoryAllocator(&i.ctx, i.memory)
	byName := map[string]api.Module{abi.ModuleEnv: k}
	if v.stand != nil {
		byName[stubModule] = v.stand.module
	}
	if len(v.mounts) == 0 {
		byName[abi.ModuleWASI] = v.host.bareWASI
	}
	ctx = experimental.WithImportResolver(ctx, func(name string) api.Module { return byName[name] })
	config := v.moduleConfig(i)
	for _, c := range v.modules {
		m, err := rt.InstantiateModule(ctx, c.compiled, config)
		if err != nil {
			return err
		}
		if c.name == abi.ModuleUser {
			c.name = userProvider // beside taskhost's own functions
		}
		byName[c.name] = m
		if err := i.addModule(m, c.pass); err != nil {
			return err
		}
	}
	return nil
}

// addModule makes a module known to halt, which may come from another goroutine, and runs its start function.
func (i *instance) addModule(m api.Module, pass *instrument.Result) error {
	control, err := pass.Bind(m)
	if err != nil {
		_ = m.Close(&i.ctx)
		return err
	}
	control.Begin(instrument.Unlimited)
	yield, err := i.v.host.instantiateYield(m)
	if err != nil {
		_ = m.Close(&i.ctx)
		return fmt.Errorf("yield: %w", err)
	}
	i.stop.mu.Lock()
	i.modules = append(i.modules, linked{m, control, yield})
	if i.stop.cause != nil {
		control.Interrupt()
	}
	i.stop.mu.Unlock()
	if i.v.snapshot != nil {
		return nil // the snapshot was taken after it
	}
	if err := control.Start(&i.ctx); err != nil {
		i.failed = control.StartFunction()
		return err
	}
	return nil
}

// initialise starts the modules' language runtimes as Extism does: hs_init after _initialize where there is one,
// else _initialize, else __wasm_call_ctors; the main module last.
func (i *instance) initialise() error {
	for _, m := range i.modules {
		names := []string{initFunction}
		hs := m.ExportedFunction("hs_init")
		if hs == nil && m.ExportedFunction(initFunction) == nil {
			names = []string{"__wasm_call_ctors"}
		}
		for _, name := range names {
			f := m.ExportedFunction(name)
			if f == nil || len(f.Definition().ParamTypes()) > 0 {
				continue
			}
			if _, err := f.Call(&i.ctx); err != nil {
				i.failed = f
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if hs != nil {
			if _, err := hs.Call(&i.ctx, make([]uint64, len(hs.Definition().ParamTypes()))...); err != nil {
				i.failed = hs
				return fmt.Errorf("hs_init: %w", err)
			}
		}
	}
	return nil
}

// main is the module whose functions are called.
func (i *instance) main() api.Module { return i.modules[len(i.modules)-1] }

// tripped is why the pass ended the guest's code, ReasonNone if it did not.
func (i *instance) tripped() instrument.Reason {
	for _, m := range i.modules {
		if r := m.control.Reason(); r != instrument.ReasonNone {
			return r
		}
	}
	return instrument.ReasonNone
}

// begin and end bracket whatever runs guests' code for a call.
func (i *instance) begin(ctx context.Context, call *abi.Call, report func(abi.Progress)) {
	i.current = *call
	i.parent, i.call, i.report = ctx, &i.current, report
	if call.Vars != nil {
		i.callVars = vars{values: call.Vars}
	}
	i.failed, i.trapped, i.place = nil, nil, ""
	i.logged = 0
	i.badInput, i.spoke = false, false
	i.meter.starved = false
	i.memory.Rearm()
	for _, m := range i.modules {
		m.control.Begin(i.v.fuel)
	}
}

func (i *instance) end() {
	i.stdio.flush(i)
	i.parent, i.call, i.report = nil, nil, nil
	i.current = abi.Call{}
}

// run makes one call of the function with that number. Intact is false when the guest was interrupted, trapped or exited.
func (i *instance) run(ctx context.Context, call *abi.Call, function int, began time.Duration, report func(abi.Progress)) (out []byte, intact bool, err error) {
	slot, name, param := function, call.Function, uint64(0)
	if s := i.v.script; s != nil {
		slot, name, param = 0, abi.FuncScriptCall, s.numbers[function]
	}
	f := i.function(slot, name)
	if f == nil {
		return nil, false, abi.Errorf(abi.CodeInternal, "function %s is gone", call.Function)
	}
	i.begin(ctx, call, report)
	i.watch.Begin() // settle ends it
	i.stop.arm(ctx, began, i.v.limits.RunTime)
	err = i.enter(f, param, call.Input)
	cause := i.stop.disarm()
	i.ticks = 0
	for _, m := range i.modules {
		i.ticks += uint64(m.control.End(err == nil))
	}
	if err == nil {
		out, err = i.outcome()
		intact = cause == nil
		if stackSize(f) > maxIdleStack {
			i.funcs[slot] = nil
			i.handles--
		}
	} else {
		i.funcs[slot], i.failed = nil, f
		out, err = i.unwound(err, cause)
	}
	if err != nil {
		err = i.explain(ctx, err, cause)
	}
	i.end()
	return out, intact, err
}

// maxHandles is how many functions an instance keeps at hand. Each holds a native stack, which stays as large as a call has made it;
// that of a call that trapped, or made it larger than maxIdleStack bytes, is given up at once.
const (
	maxHandles   = 8
	maxIdleStack = 1 << 20
)

// function is the function with that number.
func (i *instance) function(number int, name string) api.Function {
	f := i.funcs[number]
	if f != nil {
		return f
	}
	if i.handles == maxHandles {
		clear(i.funcs)
		i.handles = 0
	}
	if f = i.main().ExportedFunction(name); f != nil {
		i.funcs[number] = f
		i.handles++
	}
	return f
}

// enter gives the guest its input and runs the function; only an interpreter's takes the parameter. The error is wazero's.
func (i *instance) enter(f api.Function, param uint64, input []byte) error {
	i.result[0] = 0
	if i.v.form == FormWASI {
		i.stdio.begin(input)
	} else if err := i.kernel.Begin(&i.ctx, input); err != nil {
		return err
	}
	i.result[0] = param
	return f.CallWithStack(&i.ctx, i.result[:])
}

// settle makes the instance ready for the next call; false if it must not serve another. Intact tells that the guest returned.
func (i *instance) settle(intact bool) bool {
	same := i.watch.End()
	if i.kernel.Used() > maxIdleKernel {
		if i.kernel.Reset(&i.ctx) != nil {
			return false
		}
		i.kernelMemory.Discard(pageSize)
	}
	if s := i.v.snapshot; s != nil {
		i.restore(s, same)
		return true
	}
	return intact && i.v.sandbox.keep
}

// maxIdleKernel is how much kernel memory an idle instance holds, in bytes.
const maxIdleKernel = 8 << 20

// peak is the memory that the call has used, in bytes: the guest's memories as it saw them, and of the kernel's what was used.
func (i *instance) peak() uint64 {
	i.size = 0
	for _, m := range i.modules {
		i.size += m.control.Pages()
	}
	n := uint64(i.size) * pageSize
	if n == 0 {
		n = i.memory.Size()
	}
	return n + i.kernel.Used()
}

// close ends the instance and frees its memory.
func (i *instance) close() {
	i.v.host.dog.remove(&i.stop)
	for _, m := range slices.Backward(i.modules) {
		_ = m.Close(context.Background())
		_ = m.yield.Close(context.Background())
	}
	if i.kernel != nil {
		_ = i.kernel.Module().Close(context.Background())
	}
	i.meter.settle()
	i.meter.budget.leave()
}

// progress passes the guest's report on.
func (i *instance) progress(step, total int32, fraction float64, message []byte) {
	i.spoke = true
	if i.report == nil {
		return
	}
	p := abi.Progress{Total: int(max(total, 0)), Message: clip(string(message), abi.MaxProgressMessage)}
	p.Step = int(max(step, 0))
	if p.Total > 0 {
		p.Step = min(p.Step, p.Total)
	}
	switch {
	case !math.IsNaN(fraction):
		p.Fraction = min(max(fraction, 0), 1)
	case p.Total > 0:
		p.Fraction = float64(p.Step) / float64(p.Total)
	}
	i.report(p)
}
