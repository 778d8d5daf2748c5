package host

import "github.com/taskhost/taskhost/abi"

// What a host tells of its plugins is made of values of package abi, so that a program which only talks to a host needs no engine.
type (
	// PluginInfo is everything the host knows of a plugin. It is a copy.
	PluginInfo = abi.PluginInfo
	// VersionInfo is one version of a plugin that the host still holds.
	VersionInfo = abi.VersionInfo
	// FunctionInfo describes a function that can be called.
	FunctionInfo = abi.FunctionInfo
	// State is whether a plugin can be called.
	State = abi.PluginState
	// Form is how a plugin is called.
	Form = abi.PluginForm
)

// The forms of plugins.
const (
	FormExtism = abi.FormExtism // functions are exports; input and output go through the kernel
	FormWASI   = abi.FormWASI   // a command: stdin to stdout, exit code
	FormScript = abi.FormScript // a file that an interpreter runs; its functions are those that the script exports

	FormInterpreter = abi.FormInterpreter // it runs scripts, and has no function of its own
)

// The states of plugins.
const (
	StateReady   = abi.StateReady   // the newest file is current
	StateStale   = abi.StateStale   // the newest file was refused; an older version is current
	StateRefused = abi.StateRefused // the file was refused and there is no older version
)
