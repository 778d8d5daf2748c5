package main

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// emptyPoll is how often work --until-empty looks by itself whether anything is left, for what no event tells of.
const emptyPoll = 250 * time.Millisecond

func (a *app) workCommand() *cli.Command {
	return &cli.Command{
		Name:      "work",
		Usage:     "work off the tasks of a data folder and fire its schedules",
		UsageText: "taskhost work --data DIR [-p DIR] [-j N] [--until-empty]",
		Description: "Works until Ctrl-C. Then no more tasks begin, those that run have --grace to end, and what is left goes back into the queue; the exit\n" +
			"code is 0, also when tasks failed: taskhost tasks ls --status failed shows them. Plugins that are replaced meanwhile are used from then on.",
		Flags: append(a.taskFlags(), jobsFlag(),
			&cli.StringFlag{Name: "data", Usage: "the folder `DIR` that keeps the tasks; made if need be (default: $TASKHOST_DATA)"},
			&cli.BoolFlag{Name: "submit", Usage: "submit a task for each line of standard input, in its JSON form, and print its id once it is stored", DisableDefaultText: true},
			&cli.BoolFlag{Name: "until-empty", Usage: "end when nothing is due any more", DisableDefaultText: true},
			&cli.DurationFlag{Name: "grace", Value: 10 * time.Second, Usage: "let running tasks have `TIME` to end after Ctrl-C"},
		),
		Action: a.workAction,
	}
}

func jobsFlag() cli.Flag {
	return &cli.IntFlag{Name: "jobs", Aliases: []string{"j"}, Value: runtime.NumCPU(), DefaultText: "number of processors", Usage: "run `N` tasks at once"}
}

// readJobs reads jobsFlag.
func readJobs(c *cli.Context) (int, error) {
	n := c.Int("jobs")
	if n < 1 || n > 1000 {
		return 0, usagef("-j %d: it must be between 1 and 1000", n)
	}
	return n, nil
}

// workJSON is what a worker did.
type workJSON struct {
	counts
	Duration int64 `json:"duration_ns"`
}

// worker works a data folder off. It counts the ends of tasks and tells when one has come.
type worker struct {
	display
	kick chan struct{} // has room for one

	mu   sync.Mutex
	done counts
}

func (w *worker) event(e manager.Event) {
	w.display.event(e)
	if e.Kind == manager.EventFinish {
		w.mu.Lock()
		switch e.Task.Status {
		case manager.StatusCompleted:
			w.done.Completed++
		case manager.StatusFailed:
			w.done.Failed++
		default:
			w.done.Cancelled++
		}
		w.mu.Unlock()
	}
	if e.Kind == manager.EventFinish || e.Kind == manager.EventRetry {
		select {
		case w.kick <- struct{}{}:
		default:
		}
	}
}

func (a *app) workAction(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("work takes no arguments; taskhost run --data DIR --detach %s submits a task", args[0])
	}
	if _, err := a.needData(c); err != nil {
		return err
	}
	jobs, err := readJobs(c)
	if err != nil {
		return err
	}
	grace := c.Duration("grace")
	if grace < 0 {
		return usagef("--grace %v: it must not be negative", grace)
	}
	o, err := a.options(c)
	if err != nil {
		return err
	}
	w := &worker{display: a.newDisplay(o.progress, 0), kick: make(chan struct{}, 1)}
	defer w.close()
	start := time.Now()
	s, err := a.open(c.Context, o, slots{concurrent: jobs, watch: true, all: true}, w)
	if err != nil {
		return err
	}
	s.grace = grace
	lines := &submitting{app: a, json: o.json}
	if c.Bool("submit") {
		if err := lines.lines(c.Context, s.tasks, a.stdin); err != nil {
			return closing(s, err)
		}
	}
	if c.Bool("until-empty") {
		err = w.untilEmpty(c.Context, s)
	} else {
		if o.progress == progressNone {
			a.console.printf("taskhost: working off %s; Ctrl-C ends it\n", o.data)
		}
		<-c.Context.Done()
	}
	if closed := s.close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := w.report(a, o.json && !c.Bool("submit"), time.Since(start)); err != nil || lines.refused == 0 {
		return err
	}
	return &reported{exitFailed} // each line was told of
}

// report tells what was done.
func (w *worker) report(a *app, asJSON bool, took time.Duration) error {
	if asJSON {
		return a.printJSON(workJSON{w.done, int64(took)})
	}
	a.console.printf("taskhost: %s completed, %d failed, %d cancelled in %s\n", plural(w.done.Completed, "task"), w.done.Failed, w.done.Cancelled, durationText(took))
	return nil
}

// untilEmpty returns when nothing is due any more, or ctx ends.
func (w *worker) untilEmpty(ctx context.Context, s *session) error {
	poll := time.NewTicker(emptyPoll)
	defer poll.Stop()
	for {
		empty, err := nothingDue(ctx, s.tasks)
		switch {
		case ctx.Err() != nil || empty:
			return nil
		case err != nil && abi.CodeOf(err) != abi.CodeUnavailable:
			return err
		}
		select {
		case <-w.kick:
		case <-poll.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// nothingDue reports whether no task runs and none could begin now.
func nothingDue(ctx context.Context, m *manager.Manager) (bool, error) {
	now := time.Now()
	schedules, err := m.Schedules(ctx, "", 0)
	if err != nil {
		return false, err
	}
	for i := range schedules { // before the tasks: it is moved on together with the task that it makes
		if next := schedules[i].NextAt; !next.IsZero() && !next.After(now) && schedules[i].Error == "" {
			return false, nil
		}
	}
	before, err := m.Stats(ctx)
	if err != nil || before.Counts.Running > 0 || before.Busy > 0 {
		return false, err
	}
	if before.Counts.Pending == 0 {
		return true, nil
	}
	queues, err := m.Queues(ctx)
	if err != nil {
		return false, err
	}
	paused := map[manager.Limit]bool{}
	for _, q := range queues {
		if q.Paused {
			paused[manager.Limit{Queue: q.Queue, Plugin: q.Plugin}] = true
		}
	}
	err = eachTask(ctx, m, manager.Filter{Status: []manager.Status{manager.StatusPending}}, func(t *manager.Task) error {
		due, err := isDue(ctx, m, t, paused, now)
		if err == nil && due {
			err = errDue
		}
		return err
	})
	if errors.Is(err, errDue) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	after, err := m.Stats(ctx) // a task that began meanwhile may have been missed
	return after.Counts.Running == 0 && after.Counts.Pending == before.Counts.Pending, err
}

// errDue ends a search: something is due.
var errDue = abi.Errorf(abi.CodeInternal, "a task is due")

// isDue reports whether a pending task could begin now.
func isDue(ctx context.Context, m *manager.Manager, t *manager.Task, paused map[manager.Limit]bool, now time.Time) (bool, error) {
	if t.Attempt == 0 && !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(now) {
		return true, nil // it fails now
	}
	if t.RunAt.After(now) || paused[manager.Limit{Queue: t.Spec.Queue}] {
		return false, nil
	}
	for i := range t.Spec.Steps {
		if paused[manager.Limit{Plugin: t.Spec.Steps[i].Plugin}] {
			return false, nil
		}
	}
	for _, id := range t.Spec.After {
		before, err := m.Get(ctx, id)
		if err == nil && !before.Status.Final() {
			return false, nil
		}
		if err != nil && abi.CodeOf(err) != abi.CodeNotFound {
			return false, err
		}
	}
	return true, nil
}
