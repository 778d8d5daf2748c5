package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func (a *app) tasksCommand() *cli.Command {
	return &cli.Command{
		Name: "tasks", Usage: "show and steer the tasks of a data folder", UsageText: "taskhost tasks COMMAND --data DIR [FLAGS] [ID]...",
		Description: "An ID may be shortened to six or more characters of its beginning or its end, as long as it means one task.",
		Subcommands: []*cli.Command{
			{
				Name: "ls", Usage: "list tasks, newest first", UsageText: "taskhost tasks ls --data DIR [--status failed] [--plugin NAME] [--label NAME=VALUE]...",
				Flags: dataFlags(pageFlags()...), Action: a.tasksList,
			},
			{
				Name: "show", Usage: "show everything about a task", UsageText: "taskhost tasks show --data DIR [--output | --input] ID",
				Flags: dataFlags(
					&cli.BoolFlag{Name: "output", Usage: "write the output to stdout, as it is", DisableDefaultText: true},
					&cli.BoolFlag{Name: "input", Usage: "write the input to stdout, as it is", DisableDefaultText: true}),
				Action: a.tasksShow,
			},
			{
				Name: "retry", Usage: "put tasks that failed or were cancelled back into the queue", UsageText: "taskhost tasks retry --data DIR ID... | --status failed [FILTER]...",
				Flags: dataFlags(append(filterFlags(),
					&cli.BoolFlag{Name: "from-start", Usage: "begin anew, not with the step that failed or the last checkpoint", DisableDefaultText: true})...),
				Action: func(c *cli.Context) error {
					anew := c.Bool("from-start")
					return a.tasksEach(c, "back in the queue", manager.StatusFailed, func(ctx context.Context, m *manager.Manager, id string) error {
						_, err := m.Retry(ctx, id, anew)
						return err
					})
				},
			},
			{
				Name: "cancel", Usage: "cancel tasks that have not ended", UsageText: "taskhost tasks cancel --data DIR ID... | FILTER...", Flags: dataFlags(filterFlags()...),
				Action: func(c *cli.Context) error {
					return a.tasksEach(c, "cancelled", "", cancelTask)
				},
			},
			{
				Name: "rm", Usage: "remove tasks that have ended", UsageText: "taskhost tasks rm --data DIR ID... | FILTER...", Flags: dataFlags(filterFlags()...),
				Action: func(c *cli.Context) error {
					return a.tasksEach(c, "removed", "", func(ctx context.Context, m *manager.Manager, id string) error { return m.Delete(ctx, id) })
				},
			},
			{
				Name: "stats", Usage: "count tasks by status and queue", UsageText: "taskhost tasks stats --data DIR", Flags: dataFlags(), Action: a.tasksStats,
			},
		},
	}
}

// filterFlags select tasks.
func filterFlags() []cli.Flag {
	return slices.Concat(
		[]cli.Flag{&cli.StringSliceFlag{Name: "status", Usage: "tasks of this `STATUS`: pending, running, completed, failed or cancelled; may be repeated"}},
		selectFlags(),
		[]cli.Flag{&cli.DurationFlag{Name: "since", Usage: "tasks that were submitted within the last `TIME`", DefaultText: "ever"}})
}

// selectFlags select tasks by what does not change.
func selectFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "plugin", Usage: "tasks with a step of the plugin `NAME`"},
		&cli.StringFlag{Name: "name", Usage: "tasks called `NAME`"},
		&cli.StringFlag{Name: "queue", Usage: "tasks of the queue `NAME`"},
		&cli.StringSliceFlag{Name: "label", Usage: "tasks with the label `NAME=VALUE`; may be repeated"},
	}
}

// filter reads filterFlags; given tells whether any was there.
func filter(c *cli.Context) (f manager.Filter, given bool, err error) {
	for _, name := range []string{"status", "plugin", "name", "queue", "label", "since"} {
		given = given || c.IsSet(name)
	}
	for _, list := range c.StringSlice("status") {
		for s := range strings.SplitSeq(list, ",") {
			if !slices.Contains(manager.Statuses(), manager.Status(s)) {
				return f, given, usagef("--status %s: it is one of %s%s", s, joinStatuses(), didYouMean(s, strings.Split(joinStatuses(), ", ")))
			}
			f.Status = append(f.Status, manager.Status(s))
		}
	}
	f.Plugin, f.Name, f.Queue = c.String("plugin"), c.String("name"), c.String("queue")
	if f.Labels, err = readPairs("label", c.StringSlice("label")); err != nil {
		return f, given, err
	}
	if c.IsSet("since") {
		if c.Duration("since") <= 0 {
			return f, given, usagef("--since %v: it must be more than 0", c.Duration("since"))
		}
		f.After = time.Now().Add(-c.Duration("since"))
	}
	return f, given, nil
}

func joinStatuses() string {
	var names []string
	for _, s := range manager.Statuses() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func (a *app) tasksList(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("tasks ls takes no arguments; taskhost tasks show %s shows one task", args[0])
	}
	f, err := pageFilter(c)
	if err != nil {
		return err
	}
	return a.withTasks(c, false, func(ctx context.Context, m *manager.Manager) error { return a.printPage(ctx, c, m, f) })
}

// pageFlags select tasks and how many of them are listed.
func pageFlags() []cli.Flag {
	return append(filterFlags(),
		&cli.IntFlag{Name: "limit", Value: 50, Usage: "list at most `N` tasks"},
		&cli.StringFlag{Name: "cursor", Usage: "go on where the list before ended, at `CURSOR`"})
}

// pageFilter reads pageFlags.
func pageFilter(c *cli.Context) (manager.Filter, error) {
	f, _, err := filter(c)
	f.Cursor, f.Limit = c.String("cursor"), c.Int("limit")
	if err == nil && (f.Limit < 1 || f.Limit > manager.MaxPage) {
		err = usagef("--limit %d: it must be between 1 and %d", f.Limit, manager.MaxPage)
	}
	return f, err
}

// printPage prints one page of the tasks that match.
func (a *app) printPage(ctx context.Context, c *cli.Context, m lister, f manager.Filter) error {
	page, err := m.List(ctx, f)
	switch {
	case err != nil:
		return err
	case c.Bool("json"):
		if page.Tasks == nil {
			page.Tasks = []manager.Task{}
		}
		return a.printJSON(page)
	case len(page.Tasks) == 0:
		a.console.printf("taskhost: no task matches\n")
		return nil
	}
	err = a.printTasks(page.Tasks)
	if err == nil && page.Next != "" {
		a.console.printf("taskhost: there are more: --cursor %s\n", page.Next)
	}
	return err
}

func (a *app) printTasks(tasks []manager.Task) error {
	t := &table{}
	t.add("ID", "STATUS", "NAME", "QUEUE", "AGE", "DURATION", "ATTEMPTS", "ERROR")
	for i := range tasks {
		x := &tasks[i]
		id, took, message := x.ID, "-", ""
		if a.verbose == 0 {
			id = shortID(id)
		}
		if !x.StartedAt.IsZero() {
			took = durationText(x.Duration())
		}
		if x.Error != nil {
			message = cut(errorLine(stepError(x, x.Error)), 80)
		}
		t.add(id, string(x.Status), cut(oneLine(x.Spec.Name), 40), x.Spec.Queue, ageText(time.Since(x.CreatedAt)), took, fmt.Sprint(x.Attempt), orDash(message))
	}
	return t.write(a.stdout, func(row, column int, cell string) string {
		switch {
		case row == 0:
			return a.paint(a.stdout, bold, cell)
		case column == 1 && tasks[row-1].Status.Final():
			return a.paint(a.stdout, statusColour(tasks[row-1].Status), cell)
		}
		return cell
	})
}

// ageText is how long ago something was, in its largest unit.
func ageText(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", max(0, d)/time.Second)
}

// changedJSON is what was done to several tasks.
type changedJSON struct {
	Tasks  []string  `json:"tasks"`            // ids of those to which it was done
	Errors []idError `json:"errors,omitempty"` // why it was not done to others
}

type idError struct {
	ID    string     `json:"id"`
	Error *abi.Error `json:"error"`
}

// tasksEach does something to the tasks that are named by their ids or by a filter. It goes on past failures, and returns the first.
// With a filter that names no status it takes those of the given one, or, where there is none, those to which it can be done.
func (a *app) tasksEach(c *cli.Context, done string, status manager.Status, do func(context.Context, *manager.Manager, string) error) error {
	name := c.Command.Name
	typed := arguments(c)
	f, given, err := filter(c)
	switch {
	case err != nil:
		return err
	case given == (len(typed) > 0):
		return usagef("tasks %s needs either ids or flags that select tasks: taskhost tasks %s ID..., or taskhost tasks %s --status STATUS", name, name, name)
	}
	if err := narrow(&f, name, status); err != nil {
		return err
	}
	return a.withTasks(c, false, func(ctx context.Context, m *manager.Manager) error {
		ids, err := findTasks(ctx, m, typed)
		if given && err == nil {
			err = eachTask(ctx, m, f, func(t *manager.Task) error { ids = append(ids, t.ID); return nil })
		}
		if err != nil {
			return err
		}
		var first error
		out := changedJSON{Tasks: []string{}}
		for _, id := range ids {
			err := do(ctx, m, id)
			switch {
			case err == nil:
				out.Tasks = append(out.Tasks, id)
				continue
			case ctx.Err() != nil:
				return err
			case given && abi.CodeOf(err) == abi.CodeNotFound: // somebody else was faster
				continue
			}
			out.Errors = append(out.Errors, idError{id, abi.AsError(err)})
			if first == nil {
				first = err
			}
			if !c.Bool("json") {
				a.console.printf("taskhost: %s: %s\n", id, errorLine(err))
			}
		}
		if c.Bool("json") {
			if err := a.printJSON(out); err != nil {
				return err
			}
		} else {
			a.console.printf("taskhost: %s %s\n", plural(len(out.Tasks), "task"), done)
		}
		if first != nil {
			return &reported{exitCode(first)}
		}
		return nil
	})
}

// cancelTask cancels a task; one that has ended is an error, for somebody typed its id.
func cancelTask(ctx context.Context, m *manager.Manager, id string) error {
	t, err := m.Get(ctx, id)
	if err == nil && t.Status.Final() {
		err = &abi.Error{Code: abi.CodeConflict, Task: id, Message: "the task has ended: it is " + string(t.Status)}
	}
	if err != nil {
		return err
	}
	return m.Cancel(ctx, id)
}

// narrow makes a filter select only what a command can be done to.
func narrow(f *manager.Filter, command string, status manager.Status) error {
	if len(f.Status) == 0 && status != "" {
		f.Status = []manager.Status{status}
	}
	for _, s := range f.Status {
		switch {
		case command == "retry" && s != manager.StatusFailed && s != manager.StatusCancelled:
			return usagef("--status %s: only tasks that are failed or cancelled can be retried", s)
		case command == "cancel" && s.Final():
			return usagef("--status %s: such tasks have ended; only those that are pending or running can be cancelled", s)
		case command == "rm" && !s.Final():
			return usagef("--status %s: such tasks have not ended; cancel them first", s)
		}
	}
	if len(f.Status) == 0 {
		for _, s := range manager.Statuses() {
			if s.Final() == (command == "rm") {
				f.Status = append(f.Status, s)
			}
		}
	}
	return nil
}

// plural is a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
