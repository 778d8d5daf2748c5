package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/cases"
)

// devStatus is how a run ended.
type devStatus string

// The states of a run.
const (
	devCompleted   devStatus = "completed"
	devFailed      devStatus = "failed"
	devCancelled   devStatus = "cancelled"    // a save or the end came first
	devBuildFailed devStatus = "build_failed" // the version before stays
	devRefused     devStatus = "refused"      // it was built, and cannot be loaded; the version before stays
	devNoSample    devStatus = "no_sample"    // the sample cannot be read
)

// devRun is a build, and a call of what was built.
type devRun struct {
	number int
	change devChange
	began  time.Time
	status devStatus
	name   string

	built     bool // there was a build; it is in the fields below
	buildText string
	buildTime time.Duration
	size      int64
	loadTime  time.Duration
	err       error // of the build, of loading, or of the sample
	stays     bool  // a version before stays

	label    string // what goes in
	input    int    // bytes
	function string
	outcome  *cases.Outcome // nil: there was no call
	changed  bool           // the output is not that of the run before
	compared bool           // ... and there was one
	diff     string
	info     host.PluginInfo
	shown    time.Duration // from the save until the output was there; 0: nothing was saved

	cases *testJSON // what came of the cases; nil: there are none
}

// devCycle is a run that goes on beside the loop.
type devCycle struct {
	cancel context.CancelFunc
	done   chan struct{}
	build  bool // it began with a build
	loaded bool // ... and what was built could be loaded, or it cannot be mended by building again; valid once done
}

// end stops the run and waits for it.
func (c *devCycle) end() {
	c.cancel()
	<-c.done
}

// unbuilt tells, of a run that has ended, whether it was stopped before its build had come to an end.
func (c *devCycle) unbuilt() bool { return c.build && !c.loaded }

// begin starts a run. It has the dev and its view to itself until it has ended.
func (d *dev) begin(ctx context.Context, change devChange) *devCycle {
	ctx, cancel := context.WithCancel(ctx)
	c := &devCycle{cancel: cancel, done: make(chan struct{}), build: change.build}
	go func() {
		defer close(c.done)
		defer cancel()
		d.run(ctx, c, change)
	}()
	return c
}

// run builds, loads, calls and shows.
func (d *dev) run(ctx context.Context, c *devCycle, change devChange) {
	d.runs++
	r := &devRun{number: d.runs, change: change, began: time.Now(), name: d.project.Name}
	if change.build || !d.loaded {
		if !d.build(ctx, r) {
			if ctx.Err() == nil {
				c.loaded = true
				d.view.finish(r)
			}
			return
		}
	}
	c.loaded = true
	r.info = d.info
	x, err := d.call()
	if err != nil {
		r.status, r.err = devNoSample, err
		d.view.finish(r)
		return
	}
	r.label, r.input, r.function = x.label, len(x.call.Input), x.call.Function
	d.view.calling(r)
	d.runSample(ctx, r, x)
	d.view.result(r)
	if ctx.Err() == nil && len(x.cases) > 0 {
		d.runCases(ctx, r, x.cases)
	}
	d.view.finish(r)
}

// maxBuildText bounds what is kept of a compiler's text.
const maxBuildText = 256 << 10

// build builds and loads; without success the version before stays.
func (d *dev) build(ctx context.Context, r *devRun) bool {
	r.built, r.stays = true, d.loaded
	if r.err = d.load(); r.err != nil {
		r.status = devBuildFailed
		return false
	}
	r.name = d.project.Name
	d.view.building(r)
	text := &headWriter{left: maxBuildText}
	out, err := d.project.Build(ctx, text)
	r.buildText, r.buildTime = text.b.String(), time.Since(r.began)
	if err != nil {
		r.status, r.err = devBuildFailed, err
		return false
	}
	r.size = out.Size
	began := time.Now()
	d.view.loading(r)
	info, err := d.probe.Load(ctx, filepath.Dir(out.Plugin), d.project.Name, false)
	r.loadTime = time.Since(began)
	if err != nil {
		r.status, r.err = devRefused, err
		return false
	}
	d.info, d.loaded, r.stays = info, true, false
	return true
}

// runSample calls the plugin with the sample, and compares what comes out with what came before.
func (d *dev) runSample(ctx context.Context, r *devRun, x devCall) {
	if x.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, x.timeout)
		defer cancel()
	}
	o := d.probe.Call(ctx, x.call, d.view.progress)
	r.outcome = &o
	if !r.change.saved.IsZero() {
		r.shown = max(0, time.Since(r.change.saved))
	}
	if o.Function != "" {
		r.function = o.Function
	}
	if info, err := d.probe.Inspect(x.call.Plugin); err == nil {
		r.info, d.info = info, info // hints come with calls
	}
	switch {
	case o.Err == nil:
		r.status = devCompleted
	case errors.Is(ctx.Err(), context.Canceled):
		r.status = devCancelled
		return
	default:
		r.status = devFailed
		return
	}
	if r.compared = d.ran && d.from == x.label; r.compared {
		r.changed = !bytes.Equal(d.last, o.Output)
		r.diff = cases.Diff(d.last, o.Output)
	}
	d.last, d.ran, d.from = o.Output, true, x.label
}

// runCases runs all cases.
func (d *dev) runCases(ctx context.Context, r *devRun, list []*cases.Case) {
	began := time.Now()
	sum := &testJSON{Plugin: d.project.Name, Version: d.info.Digest, Cases: []caseJSON{}}
	if cases.Run(ctx, d.probe, d.project.Name, list, false, sum.add) == nil {
		sum.Duration = int64(time.Since(began))
		r.cases = sum
	}
}

// problemOf is what went wrong; nil: nothing.
func (r *devRun) problemOf() *abi.Error {
	if r.outcome != nil {
		return r.outcome.Err
	}
	return abi.AsError(r.err)
}

// headWriter keeps the beginning of what is written. It is for one writer at a time.
type headWriter struct {
	b    bytes.Buffer
	left int
}

var _ io.Writer = (*headWriter)(nil)

func (w *headWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	w.b.Write(p[:n])
	return len(p), nil
}
