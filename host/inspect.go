package host

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero/api"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/kernel"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// shape is what a version's modules show before they are compiled.
type shape struct {
	form      Form
	toolchain string
	functions []string // sorted
	def       string   // the function that runs when none is named; empty: there is no such choice
	memory    int64    // that the modules declare, in bytes
	imports   []string // module.name of all modules, sorted, without those among themselves
	debug     int64    // bytes of names and debug information

	stubs        []stub         // what stands in for imports that nobody provides
	stubNumbers  map[string]int // of the stubs, by their keys
	userProvided bool           // a module of the manifest is named abi.ModuleUser, and adds to taskhost's own functions
}

// The functions that guests can import, by module.
var (
	envFunctions = []string{
		"alloc", "free", "length", "length_unsafe", "load_u8", "load_u64", "store_u8", "store_u64",
		"input_length", "input_offset", "input_load_u8", "input_load_u64", "input_set",
		"output_set", "output_length", "output_offset", "error_set", "error_get", "reset", "memory_bytes",
		"config_get", "var_get", "var_set", "http_request", "http_status_code", "http_headers",
		"log_trace", "log_debug", "log_info", "log_warn", "log_error", "get_log_level",
	}
	userFunctions = []string{
		abi.FuncProgress, abi.FuncCancelled, abi.FuncMetricAdd, abi.FuncMetricSet, abi.FuncMetricObserve,
		abi.FuncInvalidInput, abi.FuncCheckpointSave, abi.FuncCheckpointLoad, abi.FuncRead, abi.FuncWrite,
	}
)

// hostSignatures are the types of the functions that guests can import from the host, by module.name.
var hostSignatures = sync.OnceValue(func() map[string]string {
	signatures := map[string]string{}
	k, err := wasm.Decode(kernel.Wasm)
	if err != nil {
		panic(err) // it is part of this package
	}
	for _, name := range envFunctions {
		if e, ok := k.Export(name); ok {
			signatures[abi.ModuleEnv+"."+name] = k.FuncType(e.Index).String()
		}
	}
	user := func(name string, params, results []api.ValueType) {
		var t wasm.FuncType
		for _, v := range params {
			t.Params = append(t.Params, wasm.ValType{Code: v})
		}
		for _, v := range results {
			t.Results = append(t.Results, wasm.ValType{Code: v})
		}
		signatures[abi.ModuleUser+"."+name] = t.String()
	}
	for _, f := range userImports() {
		user(f.name, f.params, f.results)
	}
	user(abi.FuncRead, bulkParams, nil)
	user(abi.FuncWrite, bulkParams, nil)
	return signatures
})

// reservedModule tells whether a manifest cannot name a module so.
func reservedModule(name string) bool {
	switch name {
	case abi.ModuleEnv, abi.ModuleWASI:
		return true
	}
	return strings.HasPrefix(name, "taskhost:")
}

// inspect checks a version's modules as far as that can be done without compiling them.
func inspect(r *resolved, limits abi.Limits) (shape, error) {
	var s shape
	modules := map[string]*wasm.Module{}
	for _, m := range r.modules {
		var err error
		if modules[m.name], err = decode(m); err != nil {
			return s, err
		}
	}
	link := newLinker(modules, &r.manifest)
	s.userProvided = modules[abi.ModuleUser] != nil
	for _, m := range r.modules {
		mod := modules[m.name]
		if l, imported, ok := mod.Memory(); ok && !imported {
			s.memory += int64(l.Min) * pageSize
		}
		s.debug += debugSize(mod)
		if err := s.addImports(mod, link); err != nil {
			return s, err
		}
		if m.name == mainModule {
			s.toolchain = toolchain(mod)
			s.addFunctions(mod)
		}
	}
	slices.Sort(s.imports)
	s.imports = slices.Compact(s.imports)
	if s.memory > limits.Memory {
		return s, memoryToStart(s.memory, limits.Memory)
	}
	if t := r.manifest.Taskhost; t != nil && len(t.Interprets) > 0 {
		if err := s.interprets(modules[mainModule], t.Interprets); err != nil {
			return s, err
		}
	} else if len(s.functions) == 0 {
		return s, abi.Errorf(abi.CodeRefused, "it exports no function that can be called: want one without parameters and with no result or one i32, or _start")
	}
	return s, s.applyManifest(&r.manifest)
}

func memoryToStart(need, limit int64) error {
	return abi.Errorf(abi.CodeMemoryLimit, "it needs %d bytes of memory to start, the limit is %d; raise memory.max_pages in the manifest", need, limit)
}

var componentMagic = []byte{0, 'a', 's', 'm', 0x0d, 0, 1, 0}

// moduleWord names a module in a message about its plugin.
func moduleWord(name string) string {
	if name == mainModule {
		return "it"
	}
	return "its module " + name
}

func decode(m module) (*wasm.Module, error) {
	what := moduleWord(m.name)
	switch {
	case bytes.HasPrefix(m.wasm, componentMagic):
		return nil, abi.Errorf(abi.CodeRefused, "%s is a component; taskhost runs core modules: build it for wasip1", what)
	case !bytes.HasPrefix(m.wasm, componentMagic[:4]):
		return nil, abi.Errorf(abi.CodeRefused, "%s is no WebAssembly: the file does not begin with \\0asm", what)
	}
	mod, err := wasm.Decode(m.wasm)
	if err != nil {
		return nil, abi.Errorf(abi.CodeRefused, "%s is not a valid module: %w", what, err)
	}
	return mod, nil
}

// addImports checks that somebody provides each import.
func (s *shape) addImports(mod *wasm.Module, link linker) error {
	first, problems := "", 0
	for i := range mod.Imports {
		imp := &mod.Imports[i]
		stub, ok, err := link.stub(mod, *imp)
		if err != nil {
			return err
		}
		if ok {
			s.addStub(stub)
		} else if link.theirs(imp) {
			continue
		} else if p := importProblem(mod, imp); p != "" {
			if problems++; problems == 1 {
				first = importText(imp) + p
			}
			continue
		}
		s.imports = append(s.imports, imp.Module+"."+imp.Name)
	}
	switch {
	case problems > 1:
		first += fmt.Sprintf(" (%d more imports are not there)", problems-1)
		fallthrough
	case problems == 1:
		return abi.Errorf(abi.CodeRefused, "it %s", first)
	}
	return nil
}

// addFunctions finds the exports that can be called, and with them the form.
func (s *shape) addFunctions(mod *wasm.Module) {
	var start bool
	for _, e := range mod.Exports {
		if e.Kind != wasm.KindFunc {
			continue
		}
		t := mod.FuncType(e.Index)
		if len(t.Params) > 0 || len(t.Results) > 1 || len(t.Results) == 1 && t.Results[0] != wasm.I32 {
			continue
		}
		switch {
		case e.Name == startFunction:
			start = true
		case e.Name == initFunction, strings.HasPrefix(e.Name, "__"), strings.HasPrefix(e.Name, "asyncify_"):
		default:
			s.functions = append(s.functions, e.Name)
		}
	}
	extism := s.importsOurs()
	s.form = FormExtism
	if start && len(s.functions) == 0 {
		s.functions = []string{startFunction}
		if !extism {
			s.form = FormWASI
		}
	}
	slices.Sort(s.functions)
}

// importsOurs tells whether the modules import functions of the kernel or of taskhost.
func (s *shape) importsOurs() bool {
	return slices.ContainsFunc(s.imports, func(i string) bool {
		return strings.HasPrefix(i, abi.ModuleEnv+".") || strings.HasPrefix(i, abi.ModuleUser+".")
	})
}

// applyManifest holds the functions to those that the manifest describes, and chooses the default.
func (s *shape) applyManifest(m *abi.Manifest) error {
	if t := m.Taskhost; t != nil && len(t.Functions) > 0 {
		for _, name := range sortedKeys(t.Functions) {
			if !slices.Contains(s.functions, name) {
				return abi.Errorf(abi.CodeRefused, "the manifest's taskhost.functions describes %q, which it does not have; it has %s",
					name, listed(s.functions))
			}
		}
		s.functions = sortedKeys(t.Functions)
	}
	switch {
	case slices.Contains(s.functions, defaultFunction):
		s.def = defaultFunction
	case len(s.functions) == 1:
		s.def = s.functions[0]
	}
	return nil
}

const (
	defaultFunction = "process"
	startFunction   = "_start"
	initFunction    = "_initialize"
)

// toolchain reads the producers section: the language and the tools that made the module, such as "Go 1.26.8" or "Rust, rustc 1.63.0".
// See https://github.com/WebAssembly/tool-conventions/blob/main/ProducersSection.md.
func toolchain(mod *wasm.Module) string {
	p := producers(mod.Custom("producers"))
	var parts []string
	for _, field := range []string{"language", "processed-by"} {
		for _, v := range p[field] {
			v, _, _ = strings.Cut(v, " (") // a commit or an address
			v = strings.Replace(v, "Go go", "Go ", 1)
			known := slices.ContainsFunc(parts, func(s string) bool {
				name, version, _ := strings.Cut(s, " ")
				return version != "" && strings.HasPrefix(v, name+" ")
			})
			if len(parts) < 3 && !known && !slices.Contains(parts, v) {
				parts = append(parts, v)
			}
		}
	}
	if len(parts) == 0 && mod.Custom("go:buildid") != nil {
		return "Go"
	}
	return strings.Join(parts, ", ")
}

// producers decodes the section leniently: what it cannot read it leaves out.
func producers(data []byte) map[string][]string {
	fields := map[string][]string{}
	number := func() int {
		n, size := binary.Uvarint(data)
		if size <= 0 {
			data = nil
			return 0
		}
		data = data[size:]
		return int(min(n, 1000))
	}
	text := func() string {
		n := min(number(), len(data))
		s := string(data[:n])
		data = data[n:]
		return strings.Map(printable, s[:min(n, 60)])
	}
	for n := number(); n > 0 && len(data) > 0; n-- {
		field := text()
		for k := number(); k > 0 && len(data) > 0; k-- {
			name, version := text(), text()
			fields[field] = append(fields[field], strings.TrimSpace(name+" "+version))
		}
	}
	return fields
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// listed is what a message shows of names: the first twenty, and not too much of each.
func listed(names []string) string {
	const most = 20
	if len(names) == 0 {
		return "none"
	}
	show := make([]string, 0, most+1)
	for _, n := range names[:min(len(names), most)] {
		show = append(show, clip(n, abi.MaxName))
	}
	if more := len(names) - most; more > 0 {
		show = append(show, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(show, ", ")
}

// didYouMean is " (did you mean X?)" if something in known is near to name.
func didYouMean(name string, known []string) string {
	best, at := 1+len(name)/3, ""
	for _, k := range known {
		if d := distance(name, k); d < best+1 && d <= 3 {
			best, at = d, k
		}
	}
	if at == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", at)
}

// distance is the Levenshtein distance, in bytes; names longer than 100 bytes are far from everything.
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 100
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			prev, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, prev+cost)
		}
	}
	return row[len(b)]
}
