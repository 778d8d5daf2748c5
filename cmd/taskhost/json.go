package main

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// taskJSON is a task as --json prints it. An output is json for an agent's JSON, output for text, and base64 for anything else.
type taskJSON struct {
	Task     string          `json:"task,omitempty"`
	Name     string          `json:"name"`
	File     string          `json:"file,omitempty"` // batch: the input
	Status   manager.Status  `json:"status"`
	JSON     json.RawMessage `json:"json,omitempty"`
	Output   *string         `json:"output,omitempty"`
	Base64   []byte          `json:"output_base64,omitempty"`
	Written  string          `json:"output_file,omitempty"` // batch: where the output is
	Skipped  bool            `json:"skipped,omitempty"`     // batch: an earlier run did it
	Error    *abi.Error      `json:"error,omitempty"`
	Version  abi.Digest      `json:"version,omitempty"`
	Duration int64           `json:"duration_ns"`
	Usage    abi.Usage       `json:"usage"`
}

func newTaskJSON(t manager.Task, err error) taskJSON {
	v := taskJSON{
		Task: t.ID, Name: t.Spec.Name, Status: t.Status, Error: abi.AsError(err), Version: t.Version,
		Duration: int64(t.Duration()), Usage: t.Usage,
	}
	if t.Status == "" { // it never became a task
		v.Status = manager.StatusFailed
	}
	return v
}

// withOutput adds the output itself.
func (v taskJSON) withOutput(t manager.Task) taskJSON {
	switch {
	case t.Status != manager.StatusCompleted:
	case t.Spec.Kind == manager.KindAgent && json.Valid(t.Output):
		v.JSON = t.Output
	case utf8.Valid(t.Output):
		text := string(t.Output)
		v.Output = &text
	default:
		v.Base64 = t.Output
	}
	return v
}

// printTask prints a task that ended, and hands its error on.
func (a *app) printTask(t manager.Task, err error) error {
	if printed := a.printJSON(newTaskJSON(t, err).withOutput(t)); err == nil {
		return printed
	}
	return err
}

// printJSON prints a value for machines: indented, because persons read it too.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return fileError("write the result", e.Encode(v))
}
