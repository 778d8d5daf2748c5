package abi

import "time"

// Manifest is the JSON file beside a plugin's .wasm file, with the same base name: Extism's manifest, and one object "taskhost" for
// what Extism has no word for. It is optional: the zero Manifest is what a bare .wasm gets.
// See https://extism.org/docs/concepts/manifest.
type Manifest struct {
	// Wasm lists the modules. Empty: the .wasm file beside the manifest. With several, the one named "main", else the last, is the
	// main module, and imports functions of the others by their names.
	Wasm   []ManifestWasm  `json:"wasm,omitempty"`
	Memory *ManifestMemory `json:"memory,omitempty"`
	// Config is what config_get sees.
	Config map[string]string `json:"config,omitempty"`
	// AllowedHosts are the hosts that http_request may reach: names, addresses, or patterns with *. Default: none.
	// Loopback and link-local addresses are reached only when listed by name, not through a pattern.
	AllowedHosts []string `json:"allowed_hosts,omitempty"`
	// AllowedPaths grants folders: path on the host to path in the guest. "ro:" before the host's path makes it read-only.
	// A relative path on the host is relative to the manifest. Default: none.
	AllowedPaths map[string]string `json:"allowed_paths,omitempty"`
	// TimeoutMS bounds the run time of one call, in milliseconds. Default: the host's limit.
	TimeoutMS uint64 `json:"timeout_ms,omitempty"`

	Taskhost *ManifestTaskhost `json:"taskhost,omitempty"`
}

// ManifestWasm is one module of a manifest: a path (relative to the manifest) or the bytes themselves in base64.
type ManifestWasm struct {
	Path string `json:"path,omitempty"`
	Data []byte `json:"data,omitempty"`
	Hash string `json:"hash,omitempty"` // hexadecimal SHA-256 that the module must have
	Name string `json:"name,omitempty"`
}

// ManifestMemory bounds memory.
type ManifestMemory struct {
	MaxPages             uint32 `json:"max_pages,omitempty"`               // linear memory in pages of 64 KiB; default: the host's limit
	MaxHTTPResponseBytes *int64 `json:"max_http_response_bytes,omitempty"` // default: the host's limit
	MaxVarBytes          *int64 `json:"max_var_bytes,omitempty"`           // names and values of all vars; 0: no vars; default: 1 MiB
}

// ManifestTaskhost is what Extism's manifest has no word for.
type ManifestTaskhost struct {
	Description string `json:"description,omitempty"`
	// Isolation is what one call can see of the one before. Default: IsolationPristine.
	Isolation Isolation `json:"isolation,omitempty"`
	// MaxInstances bounds how many calls of this plugin run at once. Default: the host's MaxInstances.
	MaxInstances int `json:"max_instances,omitempty"`
	// MaxOutputBytes bounds the output of one call. Default: the host's limit.
	MaxOutputBytes int64 `json:"max_output_bytes,omitempty"`
	// MaxKernelBytes bounds what one call can hold in the kernel's memory: input, output, messages. Default: the host's limit.
	MaxKernelBytes int64 `json:"max_kernel_bytes,omitempty"`
	// MaxLogBytes bounds what one call can log. Default: the host's limit.
	MaxLogBytes int64 `json:"max_log_bytes,omitempty"`
	// MaxFuel bounds what one call may cost, in ticks (see Usage.Ticks); for each module, where there are several. Default: the host's
	// limit.
	MaxFuel int64 `json:"max_fuel,omitempty"`
	// MaxStackBytes bounds the stack of one call. Default: the host's limit.
	MaxStackBytes int64 `json:"max_stack_bytes,omitempty"`
	// CancelGraceMS is how long a guest that is cancelled, or whose time is over, may run on to tidy up: taskhost_cancelled tells it.
	// In milliseconds, at most 10000. Default: 0, it is stopped where it is.
	CancelGraceMS int `json:"cancel_grace_ms,omitempty"`
	// Args and Env are given to a WASI command. Default: the plugin's name alone, and no environment.
	Args []string          `json:"args,omitempty"`
	Env  map[string]string `json:"env,omitempty"`
	// StubImports are functions that a module imports, does not need, and nobody provides: MODULE.NAME, in which * stands for anything.
	// What stands in for them ends the call with CodeDenied when it is called. It takes the place of nothing that is there.
	// Default: none, and such a module is refused.
	StubImports []string `json:"stub_imports,omitempty"`
	// Interprets makes the module an interpreter: a file of the plugin folder whose name ends in one of these, such as ".js", is a plugin that
	// it runs. It exports taskhost_script_load and taskhost_script_call, see [FuncScriptLoad], and no function of its own is called.
	Interprets []string `json:"interprets,omitempty"`
	// HideInput keeps the head of the input out of the detail of errors. Default: it is shown, to those who may see the task.
	HideInput bool `json:"hide_input,omitempty"`
	// Functions describes functions, by name. When it is there, only these can be called.
	Functions map[string]ManifestFunction `json:"functions,omitempty"`
}

// ManifestFunction describes one function.
type ManifestFunction struct {
	Description string `json:"description,omitempty"`
}

// Isolation is what one call of a plugin can see of the calls before it.
type Isolation string

// The isolations.
const (
	// IsolationPristine: every call finds the sandbox exactly as it was after initialisation. The default.
	IsolationPristine Isolation = "pristine"
	// IsolationReuse: an instance serves one call after another, and what a call leaves in memory or in vars is there for the next.
	IsolationReuse Isolation = "reuse"
	// IsolationFresh: every call gets an instance made for it, initialisation included.
	IsolationFresh Isolation = "fresh"
)

// Limits bound what one call of a plugin may use. The zero value of a field means its default; a manifest may set its own.
type Limits struct {
	Memory       int64         `json:"memory_bytes"`        // linear memories, bytes; default 256 MiB
	KernelMemory int64         `json:"kernel_memory_bytes"` // input, output, vars, messages: bytes; default 64 MiB, at most 4 GiB
	Output       int64         `json:"output_bytes"`        // bytes; default 16 MiB
	Log          int64         `json:"log_bytes"`           // bytes of messages for one call; default 1 MiB
	Stack        int64         `json:"stack_bytes"`         // of native code, by an estimate on the safe side: bytes; default 32 MiB
	Fuel         int64         `json:"fuel_ticks"`          // what one call may cost; default 0: as much as its run time allows
	RunTime      time.Duration `json:"run_time_ns"`         // default 5 minutes
	Module       int64         `json:"module_bytes"`        // size of one module file; default 64 MiB; set by the host alone
	HTTPResponse int64         `json:"http_response_bytes"` // body of one response, bytes; default 16 MiB
	Vars         int64         `json:"vars_bytes"`          // names and values of all vars; default 1 MiB; negative: no vars
}

// DefaultLimits are the limits of a host that sets none.
func DefaultLimits() Limits {
	return Limits{
		Memory:       256 << 20,
		KernelMemory: 64 << 20,
		Output:       16 << 20,
		Log:          1 << 20,
		Stack:        32 << 20,
		RunTime:      5 * time.Minute,
		Module:       64 << 20,
		HTTPResponse: 16 << 20,
		Vars:         1 << 20,
	}
}
