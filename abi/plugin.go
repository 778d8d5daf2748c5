package abi

import "time"

// PluginForm is how a plugin is called.
type PluginForm string

// The forms of plugins.
const (
	FormExtism PluginForm = "extism" // functions are exports; input and output go through the kernel
	FormWASI   PluginForm = "wasi"   // a command: stdin to stdout, exit code
	FormScript PluginForm = "script" // a file that an interpreter runs; its functions are those that the script exports

	FormInterpreter PluginForm = "interpreter" // it runs scripts, and has no function of its own
)

// PluginInfo is everything that a host knows of a plugin. It is a copy.
type PluginInfo struct {
	Name     string      `json:"name"`
	State    PluginState `json:"state"`
	Error    string      `json:"error,omitempty"` // why the newest file was refused; the version before may be current
	Path     string      `json:"path,omitempty"`  // the file it came from; empty: it came by Swap
	Digest   Digest      `json:"digest,omitempty"`
	LoadedAt time.Time   `json:"loaded_at,omitzero"`

	Form        PluginForm     `json:"form,omitempty"`
	Toolchain   string         `json:"toolchain,omitempty"` // as the module's producers section tells, such as "Go 1.26.8"; of a script its interpreter
	Size        int64          `json:"size"`                // bytes of all modules, or of the script
	Description string         `json:"description,omitempty"`
	Functions   []FunctionInfo `json:"functions,omitempty"`
	Default     string         `json:"default,omitempty"` // the function that runs when none is named
	Imports     []string       `json:"imports,omitempty"` // module.name, sorted
	// StubbedImports are those of Imports that nobody provides: the manifest's taskhost.stub_imports let the plugin load without them.
	StubbedImports []string          `json:"stubbed_imports,omitempty"`
	Limits         Limits            `json:"limits"`
	Isolation      Isolation         `json:"isolation,omitempty"`
	Sandbox        string            `json:"sandbox,omitempty"` // how the isolation is reached, and why so
	MaxInstances   int               `json:"max_instances,omitempty"`
	Instances      int               `json:"instances"` // that exist now
	Running        int               `json:"running"`   // calls now
	Config         map[string]string `json:"config,omitempty"`
	AllowedHosts   []string          `json:"allowed_hosts,omitempty"`
	AllowedPaths   map[string]string `json:"allowed_paths,omitempty"`
	Hints          []string          `json:"hints,omitempty"`    // what its author may want to change, a sentence each, with what to do
	Versions       []VersionInfo     `json:"versions,omitempty"` // newest first
	Modules        []ModuleInfo      `json:"modules,omitempty"`  // what it is made of, main last; only where that was asked for
}

// PluginState is whether a plugin can be called.
type PluginState string

// The states of plugins.
const (
	StateReady   PluginState = "ready"   // the newest file is current
	StateStale   PluginState = "stale"   // the newest file was refused; an older version is current
	StateRefused PluginState = "refused" // the file was refused and there is no older version
)

// FunctionInfo describes a function that can be called.
type FunctionInfo struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// VersionInfo is one version of a plugin that a host still holds.
type VersionInfo struct {
	Digest   Digest    `json:"digest"`
	LoadedAt time.Time `json:"loaded_at"`
	Current  bool      `json:"current"`
	Running  int       `json:"running"` // calls on this version now
	Size     int64     `json:"size"`
}

// PluginUsage is what the calls of a plugin cost together since the host was started. A failed call counts, too.
type PluginUsage struct {
	Calls  uint64 `json:"calls"`
	Errors uint64 `json:"errors"` // calls that failed or were stopped
	Usage         // sums; the peak is that of the largest call
}
