package cases

import (
	"context"
	"os"
	"runtime"
	"sync"

	"github.com/taskhost/taskhost/abi"
)

// Status is how a case ended.
type Status string

// The states of a case that has run.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Updated Status = "updated" // the output that is expected was written anew
)

// Report is what came of a case.
type Report struct {
	Case     *Case
	Status   Status
	Outcome  Outcome
	Problems []Problem // of a case that failed
}

// Run runs cases of a plugin that the probe has loaded, several at once, and hands their reports to done in the order of the cases, one
// at a time. With update an output that differs is written into the case's file. When ctx ends it stops the calls and returns its cause;
// the cases that were not run are not reported.
func Run(ctx context.Context, p *Probe, plugin string, list []*Case, update bool, done func(Report)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reports := make([]chan Report, len(list))
	for i := range reports {
		reports[i] = make(chan Report, 1)
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(len(list), max(2, runtime.GOMAXPROCS(0))) {
		workers.Go(func() {
			for i := range next {
				r, err := list[i].run(ctx, p, plugin, update)
				if err != nil {
					cancel(err)
					continue
				}
				reports[i] <- r
			}
		})
	}
	workers.Go(func() {
		defer close(next)
		for i := range list {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	})
	defer workers.Wait()
	for _, r := range reports {
		select {
		case report := <-r:
			done(report)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// run runs one case. The error is that of ctx, or of a file that cannot be written.
func (c *Case) run(ctx context.Context, p *Probe, plugin string, update bool) (Report, error) {
	call := ctx
	if limit := c.Timeout(); limit > 0 {
		var cancel context.CancelFunc
		call, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	r := Report{Case: c, Status: Passed, Outcome: p.Call(call, c.Call(plugin), nil)}
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	if update && c.wantsUpdate(r.Outcome) {
		if err := os.WriteFile(c.Output, r.Outcome.Output, 0o666); err != nil {
			return r, abi.Errorf(abi.CodeInvalid, "%w", err)
		}
		c.Want, c.HasWant, r.Status = r.Outcome.Output, true, Updated
	}
	if r.Problems = c.Check(r.Outcome); len(r.Problems) > 0 {
		r.Status = Failed
	}
	return r, nil
}

// wantsUpdate tells whether the file with the output has to be written. Errors are not written down by themselves: that would make
// what a plugin does wrong the thing that it has to do.
func (c *Case) wantsUpdate(o Outcome) bool {
	if o.Err != nil || c.Spec.Error != nil {
		return false
	}
	if c.HasWant {
		_, same := c.checkOutput(o.Output)
		return !same
	}
	s := &c.Spec
	return s.Progress == nil && s.Metrics == nil && s.TicksMax == 0 && s.Log == nil
}
