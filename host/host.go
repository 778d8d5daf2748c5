// Package host loads, compiles, pools, calls and swaps plugins: sandboxed WebAssembly modules.
//
// [New] makes a [Host] from a folder of plugins, [Host.Run] calls one. Files that are added, replaced or removed take effect while
// calls run: a call stays on the version that it began with.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	wasi "github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/kernel"
	"github.com/taskhost/taskhost/host/internal/linmem"
)

// Host holds plugins and runs calls on them. All of its methods may be called by any goroutine.
type Host struct {
	cfg       Config
	epoch     time.Time // when its clock began
	cache     wazero.CompilationCache
	passes    passCache
	runtime   wazero.Runtime
	kernel    wazero.CompiledModule
	yield     wazero.CompiledModule // see instantiateYield
	anonymous wazero.ModuleConfig   // of the kernel
	bareWASI  api.Module            // WASI for plugins without folders
	memory    *linmem.System
	budget    *budget
	stays     sync.Once // tells that machine code stays in memory
	holds     holds     // plugins whose files are left alone
	compiling holds     // modules, by their sums

	interpreters []*interpreter // of the config

	mu           sync.RWMutex
	plugins      map[string]*plugin
	interpreting map[string]*version   // those that are current and interpreters, by their plugins' names
	alive        map[*version]struct{} // current, or in use by a call
	closed       bool
	calls        sync.WaitGroup // calls and changes; Add under mu, so that none begins after Close

	dog     *watchdog
	stop    context.CancelFunc // ends the workers
	workers sync.WaitGroup
	hurry   context.Context // done when Close interrupts what runs
	rush    context.CancelCauseFunc
	stopDog context.CancelFunc // the watchdog works on until the last call has ended
	dogDone chan struct{}
}

// New makes a host. With Config.Dir it loads the folder before it returns; plugins that are refused are no error here, they show in
// [Host.Plugins]. The context bounds New alone. Errors are CodeInvalid for a bad config. The caller must call [Host.Close].
func New(ctx context.Context, cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, epoch: time.Now(), plugins: map[string]*plugin{}, interpreting: map[string]*version{}, alive: map[*version]struct{}{}, dog: newWatchdog()}
	if err := h.makeRuntime(ctx); err != nil {
		return nil, err
	}
	for n := range h.cfg.Interpreters {
		h.interpreters = append(h.interpreters, &interpreter{host: h, name: h.cfg.Interpreters[n].Name, given: &h.cfg.Interpreters[n], refs: 1})
	}
	background, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.hurry, h.rush = context.WithCancelCause(context.Background())
	h.workers.Go(func() { h.reap(background) })
	h.startDog()
	if cfg.Dir != "" {
		f := &folder{host: h, dir: cfg.Dir}
		f.load(ctx)
		if cfg.WatchInterval > 0 {
			h.workers.Go(func() { f.watch(background) })
		}
	}
	if err := ctx.Err(); err != nil {
		_ = h.Close(context.WithoutCancel(ctx))
		return nil, abi.Errorf(abi.CodeOf(err), "loading %s: %w", cfg.Dir, err)
	}
	return h, nil
}

// now is the time on the host's clock, which takes half as long to read as the wall clock and the monotonic one.
func (h *Host) now() time.Duration { return time.Since(h.epoch) }

func (h *Host) startDog() {
	ctx, stop := context.WithCancel(context.Background())
	h.stopDog, h.dogDone = stop, make(chan struct{})
	go func() {
		defer close(h.dogDone)
		h.dog.run(ctx)
	}()
}

// features are what wazero knows of Wasm beyond version 2 of the core specification.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesThreads | experimental.CoreFeaturesTailCall |
	experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesExceptionHandling | experimental.CoreFeaturesTypedFunctionReferences

// runtimeConfig is what all that is compiled has in common.
func runtimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().WithCoreFeatures(features).WithDebugInfoEnabled(true)
}

func (h *Host) makeRuntime(ctx context.Context) (err error) {
	config := runtimeConfig()
	if h.cfg.CacheDir != cacheOff {
		if h.cache, err = openCache(h.cfg.CacheDir); err != nil {
			return err
		}
		h.passes = openPassCache(h.cfg.CacheDir)
		config = config.WithCompilationCache(h.cache)
	}
	h.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	h.anonymous = wazero.NewModuleConfig().WithName("").WithStartFunctions()
	fail := func(err error) error {
		_ = h.closeRuntime(ctx)
		return abi.Errorf(abi.CodeInternal, "host: %w", err)
	}
	h.memory = linmem.NewSystem()
	h.budget = newBudget(h.cfg.MaxMemory, h.evictIdle)
	if _, err := wasi.Instantiate(ctx, h.runtime); err != nil {
		return fail(err)
	}
	if h.bareWASI, err = h.instantiateBareWASI(ctx); err != nil {
		return fail(err)
	}
	if err := instantiateHostModule(ctx, h.runtime, kernel.HostModule, kernelImports(), nil); err != nil {
		return fail(err)
	}
	if err := instantiateHostModule(ctx, h.runtime, abi.ModuleUser, userImports(), addBulkCopies); err != nil {
		return fail(err)
	}
	if h.kernel, err = h.compileModule(ctx, kernel.Wasm); err != nil {
		return fail(err)
	}
	if h.yield, err = h.compileModule(ctx, instrument.YieldModule(kernel.HostModule, yieldFunc)); err != nil {
		return fail(err)
	}
	return nil
}

// openCache opens the compilation cache and refuses a folder that others can write to: it holds machine code.
func openCache(dir string) (wazero.CompilationCache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "compilation cache: %w; set CacheDir to a folder that can be written, or to off", err)
	}
	st, err := os.Stat(dir)
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "compilation cache: %w", err)
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o022 != 0 {
		return nil, abi.Errorf(abi.CodeInvalid, "compilation cache: others can write to %s, and it holds machine code: chmod 700 it, or name another folder", dir)
	}
	if ownedByAnother(st) {
		return nil, abi.Errorf(abi.CodeInvalid, "compilation cache: %s belongs to another user, and it holds machine code: name another folder", dir)
	}
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "compilation cache: %w", err)
	}
	return cache, nil
}

// compile rewrites a module (package instrument) and compiles it on all cores, or finds it in the cache.
func (h *Host) compile(ctx context.Context, m module, stack int64) (c compiled, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the compiler failed: %v", r)
		}
	}()
	c.name = m.name
	if c.pass, err = h.passes.rewrite(m.wasm, instrument.Config{StackBytes: stack}); err != nil {
		return c, err
	}
	ctx = experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	c.compiled, err = h.compileModule(ctx, c.pass.Wasm)
	c.pass.Wasm, c.pass.Module = nil, nil // as large as the plugin, and needed no more
	return c, err
}

func (h *Host) closeRuntime(ctx context.Context) error {
	err := h.runtime.Close(ctx)
	if h.cache != nil {
		err = errors.Join(err, h.cache.Close(ctx))
	}
	if h.memory != nil {
		err = errors.Join(err, h.memory.Close())
	}
	return err
}

// Run makes one call and waits for its end. It calls report, which may be nil, for each progress that the guest reports, from the
// goroutine that runs the guest. When ctx ends, the guest is stopped and the error's code says why: that of the *abi.Error that is
// the context's cause, CodeTimeout or CodeCancelled.
//
// The call runs on the version that is current when it begins. It waits while the plugin's instances are all in use.
// Every error is an *abi.Error that names plugin, function and task; the result beside it has what is known.
func (h *Host) Run(ctx context.Context, call abi.Call, report func(abi.Progress)) (res abi.Result, err error) {
	v, err := h.acquire(call.Plugin)
	if err != nil {
		return abi.Result{Function: call.Function}, named(err, &call)
	}
	defer h.calls.Done()
	defer v.release()
	if ctx.Err() != nil {
		return abi.Result{Function: call.Function, Version: v.source.digest}, named(interruption(context.Cause(ctx), 0), &call)
	}
	end, err := v.run(ctx, &call, report, &res)
	if err != nil {
		err = named(err, &call)
	}
	if h.cfg.OnEvent != nil {
		e := v.event(EventCall)
		e.tell(&call)
		e.Function, e.Usage, e.Err, e.Restored = res.Function, res.Usage, err, end.restored
		if end.at != 0 { // putting the instance back is not part of it
			e.Time = e.Time.Add(end.at - e.Time.Sub(h.epoch))
		}
		h.cfg.OnEvent(e)
	}
	return res, err
}

// named is err with the names of the call, as a copy.
func named(err error, call *abi.Call) *abi.Error {
	e := *abi.AsError(err)
	e.Plugin, e.Func, e.Task, e.Step = call.Plugin, call.Function, call.Task, call.Step
	return &e
}

// acquire pins the plugin's current version and counts the call.
func (h *Host) acquire(name string) (*version, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return nil, abi.Errorf(abi.CodeClosed, "the host is closed")
	}
	p := h.plugins[name]
	switch {
	case p == nil:
		return nil, h.unknown(name)
	case p.current == nil:
		return nil, p.refusal()
	}
	p.current.acquire() // cannot fail: a version loses its reference for being current under the write lock
	h.calls.Add(1)
	return p.current, nil
}

// unknown is the error for a name without a plugin; the caller holds mu.
func (h *Host) unknown(name string) error {
	names := sortedKeys(h.plugins)
	if len(h.cfg.Only) > 0 {
		names = h.folderNames()
	}
	where := ""
	if h.cfg.Dir != "" {
		where = " in " + h.cfg.Dir
	}
	return abi.Errorf(abi.CodeNotFound, "there is no such plugin%s%s; there are: %s", where, didYouMean(name, names), listed(names))
}

func (h *Host) emit(e Event) {
	if h.cfg.OnEvent != nil {
		h.cfg.OnEvent(e)
	}
}

// evictIdle closes one idle instance of any plugin; false if there is none.
func (h *Host) evictIdle() bool {
	for _, p := range h.pools() {
		if i := p.takeOldest(); i != nil {
			p.discard(i)
			return true
		}
	}
	return false
}

// pools are those of all versions.
func (h *Host) pools() []*pool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	pools := make([]*pool, 0, len(h.alive))
	for v := range h.alive {
		pools = append(pools, v.pool)
	}
	return pools
}

// reap closes idle instances in time.
func (h *Host) reap(ctx context.Context) {
	tick := time.NewTicker(max(h.cfg.IdleTimeout/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			before := h.now() - h.cfg.IdleTimeout
			for _, p := range h.pools() {
				p.reap(before)
			}
		}
	}
}

// Close stops watching, refuses new calls and waits for those that run; when ctx ends it interrupts them, with CodeShutdown, and
// waits on. Then it frees everything. A second Close does nothing.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.mu.Unlock()
	h.stop()
	h.workers.Wait()
	done := make(chan struct{})
	go func() {
		h.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		h.interruptAll(done)
	}
	h.rush(nil)
	h.stopDog()
	<-h.dogDone
	h.mu.Lock()
	plugins := h.plugins
	h.plugins = map[string]*plugin{}
	h.mu.Unlock()
	for _, p := range plugins {
		if p.current != nil {
			p.current.release()
		}
	}
	for _, t := range h.interpreters {
		t.release()
	}
	if err := h.closeRuntime(context.WithoutCancel(ctx)); err != nil {
		return abi.Errorf(abi.CodeInternal, "closing the host: %w", err)
	}
	return nil
}

// interruptAll interrupts the calls that run, and those that come out of a queue for an instance, until done.
func (h *Host) interruptAll(done <-chan struct{}) {
	cause := &abi.Error{Code: abi.CodeShutdown, Message: "the host is closing"}
	h.rush(cause)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		h.mu.RLock()
		for v := range h.alive {
			v.pool.interrupt(cause)
		}
		h.mu.RUnlock()
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// Plugins lists all plugins, sorted by name, those that were refused included.
func (h *Host) Plugins() []PluginInfo {
	h.mu.RLock()
	defer h.mu.RUnlock()
	list := make([]PluginInfo, 0, len(h.plugins))
	for _, name := range sortedKeys(h.plugins) {
		list = append(list, h.info(h.plugins[name]))
	}
	return list
}

// Inspect tells everything about one plugin. The error is CodeNotFound.
func (h *Host) Inspect(name string) (PluginInfo, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.plugins[name]
	if p == nil {
		return PluginInfo{}, named(h.unknown(name), &abi.Call{Plugin: name})
	}
	return h.info(p), nil
}

// Versions lists the versions of a plugin that the host holds, newest first. The error is CodeNotFound.
func (h *Host) Versions(name string) ([]VersionInfo, error) {
	info, err := h.Inspect(name)
	return info.Versions, err
}

// names of files in the plugin folder that belong to the plugin name, where scripts end in the extensions.
func pluginFiles(dir, name string, scripts []string) []string {
	files := []string{filepath.Join(dir, name+".wasm"), filepath.Join(dir, name+".json")}
	for _, ext := range scripts {
		files = append(files, filepath.Join(dir, name+ext))
	}
	return files
}

// folderNames lists the plugins in the folder, loaded or not, for messages; the caller holds mu.
func (h *Host) folderNames() (names []string) {
	files, err := os.ReadDir(h.cfg.Dir)
	if err != nil {
		return nil
	}
	for _, file := range files {
		ext := filepath.Ext(file.Name())
		if name := strings.TrimSuffix(file.Name(), ext); abi.ValidName(name) && (ext == ".wasm" || h.interpreterAt(ext) != nil) {
			names = append(names, name)
		}
	}
	return names
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
