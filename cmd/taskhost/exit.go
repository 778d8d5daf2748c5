package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// The exit codes of every command.
const (
	exitOK        = 0
	exitFailed    = 1   // the task failed
	exitUsage     = 2   // the command line is wrong, or a folder that it names cannot be used
	exitNoPlugin  = 3   // the plugin, function, task or schedule is not there, or the plugin was refused
	exitTimeout   = 124 // the task took longer than it may
	exitCancelled = 130 // the task was cancelled
)

// usageError is a mistake in the command line.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// reported is an error that the command told already, in a way of its own; only its exit code is left.
type reported struct{ code int }

func (e *reported) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// exitCode is the process's exit code for an error.
func exitCode(err error) int {
	var usage *usageError
	var told *reported
	var server *unusable
	switch {
	case errors.As(err, &server):
		return exitUsage
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &told):
		return told.code
	}
	switch abi.CodeOf(err) {
	case abi.CodeNotFound, abi.CodeRefused:
		return exitNoPlugin
	case abi.CodeTimeout:
		return exitTimeout
	case abi.CodeCancelled, abi.CodeShutdown:
		return exitCancelled
	}
	return exitFailed
}

// printError tells an error on stderr: one line, and with -v what else is known.
func (a *app) printError(err error) {
	var told *reported
	if err == nil || errors.As(err, &told) {
		return
	}
	line := errorLine(err)
	if a.verbose > 0 {
		line = strings.TrimSuffix(line, showsMore)
	}
	fmt.Fprintf(a.stderr, "%s %s\n", a.paint(a.stderr, red, "taskhost:"), line)
	for line := range strings.Lines(errorDetail(err, a.verbose)) {
		fmt.Fprintf(a.stderr, "    %s\n", indentedLine(line))
	}
}

// showsMore ends the line of an error that has a detail.
const showsMore = " (-v shows more)"

// errorLine is an error as one line, with what to do about it.
func errorLine(err error) string {
	var e *abi.Error
	if !errors.As(err, &e) {
		return oneLine(err.Error())
	}
	shown := *e
	shown.Task = "" // the command runs one task, so its id says nothing
	line := oneLine(shown.Error())
	switch e.Code {
	case abi.CodeTrap, abi.CodeFailed:
		if e.Detail != "" {
			line += showsMore
		}
	case abi.CodeCancelled:
		line = "cancelled"
	}
	return line
}

// errorDetail is what -v adds: the code, and what the error knows besides its message.
func errorDetail(err error, verbose int) string {
	var e *abi.Error
	if verbose == 0 || !errors.As(err, &e) {
		return ""
	}
	detail := "code: " + string(e.Code) + "\n"
	if e.Task != "" {
		detail += "task: " + e.Task + "\n"
	}
	if e.Exit != 0 {
		detail += fmt.Sprintf("exit: %d\n", e.Exit)
	}
	return detail + e.Detail
}
