package host

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/kernel"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// The names under which modules import what does not come from the module that they name. Guests cannot import from them: the prefix is
// reserved.
const (
	stubModule   = "taskhost:stubs" // the version's stubs, each by its number
	userProvider = "taskhost:user"  // the manifest's module that is named as taskhost's own functions are
)

// stub stands in for a function that a module imports and nobody provides.
type stub struct {
	module, name string
	typ          wasm.FuncType
}

func (s stub) String() string { return s.module + "." + s.name }

// key is equal for two stubs if one serves for both.
func (s stub) key() string { return s.module + "\x00" + s.name + "\x00" + s.typ.String() }

// linker decides where a version's modules get their imports from.
type linker struct {
	exports map[string]map[string]bool // of the version's modules, main apart, by their names
	stubbed []string                   // the manifest's taskhost.stub_imports
}

// newLinker describes what the modules of a version, by their names, find.
func newLinker(modules map[string]*wasm.Module, m *abi.Manifest) linker {
	l := linker{exports: map[string]map[string]bool{}}
	if m.Taskhost != nil {
		l.stubbed = m.Taskhost.StubImports
	}
	for name, mod := range modules {
		if name == mainModule {
			continue
		}
		l.exports[name] = make(map[string]bool, len(mod.Exports))
		for _, e := range mod.Exports {
			l.exports[name][e.Name] = true
		}
	}
	return l
}

// provided tells whether the host or another of the version's modules has what is imported. Whether its type is right is not asked.
func (l linker) provided(i wasm.Import) bool {
	switch i.Module {
	case abi.ModuleEnv:
		return slices.Contains(envFunctions, i.Name)
	case abi.ModuleWASI:
		return slices.Contains(wasiFunctions, i.Name)
	case abi.ModuleUser:
		return slices.Contains(userFunctions, i.Name) || l.exports[i.Module][i.Name]
	}
	return l.exports[i.Module][i.Name]
}

// stub makes a stub for an import that nobody provides, if the manifest wants it; ok is false for all others.
func (l linker) stub(mod *wasm.Module, i wasm.Import) (s stub, ok bool, err error) {
	full := i.Module + "." + i.Name
	if !slices.ContainsFunc(l.stubbed, func(p string) bool { return wildcard(p, full) }) || l.provided(i) {
		return stub{}, false, nil
	}
	if i.Kind != wasm.KindFunc {
		return stub{}, false, abi.Errorf(abi.CodeRefused, "it imports the %s %q of module %q, which nobody provides; taskhost.stub_imports stands in for functions alone",
			i.Kind, i.Name, i.Module)
	}
	t := mod.Types[i.TypeIndex]
	for _, v := range slices.Concat(t.Params, t.Results) {
		if v.Heap >= 0 && (v.Code == wasm.CodeRef || v.Code == wasm.CodeRefNull) {
			return stub{}, false, abi.Errorf(abi.CodeRefused, "it imports the function %q of module %q, whose signature has a type of the module's own: taskhost.stub_imports cannot stand in for it",
				i.Name, i.Module)
		}
	}
	return stub{i.Module, i.Name, wasm.FuncType{Params: t.Params, Results: t.Results}}, true, nil
}

// wildcard tells whether s matches the pattern, in which * stands for any bytes. It takes time in proportion to their lengths' product at
// most.
func wildcard(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(s, part)
		}
		at := strings.Index(s, part)
		if at < 0 {
			return false
		}
		s, rest = s[at+len(part):], more
	}
}

// relink is the module with its imports named by where they come from: stubs and what a module of the manifest adds to taskhost's own
// functions. Most modules have neither and stay as they are.
func (s *shape) relink(m module) module {
	if len(s.stubs) == 0 && !s.userProvided {
		return m
	}
	mod, err := wasm.Decode(m.wasm)
	if err != nil {
		return m // it was decoded before
	}
	changed := false
	for n := range mod.Imports {
		i := &mod.Imports[n]
		if i.Kind == wasm.KindFunc {
			if number, ok := s.stubNumbers[stub{i.Module, i.Name, mod.Types[i.TypeIndex]}.key()]; ok {
				i.Module, i.Name, changed = stubModule, strconv.Itoa(number), true
				continue
			}
		}
		if s.userProvided && i.Module == abi.ModuleUser && !slices.Contains(userFunctions, i.Name) {
			i.Module, changed = userProvider, true
		}
	}
	if changed {
		m.wasm = mod.Encode()
	}
	return m
}

// addStub notes a stub, once.
func (s *shape) addStub(new stub) {
	if _, known := s.stubNumbers[new.key()]; !known {
		if s.stubNumbers == nil {
			s.stubNumbers = map[string]int{}
		}
		s.stubNumbers[new.key()] = len(s.stubs)
		s.stubs = append(s.stubs, new)
	}
}

// stubFunc is the function of the kernel's host module that stubs call with their number.
const stubFunc = "stub"

// standIn is the module that exports a version's stubs, each by its number. All instances link to it.
type standIn struct {
	compiled wazero.CompiledModule
	module   api.Module
}

func (s *standIn) close() {
	_ = s.module.Close(context.Background())
	_ = s.compiled.Close(context.Background())
}

func (h *Host) instantiateStubs(ctx context.Context, stubs []stub) (*standIn, error) {
	m := wasm.Module{
		Types:   []wasm.FuncType{{Params: []wasm.ValType{wasm.I32}}},
		Imports: []wasm.Import{{Module: kernel.HostModule, Name: stubFunc, Kind: wasm.KindFunc}},
	}
	for n, s := range stubs {
		body := wasm.AppendS64([]byte{byte(wasm.OpI32Const)}, int64(n))
		body = append(body, byte(wasm.OpCall), 0, byte(wasm.OpUnreachable), byte(wasm.OpEnd))
		m.Types = append(m.Types, s.typ)
		m.Funcs = append(m.Funcs, uint32(n+1))
		m.Codes = append(m.Codes, wasm.Code{Body: body})
		m.Exports = append(m.Exports, wasm.Export{Name: strconv.Itoa(n), Kind: wasm.KindFunc, Index: uint32(n + 1)})
	}
	c, err := h.compileModule(ctx, m.Encode())
	if err != nil {
		return nil, err
	}
	i, err := h.runtime.InstantiateModule(ctx, c, h.anonymous)
	if err != nil {
		_ = c.Close(ctx)
		return nil, err
	}
	return &standIn{c, i}, nil
}

// stubCalled ends the call of a guest that calls what nobody provides.
func stubCalled(i *instance, stack []uint64) {
	s := i.v.stubs[uint32(stack[0])]
	panic(abi.Errorf(abi.CodeDenied,
		"it calls the function %q of module %q, which nobody provides: taskhost.stub_imports stands in for it; name a module %q in the manifest's wasm that exports it, or do without what needs it",
		clip(s.name, abi.MaxName), clip(s.module, abi.MaxName), clip(s.module, abi.MaxName)))
}

// wasiFunctions are those of WASI preview 1.
var wasiFunctions = []string{
	"args_get", "args_sizes_get", "clock_res_get", "clock_time_get", "environ_get", "environ_sizes_get", "fd_advise", "fd_allocate",
	"fd_close", "fd_datasync", "fd_fdstat_get", "fd_fdstat_set_flags", "fd_fdstat_set_rights", "fd_filestat_get", "fd_filestat_set_size",
	"fd_filestat_set_times", "fd_pread", "fd_prestat_dir_name", "fd_prestat_get", "fd_pwrite", "fd_read", "fd_readdir", "fd_renumber",
	"fd_seek", "fd_sync", "fd_tell", "fd_write", "path_create_directory", "path_filestat_get", "path_filestat_set_times", "path_link",
	"path_open", "path_readlink", "path_remove_directory", "path_rename", "path_symlink", "path_unlink_file", "poll_oneoff", "proc_exit",
	"proc_raise", "random_get", "sched_yield", "sock_accept", "sock_recv", "sock_send", "sock_shutdown",
}

// stubNames are the stubs as module.name, sorted.
func (s *shape) stubNames() []string {
	names := make([]string, 0, len(s.stubs))
	for _, stub := range s.stubs {
		names = append(names, stub.String())
	}
	slices.Sort(names)
	return slices.Compact(names)
}
