package host

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// Examine tells what can be read in a plugin's files, without compiling or running anything, and without a host: what an inspection of
// the running plugin tells, as far as it follows from the files, and in Modules what these are made of, with the functions that have most
// code, at most as many as top. A source that a host would refuse is described as far as it can be read; the state is StateRefused then,
// and Error is why. That a source is not refused here does not promise that it compiles and starts.
func Examine(src Source, top int) PluginInfo {
	limits := abi.DefaultLimits()
	r, err := src.resolve(limits.Module)
	if err != nil { // the module beside a bad manifest can be looked at all the same
		r = &resolved{base: src.Base, path: src.Path, modules: []module{{name: mainModule, wasm: src.Wasm}}}
		r.digest = r.makeDigest()
	}
	m := &r.manifest
	limits = manifestLimits(limits, m)
	info := PluginInfo{
		State: StateReady, Path: src.Path, Digest: r.digest, Size: r.size(), Limits: limits, Isolation: abi.IsolationPristine,
		Config: maps.Clone(m.Config), AllowedHosts: slices.Clone(m.AllowedHosts), AllowedPaths: maps.Clone(m.AllowedPaths),
	}
	if t := m.Taskhost; t != nil {
		info.Description, info.MaxInstances = t.Description, t.MaxInstances
		if t.Isolation != "" {
			info.Isolation = t.Isolation
		}
	}
	if r.script != nil { // what it exports is known when it runs
		info.Form = FormScript
		return info
	}
	shape, refused := inspect(r, limits)
	if err == nil {
		err = refused
	}
	info.Form, info.Toolchain, info.Default, info.Imports = shape.form, shape.toolchain, shape.def, shape.imports
	info.Functions = functionInfos(shape.functions, m)
	var passes []compiled
	for _, mod := range r.modules {
		seen, pass, bad := examineModule(mod, r, limits, top)
		info.Modules = append(info.Modules, seen)
		if err == nil {
			err = bad
		}
		passes = append(passes, compiled{name: mod.name, pass: pass})
	}
	if err != nil {
		info.State, info.Error = StateRefused, clip(err.Error(), maxMessage)
		if info.Form == "" {
			guess(&info)
		}
		return info
	}
	s := sandboxFor(info.Isolation, info.Form, passes, len(m.AllowedPaths) > 0)
	info.Sandbox = s.how
	if info.Isolation == abi.IsolationPristine && !s.restore {
		info.Hints = append(info.Hints, notPristine(passes, len(m.AllowedPaths) > 0))
	}
	if shape.debug > muchDebug {
		info.Hints = append(info.Hints, debugHint(shape.toolchain, shape.debug, info.Size))
	}
	return info
}

// guess fills in what the main module shows of a plugin whose inspection came to no end.
func guess(info *PluginInfo) {
	main := &info.Modules[len(info.Modules)-1]
	info.Toolchain = main.Toolchain
	var s shape
	for _, i := range main.Imports {
		s.imports = append(s.imports, i.Module+"."+i.Name)
	}
	var start bool
	for _, e := range main.Exports {
		if e.Callable && e.Name != startFunction {
			info.Functions = append(info.Functions, FunctionInfo{Name: e.Name})
		}
		start = start || e.Callable && e.Name == startFunction
	}
	switch {
	case len(info.Functions) > 0 || start && s.importsOurs():
		info.Form = FormExtism
	case start:
		info.Form = FormWASI
	}
	if start && len(info.Functions) == 0 {
		info.Functions = []FunctionInfo{{Name: startFunction}}
	}
}

// functionInfos describes functions by their names.
func functionInfos(names []string, m *abi.Manifest) (list []FunctionInfo) {
	for _, name := range names {
		f := FunctionInfo{Name: name}
		if m.Taskhost != nil {
			f.Description = m.Taskhost.Functions[name].Description
		}
		list = append(list, f)
	}
	return list
}

// examineModule describes one module of a plugin. The pass is what the host would make of it; the error is why it would not.
func examineModule(m module, r *resolved, limits abi.Limits, top int) (abi.ModuleInfo, *instrument.Result, error) {
	info := abi.ModuleInfo{Name: m.name, Size: int64(len(m.wasm))}
	if bytes.HasPrefix(m.wasm, componentMagic) || !bytes.HasPrefix(m.wasm, componentMagic[:4]) {
		_, err := decode(m)
		info.Error = err.Error()
		return info, nil, err
	}
	mod, sections, err := wasm.Survey(m.wasm)
	if err != nil {
		info.Error = err.Error()
	}
	for _, s := range sections[:min(len(sections), maxShown)] {
		info.Sections = append(info.Sections, abi.SectionInfo{Name: clip(s.Name, abi.MaxName), Custom: s.Custom, Size: int64(s.Size)})
	}
	info.Toolchain = toolchain(mod)
	info.Exports = exportInfos(mod, m.name == mainModule)
	info.Imports = r.importInfos(mod, limits)
	if l, imported, ok := mod.Memory(); ok {
		info.Memory = &abi.MemoryInfo{Min: int64(l.Min) * pageSize, Imported: imported, Shared: l.Shared}
		if l.HasMax {
			info.Memory.Max = int64(l.Max) * pageSize
		}
	}
	for _, t := range mod.Tables[:min(len(mod.Tables), maxShown)] {
		table := abi.TableInfo{Type: t.Type.String(), Min: int64(t.Limits.Min)}
		if t.Limits.HasMax {
			table.Max = int64(t.Limits.Max)
		}
		info.Tables = append(info.Tables, table)
	}
	addCode(&info, mod, top)
	info.DWARF = mod.Custom(".debug_line") != nil
	if err != nil {
		return info, nil, err
	}
	pass, err := instrument.Rewrite(m.wasm, instrument.Config{StackBytes: limits.Stack})
	if err != nil {
		return info, nil, abi.Errorf(abi.CodeRefused, "%s does not compile: %w", moduleWord(m.name), err)
	}
	info.NotPristine = pass.Reasons
	return info, pass, nil
}

// maxShown bounds each list in a description of a module.
const maxShown = 2000

// exportInfos describes the functions that a module exports; main tells that these are the plugin's.
func exportInfos(mod *wasm.Module, main bool) (list []abi.ExportInfo) {
	for _, e := range mod.Exports {
		if e.Kind != wasm.KindFunc {
			continue
		}
		if len(list) == maxShown {
			break
		}
		t := mod.FuncType(e.Index)
		x := abi.ExportInfo{Name: clip(e.Name, abi.MaxName), Type: clip(t.String(), abi.MaxName)}
		switch {
		case !main:
			x.Why = "only the functions of the main module are called"
		case e.Name == initFunction || strings.HasPrefix(e.Name, "__") || strings.HasPrefix(e.Name, "asyncify_"):
			x.Why = "it belongs to the toolchain"
		case len(t.Params) > 0:
			x.Why = "it has parameters; input comes through functions of the host"
		case len(t.Results) > 1 || len(t.Results) == 1 && t.Results[0] != wasm.I32:
			x.Why = "it has a result that is not one i32; output goes through functions of the host"
		case e.Name == startFunction && callable(mod) > 1:
			x.Why = "a command's start is not called where there are other functions"
		}
		x.Callable = x.Why == ""
		list = append(list, x)
	}
	return list
}

// callable counts the exports that have the type of functions that can be called.
func callable(mod *wasm.Module) int {
	var s shape
	s.addFunctions(mod)
	return len(s.functions)
}

// addCode measures the functions.
func addCode(info *abi.ModuleInfo, mod *wasm.Module, top int) {
	first := mod.ImportCount(wasm.KindFunc)
	info.Functions = len(mod.Funcs)
	code := make([]abi.FunctionBytes, len(mod.Codes))
	for k := range mod.Codes {
		code[k] = abi.FunctionBytes{Index: uint32(first + k), Size: int64(len(mod.Codes[k].Body))}
		info.CodeBytes += code[k].Size
	}
	slices.SortStableFunc(code, func(a, b abi.FunctionBytes) int { return cmp.Compare(b.Size, a.Size) })
	code = code[:max(0, min(len(code), top, maxShown))]
	names := map[uint32]string{}
	for _, n := range mod.FuncNames() {
		info.Names = true
		names[n.Index] = n.Name
	}
	for _, e := range mod.Exports {
		if e.Kind == wasm.KindFunc && names[e.Index] == "" {
			names[e.Index] = e.Name
		}
	}
	for k := range code {
		code[k].Name = fmt.Sprintf("func[%d]", code[k].Index)
		if name := names[code[k].Index]; name != "" {
			code[k].Name = clip(readableName(name), 2*abi.MaxName)
		}
	}
	info.Code = slices.Clone(code)
}

// importInfos tells what becomes of a module's imports.
func (r *resolved) importInfos(mod *wasm.Module, limits abi.Limits) (list []abi.ImportInfo) {
	modules := map[string]*wasm.Module{}
	for _, m := range r.modules {
		if m.name != mainModule {
			modules[m.name], _, _ = wasm.Survey(m.wasm) // what is wrong with it is told where it is described
		}
	}
	link := newLinker(modules, &r.manifest)
	for _, i := range mod.Imports[:min(len(mod.Imports), maxShown)] {
		x := abi.ImportInfo{Module: clip(i.Module, abi.MaxName), Name: clip(i.Name, abi.MaxName), Kind: i.Kind.String(), State: abi.ImportGranted}
		if i.Kind == wasm.KindFunc {
			x.Type = clip(mod.Types[i.TypeIndex].String(), abi.MaxName)
		}
		if _, ok, err := link.stub(mod, i); err != nil {
			x.State, x.Why = abi.ImportUnknown, abi.AsError(err).Message
		} else if ok {
			x.State, x.Why = abi.ImportStubbed, "taskhost.stub_imports in the manifest; calling it ends the call"
		} else if link.theirs(&i) {
			if !link.provided(&i) {
				x.State, x.Why = abi.ImportUnknown, "the module exports no such thing"
			}
		} else if why := importProblem(mod, &i); why != "" {
			x.State, x.Why = abi.ImportUnknown, why
		} else if why := deniedImport(&i, &r.manifest, limits); why != "" {
			x.State, x.Why = abi.ImportDenied, why
		}
		list = append(list, x)
	}
	return list
}

// deniedImport tells why a function that the host provides does nothing for this plugin.
func deniedImport(i *wasm.Import, m *abi.Manifest, limits abi.Limits) string {
	switch {
	case i.Module == abi.ModuleEnv && i.Name == "http_request" && len(m.AllowedHosts) == 0:
		return "no host is granted: allowed_hosts in the manifest"
	case i.Module == abi.ModuleEnv && i.Name == "var_set" && limits.Vars < 0:
		return "memory.max_var_bytes in the manifest is 0"
	case i.Module == abi.ModuleWASI && strings.HasPrefix(i.Name, "path_") && len(m.AllowedPaths) == 0:
		return "no folder is granted: allowed_paths in the manifest"
	case i.Module == abi.ModuleWASI && strings.HasPrefix(i.Name, "sock_"):
		return "there are no sockets; HTTP goes through http_request"
	}
	return ""
}

// ReadFile reads a module's file, which may have any name and stand anywhere, with the manifest beside it: the .json file of the same name,
// which may be missing. limit bounds both. When the manifest cannot be used the error says why, and the source is what it is without.
func ReadFile(path string, limit int64) (Source, error) {
	src := Source{Path: path, Base: filepath.Dir(path)}
	var err error
	if src.Wasm, err = readFile(path, limit); err != nil {
		return src, err
	}
	file := strings.TrimSuffix(path, filepath.Ext(path)) + ".json"
	data, err := readFile(file, manifestLimit(limit))
	if errors.Is(err, fs.ErrNotExist) {
		return src, nil
	}
	if err != nil {
		return src, err
	}
	m, err := ParseManifest(filepath.Base(file), data)
	if err != nil {
		return src, err
	}
	src.Manifest = m
	return src, nil
}
