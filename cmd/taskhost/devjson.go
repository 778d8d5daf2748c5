package main

import (
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/cases"
)

// devJSON is a run as dev --json prints it, on one line. An output is output for text, and output_base64 for anything else.
type devJSON struct {
	Run      int        `json:"run"`
	Changed  []string   `json:"changed,omitempty"`
	Plugin   string     `json:"plugin"`
	Status   devStatus  `json:"status"`
	Build    *buildRun  `json:"build,omitempty"` // none: only what goes in has changed
	Version  abi.Digest `json:"version,omitempty"`
	Function string     `json:"function,omitempty"`
	Input    string     `json:"input,omitempty"` // what went in, for a person
	Output   *string    `json:"output,omitempty"`
	Base64   []byte     `json:"output_base64,omitempty"`
	Same     *bool      `json:"same_output,omitempty"` // as the run before; missing: there is none to compare with
	Diff     string     `json:"diff,omitempty"`
	Error    *abi.Error `json:"error,omitempty"`
	Shown    int64      `json:"shown_ns,omitempty"` // from the save until the output was there

	Usage    *abi.Usage     `json:"usage,omitempty"`
	Progress []abi.Progress `json:"progress,omitempty"` // the first of them
	Reports  int            `json:"progress_reports,omitempty"`
	Metrics  []cases.Metric `json:"metrics,omitempty"`
	Log      []abi.LogLine  `json:"log,omitempty"`
	Hints    []string       `json:"hints,omitempty"`
	Cases    *testJSON      `json:"cases,omitempty"`
}

// buildRun is the build of a run.
type buildRun struct {
	Duration int64  `json:"duration_ns"`
	Load     int64  `json:"load_ns,omitempty"`
	Size     int64  `json:"size,omitempty"`
	Text     string `json:"text,omitempty"` // what the compiler said
}

func newDevJSON(r *devRun) devJSON {
	v := devJSON{
		Run: r.number, Changed: r.change.files, Plugin: r.name, Status: r.status, Version: r.info.Digest, Function: r.function, Input: r.label,
		Diff: r.diff, Error: r.problemOf(), Shown: int64(r.shown), Hints: r.info.Hints, Cases: r.cases,
	}
	if r.built {
		v.Build = &buildRun{Duration: int64(r.buildTime), Load: int64(r.loadTime), Size: r.size, Text: r.buildText}
	}
	if r.compared {
		same := !r.changed
		v.Same = &same
	}
	o := r.outcome
	if o == nil {
		return v
	}
	v.Version, v.Usage, v.Progress, v.Reports, v.Metrics, v.Log = o.Version, &o.Usage, o.Progress, o.Reports, o.Metrics, o.Log
	if o.Err != nil {
		return v
	}
	if utf8.Valid(o.Output) {
		text := string(o.Output)
		v.Output = &text
	} else {
		v.Base64 = o.Output
	}
	return v
}
