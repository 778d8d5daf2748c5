package host

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// plugin is a name and the versions behind it. The host's mu guards its fields.
type plugin struct {
	name    string
	current *version  // nil: nothing was accepted yet
	history []*record // the one made current last is the first; the current version's is among them
	metrics *metricBook

	refused     error  // why the newest file was refused; nil: it was not
	refusedPath string // the file that was refused
}

// record is a version that can be made again: its code is freed when it is no longer in use, its source is kept.
type record struct {
	source   *resolved
	loadedAt time.Time
}

// refusal is the error of a call on a plugin that has no version.
func (p *plugin) refusal() error {
	e := *abi.AsError(p.refused)
	e.Code = abi.CodeRefused
	e.Message = "its file was refused: " + p.refused.Error()
	e.Err = p.refused
	return &e
}

// begin counts something that uses the runtime, so that Close waits for it; the caller calls h.calls.Done.
func (h *Host) begin() error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return abi.Errorf(abi.CodeClosed, "the host is closed")
	}
	h.calls.Add(1)
	return nil
}

// Swap makes a new version of a plugin current, or adds the plugin. The version is compiled and started first; if that fails the
// error says why, with CodeRefused, CodeInvalid or a limit's code, and the version before stays current. Calls that run stay on their
// version. A source equal to the current one changes nothing. Of two concurrent swaps the one that ends last stays.
//
// A file of the plugin folder that changes later makes its own version current.
func (h *Host) Swap(ctx context.Context, name string, src Source) (VersionInfo, error) {
	if !abi.ValidName(name) {
		return VersionInfo{}, invalidName(name)
	}
	if err := h.begin(); err != nil {
		return VersionInfo{}, err
	}
	defer h.calls.Done()
	r, err := src.resolve(h.cfg.Limits.Module)
	if err == nil {
		err = h.load(ctx, name, r)
	}
	if err != nil {
		err = named(err, &abi.Call{Plugin: name})
		e := Event{Kind: EventRefuse, Time: time.Now(), Plugin: name, Err: err}
		h.emit(e)
		return VersionInfo{}, err
	}
	return h.currentVersion(name)
}

func invalidName(name string) error {
	return abi.Errorf(abi.CodeInvalid, "%q cannot name a plugin: use letters, digits, dot, dash and underscore, beginning with a letter or digit, at most %d",
		name, abi.MaxName)
}

// load makes a source the current version, unless it is already. The caller has called begin.
func (h *Host) load(ctx context.Context, name string, r *resolved) error {
	h.mu.RLock()
	metrics := &metricBook{}
	same := false
	if p := h.plugins[name]; p != nil {
		metrics = p.metrics
		same = p.current != nil && p.current.source.digest == r.digest && (r.script == nil || p.current.runner == h.interpreterAt(r.extension()))
	}
	h.mu.RUnlock()
	if same {
		h.accept(name)
		return nil
	}
	began := time.Now()
	v, err := h.makeVersion(ctx, name, r, metrics)
	if err != nil {
		return err
	}
	return h.activate(v, EventLoad, time.Since(began))
}

// makeVersion is newVersion, which Close can interrupt as it does calls. When all that its error says is that ctx ended, it says why:
// a module whose compilation was broken off is not one that is refused.
func (h *Host) makeVersion(ctx context.Context, name string, r *resolved, metrics *metricBook) (*version, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.hurry, func() { cancel(context.Cause(h.hurry)) })()
	if ctx.Err() != nil {
		return nil, interruption(context.Cause(ctx), 0)
	}
	v, err := h.newVersion(ctx, name, r, metrics)
	if err != nil { // a module's names may be as long as it is
		e := *abi.AsError(err)
		e.Message = clip(e.Message, maxMessage)
		err = &e
	}
	if err == nil || ctx.Err() == nil || abi.CodeOf(err) != abi.CodeRefused ||
		!errors.Is(err, ctx.Err()) && !errors.Is(err, context.Cause(ctx)) {
		return v, err
	}
	e := interruption(context.Cause(ctx), 0)
	e.Message = "while it is compiled: " + e.Message
	return nil, e
}

// accept forgets that a file of the plugin was refused.
func (h *Host) accept(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.plugins[name]; p != nil {
		p.refused = nil
	}
}

// activate makes v current.
func (h *Host) activate(v *version, kind EventKind, took time.Duration) error {
	h.mu.Lock()
	p := h.plugins[v.name]
	if p == nil {
		p = &plugin{name: v.name, metrics: v.metrics}
		h.plugins[v.name] = p
	}
	old := p.current
	p.current = v
	p.refused = nil
	h.alive[v] = struct{}{}
	if delete(h.interpreting, v.name); v.form == FormInterpreter {
		h.interpreting[v.name] = v
	}
	if kind == EventLoad {
		if old != nil {
			p.toFront(&record{old.source, old.loadedAt}) // it may have been rolled back to
		}
		p.toFront(&record{v.source, v.loadedAt})
		p.history = p.history[:min(len(p.history), h.cfg.KeepVersions+1)]
	}
	h.mu.Unlock()
	e := v.event(kind)
	e.Duration = took
	if old != nil {
		e.Previous = old.source.digest
		old.release()
	}
	h.emit(e)
	return nil
}

// toFront makes r the newest of the history; the host's mu is held.
func (p *plugin) toFront(r *record) {
	p.history = slices.DeleteFunc(p.history, func(h *record) bool { return h.source.digest == r.source.digest })
	p.history = slices.Insert(p.history, 0, r)
}

// refuse records that a file of the folder was refused.
func (h *Host) refuse(name, path string, err error) {
	h.mu.Lock()
	p := h.plugins[name]
	if p == nil {
		p = &plugin{name: name, metrics: &metricBook{}}
		h.plugins[name] = p
	}
	p.refused, p.refusedPath = err, path
	h.mu.Unlock()
	h.emit(Event{Kind: EventRefuse, Time: time.Now(), Plugin: name, Err: err})
}

// remove takes a plugin away. Calls that run end on their version.
func (h *Host) remove(name string) {
	h.mu.Lock()
	p := h.plugins[name]
	delete(h.plugins, name)
	delete(h.interpreting, name)
	h.mu.Unlock()
	if p == nil {
		return
	}
	e := Event{Kind: EventRemove, Time: time.Now(), Plugin: name}
	if p.current != nil {
		e.Previous = p.current.source.digest
		p.current.release()
	}
	h.emit(e)
}

// Rollback makes the version before the current one current again. It stays so until the plugin's file changes or Swap is called.
// The error is CodeNotFound for an unknown plugin and CodeConflict when no older version is kept (see Config.KeepVersions).
func (h *Host) Rollback(ctx context.Context, name string) (VersionInfo, error) {
	if err := h.begin(); err != nil {
		return VersionInfo{}, err
	}
	defer h.calls.Done()
	call := &abi.Call{Plugin: name}
	older, metrics, err := h.older(name)
	if err != nil {
		return VersionInfo{}, named(err, call)
	}
	began := time.Now()
	v, err := h.makeVersion(ctx, name, older.source, metrics)
	if err != nil {
		return VersionInfo{}, named(err, call)
	}
	v.loadedAt = older.loadedAt
	if err := h.activate(v, EventRollback, time.Since(began)); err != nil {
		return VersionInfo{}, named(err, call)
	}
	return h.currentVersion(name)
}

// older finds the record before the current one.
func (h *Host) older(name string) (*record, *metricBook, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.plugins[name]
	if p == nil {
		return nil, nil, h.unknown(name)
	}
	for n, r := range p.history {
		if p.current != nil && r.source.digest == p.current.source.digest && n+1 < len(p.history) {
			return p.history[n+1], p.metrics, nil
		}
	}
	return nil, nil, abi.Errorf(abi.CodeConflict, "there is no older version to go back to")
}

// currentVersion describes the current version of a plugin.
func (h *Host) currentVersion(name string) (VersionInfo, error) {
	versions, err := h.Versions(name)
	if err != nil {
		return VersionInfo{}, err
	}
	for _, v := range versions {
		if v.Current {
			return v, nil
		}
	}
	return VersionInfo{}, abi.Errorf(abi.CodeConflict, "plugin %s was changed meanwhile", name)
}

// freed forgets a version that nobody uses any more.
func (h *Host) freed(v *version) {
	h.mu.Lock()
	delete(h.alive, v)
	h.mu.Unlock()
	h.emit(v.event(EventFree))
}

// info describes the plugin; the caller holds the host's mu.
func (h *Host) info(p *plugin) PluginInfo {
	i := PluginInfo{Name: p.name, State: StateReady, Limits: h.cfg.Limits}
	if p.refused != nil {
		i.State, i.Error, i.Path = StateRefused, p.refused.Error(), p.refusedPath
	}
	i.Versions = h.versionInfos(p)
	v := p.current
	if v == nil {
		return i
	}
	if p.refused != nil {
		i.State = StateStale
	}
	m := &v.source.manifest
	i.Path, i.Digest, i.LoadedAt, i.Size = v.source.path, v.source.digest, v.loadedAt, v.source.size()
	i.Form, i.Toolchain, i.Default, i.Imports = v.form, v.toolchain, v.def, slices.Clone(v.imports)
	i.StubbedImports = v.stubNames()
	i.Limits, i.Isolation, i.Sandbox, i.MaxInstances = v.limits, v.isolation, v.sandbox.how, v.maxInst
	i.Instances, i.Running = v.pool.count()
	i.Hints = v.hints.all()
	i.Config, i.AllowedHosts, i.AllowedPaths = maps.Clone(v.config), slices.Clone(m.AllowedHosts), maps.Clone(m.AllowedPaths)
	i.Functions = functionInfos(v.functions, m)
	if m.Taskhost != nil {
		i.Description = m.Taskhost.Description
	}
	return i
}

// versionInfos lists the plugin's versions that can be called, run calls or can be rolled back to, newest first.
func (h *Host) versionInfos(p *plugin) []VersionInfo {
	running := map[abi.Digest]int{}
	for v := range h.alive {
		if v.name == p.name {
			_, n := v.pool.count()
			running[v.source.digest] += n
		}
	}
	list := make([]VersionInfo, 0, len(p.history))
	for _, r := range p.history {
		d := r.source.digest
		list = append(list, VersionInfo{
			Digest: d, LoadedAt: r.loadedAt, Size: r.source.size(), Running: running[d],
			Current: p.current != nil && p.current.source.digest == d,
		})
	}
	return list
}
