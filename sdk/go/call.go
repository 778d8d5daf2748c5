package taskhost

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/taskhost/taskhost/sdk/go/internal/guest"
)

// Text is what a step takes and gives: bytes or a string.
type Text interface{ ~[]byte | ~string }

// Process runs f on the input of the call and makes what it returns the output. Its result is what an exported function returns to
// the host: 0, or 1 when f returned an error or panicked, whose message has the place of the panic. It is to be called once, from a function marked with go:wasmexport.
//
// The input may be kept and changed by f. It is not checked to be UTF-8.
func Process[In, Out Text](f func(In) (Out, error)) int32 {
	return run(func() ([]byte, error) {
		out, err := f(In(guest.Input()))
		return []byte(out), err
	})
}

// InvalidInput marks err as one of the input: the host reports it as such, and the task is not tried again. Nil stays nil.
// The mark survives wrapping.
func InvalidInput(err error) error {
	if err == nil {
		return nil
	}
	return &invalidInput{err}
}

// InvalidInputf is fmt.Errorf, marked as [InvalidInput] does.
func InvalidInputf(format string, args ...any) error {
	return InvalidInput(fmt.Errorf(format, args...))
}

type invalidInput struct{ err error }

func (e *invalidInput) Error() string { return e.err.Error() }
func (e *invalidInput) Unwrap() error { return e.err }

// run is the frame of every exported function.
func run(f func() ([]byte, error)) (code int32) {
	defer func() {
		if v := recover(); v != nil {
			guest.Log(int32(LevelError), string(debug.Stack()))
			guest.SetError(fmt.Sprintf("panic: %v", v) + place())
			code = 1
		}
	}()
	output, err := f()
	if err == nil {
		guest.SetOutput(output)
		return 0
	}
	if _, invalid := errors.AsType[*invalidInput](err); invalid {
		guest.SetInvalid(err.Error())
	} else {
		guest.SetError(err.Error())
	}
	return 1
}

// place is where the code stands that panicked, for the function that recovers: " (main.go:12)".
func place() string {
	var at [16]uintptr
	frames := runtime.CallersFrames(at[:runtime.Callers(3, at[:])]) // what follows the function that recovers
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			if f.Line == 0 {
				return ""
			}
			return fmt.Sprintf(" (%s:%d)", path.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}
