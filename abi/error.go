package abi

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Code says what kind of failure an [Error] is. It is the same word in Go, in logs, in metrics, over HTTP and in the CLI.
type Code string

// The codes. Each comment says who gets it and whether another attempt may help (see [Code.Temporary]).
const (
	// CodeInvalid: the input, the arguments, the manifest or the spec are wrong. Another attempt fails the same way.
	CodeInvalid Code = "invalid"
	// CodeNotFound: there is no such plugin, function, task or version.
	CodeNotFound Code = "not_found"
	// CodeRefused: the plugin's file is there, but the host did not accept it: not Wasm, a missing import, a bad manifest.
	CodeRefused Code = "refused"
	// CodeFailed: the plugin itself reported an error or a non-zero code. It may pass: a retry can help.
	CodeFailed Code = "failed"
	// CodeTrap: the guest trapped: unreachable, out of bounds, division by zero, an aborted runtime.
	CodeTrap Code = "trap"
	// CodeTimeout: the run time allowed to the call, the step or the task is over.
	CodeTimeout Code = "timeout"
	// CodeCancelled: somebody cancelled the task.
	CodeCancelled Code = "cancelled"
	// CodeShutdown: the host or the manager is stopping.
	CodeShutdown Code = "shutdown"
	// CodeLeaseLost: the worker lost its claim on the task; another worker has it.
	CodeLeaseLost Code = "lease_lost"
	// CodeMemoryLimit: the guest's linear memory hit its limit.
	CodeMemoryLimit Code = "memory_limit"
	// CodeKernelMemoryLimit: input, output, vars and messages of one call no longer fit into the kernel's memory.
	CodeKernelMemoryLimit Code = "kernel_memory_limit"
	// CodeOutputLimit: the output is larger than allowed.
	CodeOutputLimit Code = "output_limit"
	// CodeLogLimit: the guest logged more than allowed in one call.
	CodeLogLimit Code = "log_limit"
	// CodeModuleLimit: the plugin's file is larger than allowed.
	CodeModuleLimit Code = "module_limit"
	// CodeStackLimit: the guest's recursion is deeper than the stack allows.
	CodeStackLimit Code = "stack_limit"
	// CodeFuelLimit: the guest used up its budget of ticks.
	CodeFuelLimit Code = "fuel_limit"
	// CodeExpired: the task was not begun in the time that its spec allows.
	CodeExpired Code = "expired"
	// CodeDependency: a task that this one waits for did not complete.
	CodeDependency Code = "dependency"
	// CodeCrashed: the host went down several times in a row while the task ran.
	CodeCrashed Code = "crashed"
	// CodeQueueFull: the queue is at its bound. It may pass.
	CodeQueueFull Code = "queue_full"
	// CodeDenied: the guest asked for something that its manifest does not grant: a host, a file, a function that nobody provides.
	CodeDenied Code = "denied"
	// CodeUnavailable: something that the call needs did not answer. It may pass.
	CodeUnavailable Code = "unavailable"
	// CodeConflict: the thing changed since it was read, or is not in a state that allows this.
	CodeConflict Code = "conflict"
	// CodeClosed: the host or the manager is closed.
	CodeClosed Code = "closed"
	// CodeInternal: a fault of taskhost itself.
	CodeInternal Code = "internal"
)

// Codes lists every code, in the order of their declaration.
func Codes() []Code {
	return []Code{
		CodeInvalid, CodeNotFound, CodeRefused, CodeFailed, CodeTrap, CodeTimeout, CodeCancelled, CodeShutdown, CodeLeaseLost,
		CodeMemoryLimit, CodeKernelMemoryLimit, CodeOutputLimit, CodeLogLimit, CodeModuleLimit, CodeStackLimit, CodeFuelLimit,
		CodeExpired, CodeDependency, CodeCrashed, CodeQueueFull, CodeDenied, CodeUnavailable, CodeConflict, CodeClosed, CodeInternal,
	}
}

// Temporary reports whether the same call may succeed when it is tried again, so that a retry makes sense:
// true for CodeFailed, CodeUnavailable and CodeQueueFull, false for traps, limits, bad input, cancels and the rest.
func (c Code) Temporary() bool {
	return c == CodeFailed || c == CodeUnavailable || c == CodeQueueFull
}

// Error is the one error type of taskhost. It crosses every seam as it is: guest to host to manager to HTTP to CLI.
// Fields that do not apply are empty. Get it out of a wrapped error with errors.As or [AsError]; compare codes with [CodeOf].
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`            // one line for a person: the cause and what to do about it
	Plugin  string `json:"plugin,omitempty"`   // name of the plugin
	Func    string `json:"function,omitempty"` // name of the function
	Task    string `json:"task,omitempty"`     // id of the task
	Step    int    `json:"step,omitempty"`     // number of the step, from 1; 0: not a step's error
	Detail  string `json:"detail,omitempty"`   // more for the curious, such as the guest's stack; may have many lines
	Exit    uint32 `json:"exit,omitempty"`     // the guest's non-zero return value or exit code

	Err error `json:"-"` // what caused it, for errors.Is and errors.As; may be nil
}

// Errorf makes an Error. A %w in the format keeps what it wraps.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Error is one line: where it happened, then the message. The code is left to those who print it.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Task != "" {
		fmt.Fprintf(&b, "task %s: ", e.Task)
	}
	if e.Step > 0 {
		fmt.Fprintf(&b, "step %d: ", e.Step)
	}
	if e.Plugin != "" {
		fmt.Fprintf(&b, "plugin %s", e.Plugin)
		if e.Func != "" {
			fmt.Fprintf(&b, ":%s", e.Func)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Unwrap returns the cause, which may be nil.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in err's chain. Without one it is CodeTimeout for context.DeadlineExceeded,
// CodeCancelled for context.Canceled, the empty code for nil (a nil *Error included), and CodeInternal for anything else.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if e == nil {
			return ""
		}
		return e.Code
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return CodeTimeout
	case errors.Is(err, context.Canceled):
		return CodeCancelled
	}
	return CodeInternal
}

// AsError returns the first Error in err's chain, or wraps err in one with the code that [CodeOf] gives. Nil stays nil.
// The result may be shared: copy it before changing it.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: CodeOf(err), Message: err.Error(), Err: err}
}
