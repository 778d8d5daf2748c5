package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/instrument"
)

// What a call has come to: this file makes the output, or the one error that says why there is none.

// unwound is what a function that did not return has left: output when it exited, or the error.
func (i *instance) unwound(err, cause error) ([]byte, error) {
	if exit, ok := errors.AsType[*sys.ExitError](err); ok && cause == nil { // through proc_exit
		i.result[0] = uint64(exit.ExitCode())
		return i.outcome()
	}
	return nil, i.failure(err, cause, i.v.limits.RunTime)
}

// explain gives the reason why a guest failed where that is not what the guest itself says.
func (i *instance) explain(ctx context.Context, err, cause error) error {
	if i.meter.starved && abi.CodeOf(err) == abi.CodeFailed { // it did not take it well
		said := abi.AsError(err).Message
		err = i.meter.refusal()
		abi.AsError(err).Message += "; it said: " + said
	}
	if abi.CodeOf(err) == abi.CodeFailed && (cause != nil || ctx.Err() != nil) { // it saw that it is to stop, and did
		err = stopped(ctx, abi.AsError(err), cause, i.v.limits.RunTime)
	}
	return err
}

// stopped is the error of a guest that was to stop and reported an error itself: the reason to stop goes first.
func stopped(ctx context.Context, reported *abi.Error, cause error, limit time.Duration) *abi.Error {
	if cause == nil {
		cause = context.Cause(ctx)
	}
	e := interruption(cause, limit)
	e.Message += "; it said: " + reported.Message
	e.Exit = reported.Exit
	return e
}

// outcome is what a function that returned has left: output, or the error that it reported.
func (i *instance) outcome() ([]byte, error) {
	limit := i.v.limits.Output
	view, n, msg, failed := i.kernel.Outcome(uint64(limit))
	switch code := uint32(i.result[0]); {
	case code != 0 || failed:
		return nil, i.reported(code, msg)
	case i.v.form == FormWASI:
		return i.stdio.take(), nil
	case n > uint64(limit):
		return nil, outputTooLarge(limit)
	}
	return bytes.Clone(view), nil
}

func outputTooLarge(limit int64) *abi.Error {
	return abi.Errorf(abi.CodeOutputLimit, "its output is larger than the limit of %d bytes; raise taskhost.max_output_bytes in the manifest", limit)
}

// reported is the error of a guest that says itself that it failed.
func (i *instance) reported(code uint32, msg []byte) *abi.Error {
	e := &abi.Error{Code: abi.CodeFailed, Exit: code}
	if i.badInput {
		e.Code = abi.CodeInvalid
	}
	switch {
	case len(msg) > 0 && i.v.form == FormScript:
		said, place := scriptFailure(string(msg))
		e.Message, i.place = clip(said, maxMessage), clip(place, maxStackText)
	case len(msg) > 0:
		e.Message = clip(string(msg), maxMessage)
	case i.v.form == FormWASI:
		e.Message = clip(fmt.Sprintf("it exited with code %d%s", code, i.stdio.lastWords()), maxMessage)
	default:
		e.Message = fmt.Sprintf("it returned %d and set no error message", code)
	}
	return e
}

// failure is the error of guests' code that did not return: interrupted, trapped, ended by a function of the host, or exited.
func (i *instance) failure(err, cause error, limit time.Duration) *abi.Error {
	var e *abi.Error
	var exit *sys.ExitError
	msg := err.Error()
	switch {
	case cause != nil:
		e = interruption(cause, limit)
	case i.meter.starved:
		e = i.meter.refusal()
	case errors.As(err, &e): // a function of the host ended it
		c := *e
		e = &c
	case errors.As(err, &exit): // while it starts
		e = abi.Errorf(abi.CodeFailed, "it exited with code %d", exit.ExitCode())
		e.Exit = exit.ExitCode()
	case i.tripped() == instrument.ReasonFuel:
		e = abi.Errorf(abi.CodeFuelLimit, "it used up its budget of %d ticks; raise taskhost.max_fuel in the manifest", i.v.limits.Fuel)
	case i.memory.Refused():
		e = abi.Errorf(abi.CodeMemoryLimit, "it needs more memory than its limit of %d bytes and gave up; raise memory.max_pages in the manifest",
			i.v.limits.Memory)
	case i.tripped() == instrument.ReasonStack, strings.Contains(msg, "stack overflow"):
		e = abi.Errorf(abi.CodeStackLimit, "it recurses too deeply: its calls need more than %d bytes of stack; raise taskhost.max_stack_bytes in the manifest", i.v.limits.Stack)
	default:
		if e = i.gaveUp(msg); e == nil {
			e = abi.Errorf(abi.CodeTrap, "it trapped: %s", trapName(msg))
		}
	}
	i.trapped = err
	if e.Err == nil {
		e.Err = err
	}
	return e
}

// gaveUp is the error of a guest that set its message and then ended itself with the instruction unreachable, as languages do that cannot
// unwind a panic: it has said why, as one that returns has. Nil: it did not.
func (i *instance) gaveUp(msg string) *abi.Error {
	if i.kernel == nil || trapName(msg) != "unreachable" {
		return nil
	}
	_, _, said, failed := i.kernel.Outcome(0)
	if !failed {
		return nil
	}
	return i.reported(0, said)
}

// maxMessage bounds the message of an error, in bytes.
const maxMessage = 4 << 10

// trapName is the first line of wazero's error, without its prefix.
func trapName(msg string) string {
	line, _, _ := strings.Cut(msg, "\n")
	line = strings.TrimSuffix(line, " (recovered by wazero)")
	if at := strings.Index(line, "wasm error: "); at >= 0 {
		line = line[at+len("wasm error: "):]
	}
	return clip(line, 500)
}

// clip is s as valid UTF-8, or its beginning and an ellipsis; it has at most n bytes, n being at least 3.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
