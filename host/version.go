package host

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental/sysfs"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/egress"
	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/rootfs"
)

// version is one immutable compiled plugin. It lives while it is current or a call runs on it.
type version struct {
	shape
	host      *Host
	name      string
	source    *resolved
	limits    abi.Limits
	config    map[string]string
	fuel      int64 // ticks that a call may take
	grace     time.Duration
	sandbox   sandbox
	isolation abi.Isolation
	maxInst   int
	loadedAt  time.Time

	modules  []compiled   // main last
	runner   *interpreter // whose modules these are; nil: they are the version's own
	script   *script      // nil: it is none
	stand    *standIn     // the stubs of imports that nobody provides; nil: there are none
	mounts   []mount
	egress   *egress.Client
	metrics  *metricBook
	pool     *pool
	numbers  map[string]int // of the functions, by name
	hints    hints
	snapshot *snapshot // nil: instances are not put back
	symbols  symbols

	showInput bool // in the detail of errors

	refs atomic.Int64 // 1 for being current, 1 for each call
}

type compiled struct {
	name     string
	compiled wazero.CompiledModule
	pass     *instrument.Result
}

// mount is a folder that the manifest grants.
type mount struct {
	fs    *rootfs.FS
	guest string
}

// newVersion compiles a source and checks that it starts. The caller is its first reference.
func (h *Host) newVersion(ctx context.Context, name string, r *resolved, metrics *metricBook) (_ *version, err error) {
	v := &version{host: h, name: name, source: r, metrics: metrics, loadedAt: time.Now()}
	v.limits = manifestLimits(h.cfg.Limits, &r.manifest)
	if v.fuel = v.limits.Fuel; v.fuel == 0 {
		v.fuel = instrument.Unlimited
	}
	v.config = overlay(r.manifest.Config, h.cfg.PluginConfig[name])
	v.maxInst = h.cfg.MaxInstances
	v.isolation = abi.IsolationPristine
	v.showInput = r.manifest.Taskhost == nil || !r.manifest.Taskhost.HideInput
	if t := r.manifest.Taskhost; t != nil {
		v.grace = time.Duration(t.CancelGraceMS) * time.Millisecond
		if t.MaxInstances > 0 {
			v.maxInst = t.MaxInstances
		}
		if t.Isolation != "" {
			v.isolation = t.Isolation
		}
	}
	v.isolation = cmp.Or(h.cfg.Isolation, v.isolation)
	v.pool = newPool(v, v.maxInst)
	v.refs.Store(1)
	defer func() {
		if err != nil {
			v.close()
		}
	}()
	if v.egress, err = egress.New(egress.Policy{AllowedHosts: r.manifest.AllowedHosts, MaxResponse: v.limits.HTTPResponse}); err != nil {
		return nil, fmt.Errorf("allowed_hosts: %w", err)
	}
	if err = v.mountPaths(); err != nil {
		return nil, err
	}
	full, err := v.compile(ctx)
	if err != nil {
		return nil, err
	}
	if len(v.stubs) > 0 {
		if v.stand, err = h.instantiateStubs(ctx, v.stubs); err != nil {
			return nil, abi.Errorf(abi.CodeRefused, "taskhost.stub_imports: %w", err)
		}
	}
	v.sandbox = sandboxFor(v.isolation, v.form, v.modules, len(v.mounts) > 0)
	// The first instance proves that the modules link and that their runtimes start.
	i, err := v.instantiate(ctx, &abi.Call{Plugin: name}, nil)
	if err != nil {
		return nil, err
	}
	i.lines.take() // of no call
	if err = v.settleFunctions(i); err != nil {
		v.pool.discard(i)
		return nil, err
	}
	v.hintAtStart(full, i)
	if v.sandbox.restore {
		if v.snapshot, err = i.snapshot(); err != nil {
			v.pool.discard(i)
			return nil, abi.Errorf(abi.CodeUnavailable, "taking an image of it: %w", err)
		}
	}
	i.slim()
	h.stash(r)
	if (v.sandbox.restore || v.sandbox.keep) && v.form != FormInterpreter {
		v.pool.put(i)
	} else {
		v.pool.discard(i)
	}
	return v, nil
}

// compile inspects and compiles the version's modules, or takes those of the interpreter that runs it. full has the source's modules in memory.
func (v *version) compile(ctx context.Context) (full *resolved, err error) {
	r := v.source
	if r.script != nil {
		return r, v.takeRunner(ctx)
	}
	if full, err = r.unstash(); err != nil {
		return nil, err
	}
	if v.shape, err = inspect(full, v.limits); err != nil {
		return nil, err
	}
	if v.form == FormInterpreter {
		v.runner = &interpreter{host: v.host, name: v.name, source: r, shape: v.shape, refs: 1}
		v.modules, err = v.runner.modules(ctx, v.limits.Stack)
		return full, err
	}
	for _, m := range full.modules {
		c, err := v.host.compile(ctx, v.relink(m), v.limits.Stack)
		if err != nil {
			return nil, abi.Errorf(abi.CodeRefused, "%s does not compile: %w", moduleWord(m.name), err)
		}
		v.modules = append(v.modules, c)
	}
	return full, nil
}

// settleFunctions numbers the functions. Those of a script are known once it was loaded, by the first instance.
func (v *version) settleFunctions(first *instance) error {
	if v.script != nil {
		v.script.names = first.scriptNames
		v.functions = slices.Sorted(slices.Values(first.scriptNames))
		if err := v.applyManifest(&v.source.manifest); err != nil {
			return err
		}
	}
	v.numbers = make(map[string]int, len(v.functions))
	for n, name := range v.functions {
		v.numbers[name] = n
	}
	if v.script != nil {
		v.script.number(v.functions)
	}
	return nil
}

// mountPaths opens the folders that the manifest grants.
func (v *version) mountPaths() error {
	for _, key := range sortedKeys(v.source.manifest.AllowedPaths) {
		dir, readOnly := strings.CutPrefix(key, "ro:")
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(v.source.base, dir)
		}
		fs, err := rootfs.Open(dir, readOnly)
		if err != nil {
			return abi.Errorf(abi.CodeRefused, "allowed_paths: %w", err)
		}
		v.mounts = append(v.mounts, mount{fs, v.source.manifest.AllowedPaths[key]})
	}
	return nil
}

// moduleConfig is what an instance's modules see of WASI.
func (v *version) moduleConfig(i *instance) wazero.ModuleConfig {
	args := []string{v.name}
	c := wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithStdin(stdin{i}).WithStdout(stdout{i}).WithStderr(stderr{i}).
		WithRandSource(random{i}).WithSysWalltime().WithSysNanotime().WithNanosleep(i.sleep)
	if t := v.source.manifest.Taskhost; t != nil {
		args = append(args, t.Args...)
		for _, k := range sortedKeys(t.Env) {
			c = c.WithEnv(k, t.Env[k])
		}
	}
	c = c.WithArgs(args...)
	if len(v.mounts) > 0 {
		fs := wazero.NewFSConfig()
		for _, m := range v.mounts {
			fs = fs.(sysfs.FSConfig).WithSysFSMount(guardedFS{m.fs, i}, m.guest)
		}
		c = c.WithFSConfig(fs)
	}
	return c
}

// sleep is the guest's way to wait. An interruption ends it, and the call with it, unless the guest has time to tidy up: it would go on
// as if it had slept.
func (i *instance) sleep(ns int64) {
	ctx, release := i.stop.waiting()
	defer release()
	t := time.NewTimer(time.Duration(ns))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		if i.v.grace == 0 {
			panic(interruption(context.Cause(ctx), i.stop.limit))
		}
	}
}

// resolveFunction finds the function of a call and its number; the empty name is the default.
func (v *version) resolveFunction(name string) (string, int, error) {
	if name == "" {
		name = v.def
	}
	if n, ok := v.numbers[name]; ok {
		return name, n, nil
	}
	if v.form == FormInterpreter {
		return name, 0, abi.Errorf(abi.CodeInvalid, "it is an interpreter, which has no function of its own: it runs the plugins whose files end in %s",
			listed(v.source.manifest.Taskhost.Interprets))
	}
	if name == "" {
		return "", 0, abi.Errorf(abi.CodeInvalid, "it has several functions and none is named process: write %s:FUNCTION with one of %s",
			v.name, listed(v.functions))
	}
	return name, 0, abi.Errorf(abi.CodeNotFound, "it has no function %s%s; it has %s", name, didYouMean(name, v.functions), listed(v.functions))
}

// acquire makes the caller a user of the version, which somebody else uses already.
func (v *version) acquire() { v.refs.Add(1) }

// release gives the use back. The last user frees the version.
func (v *version) release() {
	if v.refs.Add(-1) == 0 {
		v.close()
		v.host.freed(v)
	}
}

// close frees everything that the version holds. No call runs on it.
func (v *version) close() {
	v.pool.close()
	if v.snapshot != nil {
		v.snapshot.close()
	}
	if v.runner != nil {
		v.runner.release()
	} else {
		closeModules(v.modules)
	}
	if v.stand != nil {
		v.stand.close()
	}
	for _, m := range v.mounts {
		_ = m.fs.Close()
	}
	if v.egress != nil {
		v.egress.CloseIdle()
	}
}

func (v *version) event(kind EventKind) Event {
	return Event{Kind: kind, Time: time.Now(), Plugin: v.name, Version: v.source.digest}
}

// startMemory is what an instance takes to start, in bytes.
func (v *version) startMemory() int64 {
	if v.snapshot == nil {
		return v.memory + pageSize
	}
	n := int64(pageSize)
	for _, m := range v.snapshot.memories {
		n += int64(m.Size())
	}
	return n
}

// ending is what the host tells of a call besides its result.
type ending struct {
	at       time.Duration // on the host's clock; 0: no instance was there for it
	restored bool          // the instance was put back
}

// run makes one call on the version, and writes what comes of it to res, which is empty.
func (v *version) run(ctx context.Context, call *abi.Call, report func(abi.Progress), res *abi.Result) (end ending, err error) {
	res.Version = v.source.digest
	var function int
	call.Function, function, err = v.resolveFunction(call.Function)
	res.Function = call.Function
	if err != nil {
		return end, err
	}
	began := v.host.now()
	i, ok := v.pool.tryEnter()
	if !ok {
		came := began
		i, err = v.pool.enter(ctx)
		began = v.host.now()
		res.Usage.Wait = began - came
		if err != nil {
			e := interruption(err, 0)
			e.Message += fmt.Sprintf(", while waiting for one of its %d instances", v.maxInst)
			return end, e
		}
	}
	if i == nil {
		if i, err = v.instantiate(ctx, call, report); err != nil {
			end.at = v.host.now()
			v.pool.leave(nil, end.at)
			res.Usage.Duration = end.at - began
			if i != nil {
				res.Log = i.lines.take()
			}
			return end, err
		}
	}
	out, intact, err := i.run(ctx, call, function, began, report)
	end.at = v.host.now()
	res.Output = out
	res.Usage.Duration = end.at - began
	res.Usage.PeakMemory = i.peak()
	res.Usage.Ticks = i.ticks
	if i.lines.n > 0 {
		res.Log = i.lines.take()
	}
	if err != nil {
		i.describe(err, call.Input, res.Log)
	}
	if call.Vars != nil {
		if vars := i.takeVars(); err == nil {
			res.Vars = vars
		}
	}
	if leaks := v.sandbox.keep && i.growth.leaks(i.size, len(call.Input)); leaks || res.Usage.Duration >= silentAfter {
		v.hintAtEnd(i, call, res.Usage.Duration, leaks)
	}
	end.restored = v.snapshot != nil
	if !i.settle(intact) {
		v.pool.discard(i)
		i, end.restored = nil, false
	}
	v.pool.leave(i, end.at)
	return end, err
}

// instantiate is newInstance with an event.
func (v *version) instantiate(ctx context.Context, call *abi.Call, report func(abi.Progress)) (*instance, error) {
	began := time.Now()
	i, err := v.newInstance(ctx, call, report)
	if err == nil && v.host.cfg.OnEvent != nil {
		e := v.event(EventInstantiate)
		e.Duration = time.Since(began)
		e.Instances, _ = v.pool.count()
		v.host.emit(e)
	}
	return i, err
}
