package host

import (
	"context"
	"log/slog"
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/kernel"
)

// The functions of extism:host/env that need Go; the kernel has the others. They end the guest's call by a panic with an
// *abi.Error, which wazero hands back as the call's error.

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
	f64 = api.ValueTypeF64
)

// hostFunc is a function for guests. The instance is the caller's; parameters are on the stack, results go there.
type hostFunc struct {
	name            string
	params, results []api.ValueType
	do              func(i *instance, stack []uint64)
}

// instantiateHostModule makes the functions importable.
func instantiateHostModule(ctx context.Context, rt wazero.Runtime, module string, funcs []hostFunc, add func(wazero.HostModuleBuilder)) error {
	b := rt.NewHostModuleBuilder(module)
	for _, f := range funcs {
		do := f.do
		b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) {
			do(instanceOf(ctx), stack)
		}), f.params, f.results).Export(f.name)
	}
	if add != nil {
		add(b)
	}
	_, err := b.Instantiate(ctx)
	return err
}

type types = []api.ValueType

func kernelImports() []hostFunc {
	funcs := []hostFunc{
		{kernel.FaultFunc, types{i32, i64, i64}, nil, fault},
		{yieldFunc, nil, nil, yield},
		{stubFunc, types{i32}, nil, stubCalled},
		{"config_get", types{i64}, types{i64}, configGet},
		{"var_get", types{i64}, types{i64}, varGet},
		{"var_set", types{i64, i64}, nil, varSet},
		{"http_request", types{i64, i64}, types{i64}, httpRequest},
		{"http_status_code", nil, types{i32}, httpStatusCode},
		{"http_headers", nil, types{i64}, httpHeaders},
		{"get_log_level", nil, types{i32}, getLogLevel},
	}
	for _, l := range logLevels {
		funcs = append(funcs, hostFunc{"log_" + l.name, types{i64}, nil, func(i *instance, stack []uint64) {
			if i.takesLog(l.level) {
				if err := i.guestLog(l.level, i.block("log_"+l.name, stack[0])); err != nil {
					panic(err)
				}
			}
		}})
	}
	return funcs
}

// logLevels are Extism's, in the order of their numbers.
var logLevels = []struct {
	name  string
	level slog.Level
}{
	{"trace", slog.LevelDebug - 4},
	{"debug", slog.LevelDebug},
	{"info", slog.LevelInfo},
	{"warn", slog.LevelWarn},
	{"error", slog.LevelError},
}

// block is a view of the block at off.
func (i *instance) block(function string, off uint64) []byte {
	b, ok := i.kernel.Block(off)
	if !ok {
		panic(abi.Errorf(abi.CodeTrap, "%s: there is no block at offset %d", function, off))
	}
	return b
}

// put allocates a block that holds b.
func (i *instance) put(b []byte) uint64 {
	off, err := i.kernel.Put(&i.ctx, b)
	if err != nil {
		panic(abi.AsError(err))
	}
	return off
}

// free gives a block back.
func (i *instance) free(off uint64) {
	if err := i.kernel.Free(&i.ctx, off); err != nil {
		panic(abi.AsError(err))
	}
}

func fault(i *instance, stack []uint64) {
	function, off, n := uint32(stack[0]), stack[1], stack[2]
	if function == 0 {
		panic(abi.Errorf(abi.CodeKernelMemoryLimit,
			"input, output and messages need more than %d bytes (alloc of %d); raise taskhost.max_kernel_bytes in the manifest", i.v.limits.KernelMemory, n))
	}
	panic(abi.Errorf(abi.CodeTrap, "%s: %d bytes at offset %d are out of bounds", kernel.FaultName(function), n, off))
}

func configGet(i *instance, stack []uint64) {
	key := i.block("config_get", stack[0])
	var value string
	var ok bool
	if i.call != nil {
		value, ok = i.call.Config[string(key)]
	}
	if !ok {
		value, ok = i.v.config[string(key)]
	}
	stack[0] = 0
	if ok {
		stack[0] = i.put([]byte(value))
	}
}

func getLogLevel(i *instance, stack []uint64) {
	stack[0] = math.MaxInt32 // off
	for n, l := range logLevels {
		if i.takesLog(l.level) {
			stack[0] = uint64(n)
			return
		}
	}
}
