package host

import (
	"context"
	"encoding/json"
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/taskhost/taskhost/abi"
)

// The functions of extism:host/user, taskhost's own. The contract is in package abi.

func userImports() []hostFunc {
	metric := func(kind abi.MetricKind) func(i *instance, stack []uint64) {
		return func(i *instance, stack []uint64) { guestMetric(i, kind, stack) }
	}
	return []hostFunc{
		{abi.FuncProgress, types{i32, i32, f64, i64}, nil, func(i *instance, stack []uint64) {
			message := i.block(abi.FuncProgress, stack[3])
			i.progress(int32(stack[0]), int32(stack[1]), math.Float64frombits(stack[2]), message[:min(len(message), 4*abi.MaxProgressMessage)])
		}},
		{abi.FuncCancelled, nil, types{i32}, func(i *instance, stack []uint64) {
			stack[0] = 0
			if i.stop.interrupted() {
				stack[0] = 1
			}
		}},
		{abi.FuncMetricAdd, types{i64, f64, i64}, types{i64}, metric(abi.MetricAdd)},
		{abi.FuncMetricSet, types{i64, f64, i64}, types{i64}, metric(abi.MetricSet)},
		{abi.FuncMetricObserve, types{i64, f64, i64}, types{i64}, metric(abi.MetricObserve)},
		{abi.FuncInvalidInput, types{i64}, nil, func(i *instance, stack []uint64) {
			i.block(abi.FuncInvalidInput, stack[0])
			i.kernel.SetFailure(stack[0])
			i.badInput = true
		}},
		{abi.FuncCheckpointSave, types{i64}, types{i64}, checkpointSave},
		{abi.FuncCheckpointLoad, nil, types{i64}, checkpointLoad},
	}
}

// bulkParams are the parameters of the bulk copies: offset, pointer, length.
var bulkParams = types{i64, i32, i32}

// addBulkCopies adds the functions that need the memory of the module that calls.
func addBulkCopies(b wazero.HostModuleBuilder) {
	bulk := func(name string, copyBytes func(block, guest []byte)) {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
			i := instanceOf(ctx)
			off, ptr, n := stack[0], uint32(stack[1]), uint32(stack[2])
			block, ok := i.kernel.View(off, uint64(n))
			if !ok {
				panic(abi.Errorf(abi.CodeTrap, "%s: %d bytes at offset %d are out of bounds", name, n, off))
			}
			var guest []byte
			if mem := mod.Memory(); mem != nil {
				guest, ok = mem.Read(ptr, n)
			} else {
				ok = n == 0
			}
			if !ok {
				panic(abi.Errorf(abi.CodeTrap, "%s: %d bytes at the guest's address %d are out of bounds", name, n, ptr))
			}
			copyBytes(block, guest)
		}), bulkParams, nil).Export(name)
	}
	bulk(abi.FuncRead, func(block, guest []byte) { copy(guest, block) })
	bulk(abi.FuncWrite, func(block, guest []byte) { copy(block, guest) })
}

// guestMetric checks a metric and passes it on; the guest gets 0, or the offset of a message that says why it was rejected.
func guestMetric(i *instance, kind abi.MetricKind, stack []uint64) {
	m := abi.Metric{Kind: kind, Value: math.Float64frombits(stack[1])}
	name := i.block("taskhost_metric", stack[0])
	labels := i.block("taskhost_metric", stack[2])
	m.Name = string(name[:min(len(name), abi.MaxMetricName+1)])
	problem := ""
	if len(labels) > maxLabelsJSON {
		problem = "the labels are too long"
	} else if len(labels) > 0 {
		if err := json.Unmarshal(labels, &m.Labels); err != nil {
			problem = "the labels are not a JSON object with string values: " + err.Error()
		}
	}
	if problem == "" {
		problem = i.v.metrics.check(&m)
	}
	stack[0] = 0
	if problem != "" {
		stack[0] = i.put([]byte("metric " + clip(m.Name, abi.MaxMetricName) + ": " + problem))
		return
	}
	if on := i.v.host.cfg.OnEvent; on != nil {
		e := i.v.event(EventMetric)
		e.Metric = m
		if i.call != nil {
			e.Function, e.Task = i.call.Function, i.call.Task
		}
		on(e)
	}
}

// maxLabelsJSON bounds the labels of one call before they are decoded, in bytes.
const maxLabelsJSON = abi.MaxMetricLabels * (abi.MaxLabelName + 6*abi.MaxLabelValue + 8)
