package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func (a *app) runCommand() *cli.Command {
	return &cli.Command{
		Name:        "run",
		Usage:       "send a content through plugins; the result goes to stdout",
		UsageText:   "taskhost run [FLAGS] STEP...          a STEP is PLUGIN or PLUGIN:FUNCTION\n\ntaskhost run text markdown -i notes.md -o notes.html",
		Description: withDataText,
		Flags: a.runFlags(append(onceFlags(),
			&cli.StringFlag{Name: "input", Aliases: []string{"i"}, Usage: "read the content from `FILE`; - and no -i: standard input"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the result to `FILE`, as a whole or not at all; -: standard output"},
		)...),
		Action: a.runAction,
	}
}

func (a *app) runAction(c *cli.Context) error {
	steps := arguments(c)
	if len(steps) == 0 {
		return usagef("run needs a step: taskhost run PLUGIN[:FUNCTION]... ; taskhost plugins shows what there is")
	}
	o, err := a.options(c, steps...)
	if err != nil {
		return err
	}
	output := c.String("output")
	if o.detach && output != "" {
		return usagef("with --detach there is no result to write; taskhost tasks show ID --output prints it later")
	}
	if err := checkOutput(output); err != nil {
		return err
	}
	if o.json && output != "" && output != stdio {
		return usagef("--json puts the result into the JSON on stdout; it does not go with -o")
	}
	content, err := a.readInput(c.Context, c.String("input"))
	if err != nil {
		return err
	}
	spec := manager.ProcessorTask("", steps...)
	spec.Input = content
	if err := order(c, &spec); err != nil {
		return err
	}
	if o.detach {
		return a.submit(c, o, spec)
	}
	t, err := a.single(c.Context, o, spec)
	if o.json && t.ID != "" {
		return a.printTask(t, err)
	}
	if err != nil {
		return err
	}
	return a.writeOutput(output, t.Output)
}

// withDataText says in the help of the commands that run tasks what --data changes.
const withDataText = "With --data DIR the task is kept in DIR, where taskhost tasks shows it. While the command runs, it also works off what waits in DIR\n" +
	"already, the most urgent first, and fires the schedules that are due; it ends when its own task does."

// single runs one task in a session of its own.
func (a *app) single(ctx context.Context, o options, spec manager.Spec) (manager.Task, error) {
	o.prepare(&spec)
	var steps []string
	for _, step := range spec.Steps {
		steps = append(steps, step.Plugin)
	}
	d := a.newDisplay(o.progress, 1)
	defer d.close()
	s, err := a.open(ctx, o, slots{concurrent: 1, steps: steps}, d)
	if err != nil {
		return manager.Task{}, err
	}
	t, err := s.run(ctx, spec)
	hints := s.hints(steps)
	if closed := s.close(); err == nil {
		err = closed
	}
	if len(steps) == 1 {
		err = withoutStep(err)
	}
	if a.verbose > 0 && t.ID != "" {
		a.console.printf("%s\n", costText(t))
		for _, h := range hints {
			a.console.printf("taskhost: hint: %s\n", h)
		}
	}
	return t, err
}

// hints are those of the plugins of steps.
func (s *session) hints(steps []string) (list []string) {
	for _, name := range slices.Compact(slices.Sorted(slices.Values(stepPlugins(steps)))) {
		p, err := s.host.Inspect(name)
		if err != nil {
			continue
		}
		for _, h := range p.Hints {
			list = append(list, oneLine(name+": "+h))
		}
	}
	return list
}

// prepare puts into a task what the shared flags say of it.
func (o *options) prepare(spec *manager.Spec) {
	spec.Timeout = o.timeout
	if o.data != "" {
		configure(spec, o.config)
	}
}

// submittedJSON is a task that was submitted and not waited for.
type submittedJSON struct {
	ID     string         `json:"id"`
	Name   string         `json:"name"`
	Status manager.Status `json:"status"`
	RunAt  time.Time      `json:"run_at,omitzero"`
}

// submit puts a task into the data folder and prints its id.
func (a *app) submit(c *cli.Context, o options, spec manager.Spec) error {
	o.prepare(&spec)
	return a.withTasks(c, true, func(ctx context.Context, m *manager.Manager) error {
		var err error
		if spec.After, err = findTasks(ctx, m, spec.After); err != nil {
			return err
		}
		t, err := m.Submit(ctx, spec)
		if err != nil {
			return submitError(err)
		}
		return a.printSubmitted(t, o.json)
	})
}

// printSubmitted prints a task that was submitted.
func (a *app) printSubmitted(t manager.Task, asJSON bool) error {
	if asJSON {
		return a.printJSON(submittedJSON{t.ID, t.Spec.Name, t.Status, t.RunAt})
	}
	return a.writeOutput("", []byte(t.ID+"\n"))
}

// submitError is what is told of a task that was not accepted.
func submitError(err error) error {
	switch e := abi.AsError(err); {
	case e == nil:
		return nil
	case e.Code == abi.CodeInvalid:
		return usagef("%v", err)
	case e.Code == abi.CodeConflict && e.Task != "": // another task is in the way
		named := *e
		named.Message += ": " + e.Task
		return &named
	}
	return err
}

// withoutStep takes the number of the step out of an error, where there is only one.
func withoutStep(err error) error {
	var e *abi.Error
	if !errors.As(err, &e) || e.Step == 0 {
		return err
	}
	shown := *e
	shown.Step = 0
	return &shown
}

// stepError is an error of a task, with the number of the step only where there are several.
func stepError(t *manager.Task, err error) error {
	if len(t.Spec.Steps) == 1 {
		return withoutStep(err)
	}
	return err
}

// costText is what a task cost.
func costText(t manager.Task) string {
	u := t.Usage
	parts := []string{fmt.Sprintf("%s in %s", t.Status, durationText(t.Duration())), "plugins ran " + durationText(u.Duration)}
	if u.Wait > 0 {
		parts = append(parts, "waited "+durationText(u.Wait))
	}
	parts = append(parts, "peak memory "+bytesText(int64(u.PeakMemory)))
	if u.Ticks > 0 {
		parts = append(parts, fmt.Sprintf("%d ticks", u.Ticks))
	}
	if t.Status == manager.StatusCompleted {
		parts = append(parts, fmt.Sprintf("%s in, %s out", bytesText(int64(t.InputBytes)), bytesText(int64(t.OutputBytes))))
	}
	if n := len(t.Spec.Steps); n > 0 && t.Version != "" {
		parts = append(parts, "last version "+t.Version.Short())
	}
	return "taskhost: " + strings.Join(parts, ", ")
}
