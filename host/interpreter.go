package host

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// Interpreter runs scripts: files that are plugins as they are, without being built. It is a module that exports [abi.FuncScriptLoad] and
// [abi.FuncScriptCall]. A plugin of a host whose manifest has taskhost.interprets is one, too, and goes first for the extensions that it
// names.
type Interpreter struct {
	// Name is for messages, such as "js".
	Name string
	// Extensions are the endings of its scripts' files, such as ".js".
	Extensions []string
	// Load gives the module. It is called when the first script needs it, and again if it failed.
	Load func() (Source, error)
}

// check says what is wrong with the interpreter; empty: nothing.
func (i *Interpreter) check() string {
	if !abi.ValidName(i.Name) || i.Load == nil {
		return "it needs a name and Load"
	}
	return extensionsProblem(i.Extensions)
}

// maxExtensions bounds how many extensions an interpreter has.
const maxExtensions = 20

// extensionsProblem says what is wrong with the extensions of an interpreter's scripts; empty: nothing.
func extensionsProblem(list []string) string {
	if len(list) > maxExtensions {
		return fmt.Sprintf("at most %d", maxExtensions)
	}
	for _, ext := range list {
		switch {
		case len(ext) < 2 || ext[0] != '.' || !abi.ValidName(ext[1:]) || strings.Contains(ext[1:], ".") || strings.ToLower(ext) != ext:
			return fmt.Sprintf("%q is not the ending of a file's name: want one like .lua, in small letters", clip(ext, abi.MaxName))
		case ext == ".wasm" || ext == ".json":
			return fmt.Sprintf("%s is what modules and manifests have", ext)
		}
	}
	return ""
}

// interpreter is what the scripts of some extensions run on. Its code is compiled once and shared by all of them.
type interpreter struct {
	host    *Host
	name    string
	given   *Interpreter // by the config; nil: it is the plugin of that name
	loading sync.Mutex   // one at a time reads or compiles it

	mu       sync.Mutex
	source   *resolved // nil: not read yet
	shape    shape
	compiled map[int64][]compiled // by the bytes of stack that they allow
	slimmed  map[int64]bool       // those whose machine code is in a file
	refs     int
}

// use makes the caller one who uses it.
func (t *interpreter) use() *interpreter {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refs++
	return t
}

// release gives a use back. The last one frees the code.
func (t *interpreter) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refs--; t.refs > 0 {
		return
	}
	for _, modules := range t.compiled {
		closeModules(modules)
	}
	t.compiled = nil
}

func closeModules(modules []compiled) {
	for _, m := range modules {
		_ = m.compiled.Close(context.Background())
	}
}

// read reads the module of an interpreter that the config has.
func (t *interpreter) read() error {
	t.loading.Lock()
	defer t.loading.Unlock()
	if t.source != nil {
		return nil
	}
	src, err := t.given.Load()
	if err != nil {
		return err
	}
	if src.Manifest == nil {
		src.Manifest = &abi.Manifest{}
	}
	m := *src.Manifest
	taskhost := abi.ManifestTaskhost{}
	if m.Taskhost != nil {
		taskhost = *m.Taskhost
	}
	taskhost.Interprets = t.given.Extensions
	m.Taskhost, src.Manifest = &taskhost, &m
	limits := t.host.cfg.Limits
	r, err := src.resolve(limits.Module)
	if err != nil {
		return err
	}
	s, err := inspect(r, limits)
	if err != nil {
		return err
	}
	t.host.stash(r)
	t.mu.Lock()
	t.source, t.shape = r, s
	t.mu.Unlock()
	return nil
}

// modules are its modules, compiled for so much stack.
func (t *interpreter) modules(ctx context.Context, stack int64) ([]compiled, error) {
	t.loading.Lock()
	defer t.loading.Unlock()
	t.mu.Lock()
	modules := t.compiled[stack]
	t.mu.Unlock()
	if modules != nil {
		return modules, nil
	}
	full, err := t.source.unstash()
	if err != nil {
		return nil, err
	}
	for _, m := range full.modules {
		c, err := t.host.compile(ctx, t.shape.relink(m), stack)
		if err != nil {
			closeModules(modules)
			return nil, abi.Errorf(abi.CodeRefused, "%s does not compile: %w", moduleWord(m.name), err)
		}
		modules = append(modules, c)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.compiled == nil {
		t.compiled = map[int64][]compiled{}
	}
	t.compiled[stack] = modules
	return modules, nil
}

// slim tells whether the modules that were compiled for so much stack are to give memory back, which is done once.
func (t *interpreter) slim(stack int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slimmed[stack] {
		return false
	}
	if t.slimmed == nil {
		t.slimmed = map[int64]bool{}
	}
	t.slimmed[stack] = true
	return true
}

// label names the interpreter and its version.
func (t *interpreter) label() string {
	name := t.name
	if m := t.source.manifest.Taskhost; m.Description != "" {
		name = m.Description
	}
	return clip(name, abi.MaxName) + ", version " + t.source.digest.Short()
}

// interpreterFor is what runs the scripts with an extension, read, with a use for the caller.
func (h *Host) interpreterFor(ext string) (*interpreter, error) {
	t := h.findInterpreter(ext)
	if t == nil {
		return nil, abi.Errorf(abi.CodeRefused, "nothing here runs %s files; there is an interpreter for: %s", ext, listed(h.ScriptExtensions()))
	}
	if t.given == nil {
		return t, nil
	}
	if err := t.read(); err != nil {
		t.release()
		e := *abi.AsError(err)
		e.Message = fmt.Sprintf("its interpreter %s: %s", t.name, e.Message)
		return nil, &e
	}
	return t, nil
}

func (h *Host) findInterpreter(ext string) *interpreter {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if t := h.interpreterAt(ext); t != nil {
		return t.use()
	}
	return nil
}

// interpreterAt is what runs the scripts with an extension: a plugin, the first by name, else one of the config. The caller holds mu.
func (h *Host) interpreterAt(ext string) *interpreter {
	var first *version
	for _, v := range h.interpreting {
		if slices.Contains(v.source.manifest.Taskhost.Interprets, ext) && (first == nil || v.name < first.name) {
			first = v
		}
	}
	if first != nil {
		return first.runner
	}
	for _, t := range h.interpreters {
		if slices.Contains(t.given.Extensions, ext) {
			return t
		}
	}
	return nil
}

// ScriptExtensions are the endings of the files that are scripts for this host, sorted: those of [Config.Interpreters], and those of its
// plugins that are interpreters.
func (h *Host) ScriptExtensions() []string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var list []string
	for _, t := range h.interpreters {
		list = append(list, t.given.Extensions...)
	}
	for _, v := range h.interpreting {
		list = append(list, v.source.manifest.Taskhost.Interprets...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Interpreters are what runs scripts for this host, those that go first in front: its plugins that are interpreters, as they are now, and
// those of the config. They can be given to another host.
func (h *Host) Interpreters() []Interpreter {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var list []Interpreter
	for _, name := range sortedKeys(h.interpreting) {
		r := h.interpreting[name].source
		list = append(list, Interpreter{Name: name, Extensions: slices.Clone(r.manifest.Taskhost.Interprets), Load: r.again})
	}
	return append(list, h.cfg.Interpreters...)
}

// again is the source that a version of a plugin with modules was made from.
func (r *resolved) again() (Source, error) {
	full, err := r.unstash()
	if err != nil {
		return Source{}, err
	}
	m := r.manifest
	for _, mod := range full.modules {
		m.Wasm = append(m.Wasm, abi.ManifestWasm{Name: mod.name, Data: mod.wasm})
	}
	return Source{Manifest: &m, Base: r.base, Path: r.path}, nil
}

// runnerStamp names the version of the interpreter that runs a file, if it is a script: the script is loaded again when that changes.
func (h *Host) runnerStamp(file string) string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if t := h.interpreterAt(filepath.Ext(file)); t != nil {
		return cmp.Or(t.name, "the host's own") + " " + t.digest()
	}
	return ""
}

// digest is that of a plugin that is an interpreter; those of the config do not change.
func (t *interpreter) digest() string {
	if t.given != nil {
		return ""
	}
	return string(t.source.digest)
}

// interprets checks a main module that is to be an interpreter.
func (s *shape) interprets(mod *wasm.Module, extensions []string) error {
	for _, name := range []string{abi.FuncScriptLoad, abi.FuncScriptCall} {
		e, ok := mod.Export(name)
		if !ok || e.Kind != wasm.KindFunc || mod.FuncType(e.Index).String() != interpreterSignature {
			return abi.Errorf(abi.CodeRefused, "the manifest's taskhost.interprets makes it the interpreter of %s files, and it does not export %s with the signature %s",
				listed(extensions), name, interpreterSignature)
		}
	}
	s.form, s.functions, s.def = FormInterpreter, nil, ""
	return nil
}

// interpreterSignature is what both functions of an interpreter have.
const interpreterSignature = "(i32) -> (i32)"
