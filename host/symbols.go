package host

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/symbol"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// symbols finds the names and lines of a version's code. Nothing is kept for that before the first error; then the source is read again,
// and what was found is remembered.
type symbols struct {
	mu      sync.Mutex // one at a time: errors may come in crowds
	natives []native   // of the version's modules; empty: not read yet
	lines   []bool     // which of them have debug information; empty: not known yet
	known   map[site][]symbol.Frame
	spent   time.Duration
}

// site is a place in a version's machine code. The offset is 0 where lines are not to be had.
type site struct {
	module, function int // function: of those that the module defines
	offset           uintptr
}

const (
	maxSites       = 1024             // that are remembered
	maxSymbolsTime = 20 * time.Second // what a version may cost in all; after that errors have the engine's names alone
	maxCutTime     = 5 * time.Second  // for compiling functions again
)

// read reads the places of the modules' machine code from an instance.
func (s *symbols) read(i *instance) bool {
	if len(s.natives) > 0 {
		return true
	}
	natives := make([]native, len(i.modules))
	for n, m := range i.modules {
		for name := range m.ExportedFunctionDefinitions() {
			natives[n], _ = nativeOf(m.ExportedFunction(name))
			break
		}
	}
	if len(natives) < len(i.v.modules) { // not all of them are there yet
		s.natives = nil
		return false
	}
	s.natives = natives
	return true
}

// site finds an address.
func (s *symbols) site(pc uintptr) (site, bool) {
	for n := range s.natives {
		if f, offset, ok := s.natives[n].find(pc); ok {
			return site{n, f, offset}, true
		}
	}
	return site{}, false
}

// resolve names the sites, as far as that can be done. Functions that the pass has added have no frames.
func (s *symbols) resolve(v *version, sites []site) (map[site][]symbol.Frame, error) {
	if len(s.lines) == 0 || s.missing(sites) {
		if s.spent > maxSymbolsTime {
			return nil, fmt.Errorf("the version has used up its time for names")
		}
		began := time.Now()
		defer func() { s.spent += time.Since(began) }()
		if len(s.known) > maxSites {
			s.known = nil
		}
		if err := s.look(v, sites); err != nil {
			return nil, err
		}
	}
	found := make(map[site][]symbol.Frame, len(sites))
	for _, at := range sites {
		found[at] = s.known[s.key(at)]
	}
	return found, nil
}

func (s *symbols) key(at site) site {
	if at.module < len(s.lines) && !s.lines[at.module] {
		at.offset = 0
	}
	return at
}

func (s *symbols) missing(sites []site) bool {
	for _, at := range sites {
		if _, ok := s.known[s.key(at)]; !ok {
			return true
		}
	}
	return false
}

// look reads the version's source again and remembers what it says of the sites.
func (s *symbols) look(v *version, sites []site) error {
	full, err := v.source.unstash()
	if err != nil {
		return err
	}
	modules := make([]*wasm.Module, len(full.modules))
	for n, m := range full.modules {
		if modules[n], err = wasm.Decode(m.wasm); err != nil {
			return err
		}
	}
	if len(s.lines) == 0 {
		s.lines = make([]bool, len(modules))
		for n, m := range modules {
			s.lines[n] = symbol.HasLines(m)
		}
	}
	if s.known == nil {
		s.known = map[site][]symbol.Frame{}
	}
	for n, m := range modules {
		of := map[site]bool{}
		for _, at := range sites {
			if _, ok := s.known[s.key(at)]; at.module == n && !ok {
				of[s.key(at)] = true
			}
		}
		if len(of) > 0 {
			s.lookIn(m, full.modules[n].wasm, v.limits.Stack, of)
		}
	}
	return nil
}

// lookIn remembers what one module says of its sites.
func (s *symbols) lookIn(m *wasm.Module, bin []byte, stack int64, sites map[site]bool) {
	names := functionNames(m)
	imports := m.ImportCount(wasm.KindFunc)
	var places map[site][]symbol.Frame
	for at := range sites {
		if s.lines[at.module] {
			places = s.places(m, bin, stack, sites)
		}
		break
	}
	for at := range sites {
		if at.function >= len(m.Codes) { // the pass's
			s.known[at] = nil
			continue
		}
		frames := places[at]
		if len(frames) == 0 {
			frames = []symbol.Frame{{}}
		}
		own := &frames[len(frames)-1]
		name := names[uint32(imports+at.function)]
		if name != "" && !(own.Func != "" && strings.HasPrefix(name, "__")) { // such as __original_main, which is main
			own.Func = symbol.Demangle(name)
		}
		if own.Func == "" {
			own.Func = fmt.Sprintf("function %d", imports+at.function)
		}
		s.known[at] = frames
	}
}

// functionNames are the names of a module's functions by their indices: those of the name section, else those of exports.
func functionNames(m *wasm.Module) map[uint32]string {
	names := map[uint32]string{}
	for _, e := range m.Exports {
		if e.Kind == wasm.KindFunc {
			names[e.Index] = e.Name
		}
	}
	for _, f := range m.FuncNames() {
		if f.Name != "" {
			names[f.Index] = f.Name
		}
	}
	return names
}

// places finds the sites of a module in its source. The functions are compiled once more, with the engine's record of which machine
// code comes from where: that takes milliseconds, and to keep the record for all functions would take as much memory as their code.
func (s *symbols) places(m *wasm.Module, bin []byte, stack int64, sites map[site]bool) map[site][]symbol.Frame {
	lines := symbol.Open(m)
	if lines == nil {
		return nil
	}
	var funcs []uint32
	for at := range sites {
		funcs = append(funcs, uint32(m.ImportCount(wasm.KindFunc)+at.function))
	}
	cut, err := instrument.Cut(bin, instrument.Config{StackBytes: stack}, funcs)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxCutTime)
	defer cancel()
	rt := wazero.NewRuntimeWithConfig(ctx, runtimeConfig())
	defer rt.Close(context.Background())
	c, err := compileCut(experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0)), rt, cut.Wasm)
	if err != nil {
		return nil
	}
	again, ok := sourceMapOf(c)
	if !ok {
		return nil
	}
	found := map[site][]symbol.Frame{}
	for at := range sites {
		if again.length(at.function) != s.natives[at.module].length(at.function) {
			continue // it is not the same code
		}
		if offset, ok := again.at(at.function, at.offset); ok {
			if origin, ok := cut.Origin(offset); ok {
				found[at] = lines.At(origin)
			}
		}
	}
	runtime.KeepAlive(c)
	return found
}

func compileCut(ctx context.Context, rt wazero.Runtime, wasm []byte) (c wazero.CompiledModule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &compilerPanic{r}
		}
	}()
	return rt.CompileModule(ctx, wasm)
}
