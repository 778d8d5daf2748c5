package abi

// # Functions for guests
//
// A plugin is a core Wasm module. It reaches the host through imports of three modules; it needs none of them to be a plugin.
//
//   - "extism:host/env": all of Extism's host functions, so every plugin made with an Extism PDK runs unchanged.
//     See https://extism.org/docs/concepts/host-functions and the table in docs/guest-functions.md.
//   - "extism:host/user": taskhost's own functions, below. Every Extism PDK can import from this module.
//   - "wasi_snapshot_preview1": WASI preview 1, with nothing in it but clocks and randomness unless the manifest grants more.
//
// Strings cross as Extism memory offsets: an i64 that names a block which holds the bytes; 0 is the empty string.
// A block handed to one of our functions stays the guest's: the function reads it and does not free it.
//
// A function that can be called has no parameters and no result or one i32: 0 is success, everything else is failure, with the
// message that was set by error_set (or taskhost_invalid_input).
const (
	// ModuleEnv is the import module of Extism's functions.
	ModuleEnv = "extism:host/env"
	// ModuleUser is the import module of taskhost's own functions.
	ModuleUser = "extism:host/user"
	// ModuleWASI is the import module of WASI preview 1.
	ModuleWASI = "wasi_snapshot_preview1"

	// FuncProgress reports progress: (step i32, total i32, fraction f64, message i64).
	// step is the number of steps done, total how many there are (0: unknown), fraction is 0..1 and NaN to mean step/total,
	// message is an offset or 0. Values out of range are clamped. It never fails and is cheap: the host coalesces.
	FuncProgress = "taskhost_progress"

	// FuncCancelled tells whether the task is to stop: () -> i32, 0 or 1. A guest that sees 1 can tidy up and return;
	// one that never asks is stopped all the same.
	FuncCancelled = "taskhost_cancelled"

	// FuncMetricAdd adds to a counter: (name i64, value f64, labels i64) -> i64.
	// name matches [a-z][a-z0-9_]* in at most MaxMetricName bytes, value is finite and not negative, labels is an offset of a
	// JSON object with string values, or 0. The result is 0, or the offset of a message that says why it was rejected.
	// The metric shows as taskhost_plugin_<name> with a label plugin.
	FuncMetricAdd = "taskhost_metric_add"
	// FuncMetricSet sets a gauge; as FuncMetricAdd, the value may be negative.
	FuncMetricSet = "taskhost_metric_set"
	// FuncMetricObserve puts a value into a histogram; as FuncMetricAdd, the value may be negative.
	FuncMetricObserve = "taskhost_metric_observe"

	// FuncInvalidInput sets the error message as error_set does, and marks the failure as one of the input: CodeInvalid, which is
	// never retried: (message i64). The function must still return a non-zero value.
	FuncInvalidInput = "taskhost_invalid_input"

	// FuncCheckpointSave keeps a checkpoint, the state from which a later attempt of the task goes on: (state i64) -> i64.
	// state is the offset of a block of at most MaxCheckpoint bytes, which takes the place of the one saved before; an offset of 0 or an
	// empty block forgets it. The result is 0, or the offset of a message that says why it was not kept: it is too large, the call keeps
	// none (it is no attempt of a task), or the error of the store; the one before stays then. The function returns when the state is
	// stored as safely as the store can: a later attempt begins with it, also after a crash or on a newer version of the plugin.
	FuncCheckpointSave = "taskhost_checkpoint_save"
	// FuncCheckpointLoad gives the state that was saved last, by this attempt or an earlier one: () -> i64, the offset of a new block
	// that holds it, or 0 for none. The guest frees the block.
	FuncCheckpointLoad = "taskhost_checkpoint_load"

	// FuncRead copies from a block into the guest's own memory: (offset i64, pointer i32, length i32).
	// With FuncWrite it moves a whole input or output in one call, where Extism's functions move eight bytes.
	// A range out of bounds ends the call with a trap that says so.
	FuncRead = "taskhost_read"
	// FuncWrite copies from the guest's own memory into a block: (offset i64, pointer i32, length i32).
	FuncWrite = "taskhost_write"

	// FuncScriptLoad is an export of interpreters: (name_length i32) -> i32. It is called once for each script, after the module's own
	// initialisation. The input is the name of the script's file, of that many bytes, and after it the script's text. The output is the
	// names of the functions that can be called, each followed by a newline. A failure is reported as a function does that is called;
	// lines of its message after the first one are where in the script it happened, the innermost place first.
	FuncScriptLoad = "taskhost_script_load"
	// FuncScriptCall is an export of interpreters: (number i32) -> i32. It calls a function of the script, by the number of its line in the
	// output of FuncScriptLoad, from 0, and is otherwise a function like any other that can be called.
	FuncScriptCall = "taskhost_script_call"
)

// Bounds on what guests can make the host keep, for each plugin. Past them a metric function returns a message and keeps nothing.
const (
	MaxMetricName   = 64  // bytes of a metric's name
	MaxMetrics      = 64  // different names
	MaxMetricLabels = 8   // labels of one metric
	MaxLabelName    = 64  // bytes of a label's name
	MaxLabelValue   = 128 // bytes of a label's value
	MaxMetricSeries = 512 // different sets of label values over all metrics
)

// MaxCheckpoint bounds a checkpoint, in bytes. A larger one is not kept, and the guest is told.
const MaxCheckpoint = 64 << 10

// MetricKind is what a guest did with a metric.
type MetricKind string

// The kinds of metrics.
const (
	MetricAdd     MetricKind = "counter"
	MetricSet     MetricKind = "gauge"
	MetricObserve MetricKind = "histogram"
)

// Metric is one value that a guest reported; it was checked against the bounds above.
type Metric struct {
	Kind   MetricKind
	Name   string // without the prefix taskhost_plugin_
	Value  float64
	Labels map[string]string
}
