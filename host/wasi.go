package host

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	wasi "github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// bareModule is the name under which WASI for plugins without folders is known to the runtime.
const bareModule = "taskhost:wasi"

// Errors of WASI preview 1.
const (
	wasiSuccess = 0
	wasiBadF    = 8
)

// leaveIfHalted ends the guest's call when it is to stop. One call of fd_write can have millions of pieces, each as large as the guest's
// memory, and no end that anybody would see: what the host does for each piece asks here first.
func (i *instance) leaveIfHalted() {
	for _, m := range i.modules {
		if m.control.Interrupted() {
			panic(errHalted)
		}
	}
}

// errHalted ends a call whose error is the reason why it was interrupted.
var errHalted = errors.New("the call was interrupted")

// random is the guest's source of random bytes.
type random struct{ i *instance }

func (r random) Read(p []byte) (int, error) {
	r.i.leaveIfHalted()
	p = p[:min(len(p), 64<<10)]
	r.i.drew += len(p)
	return rand.Read(p)
}

// guardedFS is a granted folder whose files end the guest's call when it is to stop.
type guardedFS struct {
	experimentalsys.FS
	i *instance
}

// OpenFile implements the method of the same name of experimentalsys.FS.
func (f guardedFS) OpenFile(path string, flag experimentalsys.Oflag, perm fs.FileMode) (experimentalsys.File, experimentalsys.Errno) {
	file, errno := f.FS.OpenFile(path, flag, perm)
	if errno != 0 {
		return file, errno
	}
	return guardedFile{file, f.i}, 0
}

type guardedFile struct {
	experimentalsys.File
	i *instance
}

func (f guardedFile) Read(p []byte) (int, experimentalsys.Errno) {
	f.i.leaveIfHalted()
	return f.File.Read(p)
}

func (f guardedFile) Pread(p []byte, off int64) (int, experimentalsys.Errno) {
	f.i.leaveIfHalted()
	return f.File.Pread(p, off)
}

func (f guardedFile) Write(p []byte) (int, experimentalsys.Errno) {
	f.i.leaveIfHalted()
	return f.File.Write(p)
}

func (f guardedFile) Pwrite(p []byte, off int64) (int, experimentalsys.Errno) {
	f.i.leaveIfHalted()
	return f.File.Pwrite(p, off)
}

// instantiateBareWASI is wazero's WASI, but for the functions that change what an instance cannot be put back from: they would close or
// renumber its files, or close the whole module when the guest exits. Without folders there are no files but the three standard ones.
func (h *Host) instantiateBareWASI(ctx context.Context) (api.Module, error) {
	b := h.runtime.NewHostModuleBuilder(bareModule)
	wasi.NewFunctionExporter().ExportFunctions(b)
	for _, f := range []hostFunc{
		{"proc_exit", types{i32}, nil, func(_ *instance, stack []uint64) {
			panic(sys.NewExitError(uint32(stack[0])))
		}},
		{"fd_close", types{i32}, types{i32}, func(i *instance, stack []uint64) {
			fd := uint32(stack[0])
			stack[0] = wasiBadF
			if fd < 3 && !i.stdio.closed[fd] {
				i.stdio.closed[fd] = true
				stack[0] = wasiSuccess
			}
		}},
		{"fd_renumber", types{i32, i32}, types{i32}, func(_ *instance, stack []uint64) { stack[0] = wasiBadF }},
		{"fd_fdstat_set_flags", types{i32, i32}, types{i32}, func(i *instance, stack []uint64) {
			fd := uint32(stack[0])
			stack[0] = wasiBadF
			if fd < 3 && !i.stdio.closed[fd] {
				stack[0] = wasiSuccess // blocking or not is the same here
			}
		}},
	} {
		b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) {
			f.do(instanceOf(ctx), stack)
		}), f.params, f.results).Export(f.name)
	}
	funcs, err := b.Instantiate(ctx)
	if err != nil {
		return nil, err
	}
	return h.instantiateShim(ctx, funcs)
}

// instantiateShim makes a Wasm module that exports the functions of a host module again: wazero links to the one, not to the other.
func (h *Host) instantiateShim(ctx context.Context, from api.Module) (api.Module, error) {
	var m wasm.Module
	defs := from.ExportedFunctionDefinitions()
	for n, name := range sortedKeys(defs) {
		m.Types = append(m.Types, funcType(defs[name]))
		m.Imports = append(m.Imports, wasm.Import{Module: from.Name(), Name: name, Kind: wasm.KindFunc, TypeIndex: uint32(n)})
		m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: wasm.KindFunc, Index: uint32(n)})
	}
	c, err := h.compileModule(ctx, m.Encode())
	if err != nil {
		return nil, err
	}
	return h.runtime.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName("").WithStartFunctions())
}

// wasiSignatures are the types of the functions of WASI that guests can import, by name.
var wasiSignatures = sync.OnceValue(func() map[string]string {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx)
	b := rt.NewHostModuleBuilder(bareModule)
	wasi.NewFunctionExporter().ExportFunctions(b)
	m, err := b.Compile(ctx)
	if err != nil {
		panic(err) // it is part of the engine
	}
	signatures := map[string]string{}
	for name, def := range m.ExportedFunctions() {
		signatures[name] = funcType(def).String()
	}
	return signatures
})

// funcType is the type of a function of the engine.
func funcType(def api.FunctionDefinition) (t wasm.FuncType) {
	for _, p := range def.ParamTypes() {
		t.Params = append(t.Params, wasm.ValType{Code: p})
	}
	for _, r := range def.ResultTypes() {
		t.Results = append(t.Results, wasm.ValType{Code: r})
	}
	return t
}
