package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// remoteCommands are those that work on the tasks of a server.
func (a *app) remoteCommands() []*cli.Command {
	const shortened = "An ID may be shortened to six or more characters of its beginning or its end, as long as it means one task."
	return []*cli.Command{
		a.submitCommand(),
		{
			Name: "get", Usage: "show everything about a task of a server", UsageText: "taskhost get [--print output|input] ID", Description: shortened,
			Flags: serverFlags(
				&cli.StringFlag{Name: "print", Usage: "write `WHAT`, output or input, to stdout, as it is"}),
			Action: a.getAction,
		},
		{
			Name: "ls", Usage: "list the tasks of a server, newest first", UsageText: "taskhost ls [--status failed] [--plugin NAME] [--label NAME=VALUE]...",
			Flags: serverFlags(pageFlags()...), Action: a.lsAction,
		},
		a.watchCommand(),
		a.resultCommand(),
		{
			Name: "cancel", Usage: "cancel tasks of a server that have not ended", UsageText: "taskhost cancel ID... | FILTER...", Description: shortened,
			Flags: serverFlags(filterFlags()...),
			Action: func(c *cli.Context) error {
				return a.remoteEach(c, "cancelled", changeTasks{
					one: func(ctx context.Context, s *client.Client, id string) error {
						_, err := s.Cancel(ctx, id)
						return err
					},
					all: (*client.Client).CancelAll,
				})
			},
		},
		{
			Name: "retry", Usage: "put tasks of a server that failed or were cancelled back into the queue", UsageText: "taskhost retry ID... | --status failed [FILTER]...",
			Description: shortened,
			Flags: serverFlags(append(filterFlags(),
				&cli.BoolFlag{Name: "from-start", Usage: "begin anew, not with the step that failed or the last checkpoint", DisableDefaultText: true})...),
			Action: func(c *cli.Context) error {
				anew := c.Bool("from-start")
				return a.remoteEach(c, "back in the queue", changeTasks{
					status: manager.StatusFailed,
					one: func(ctx context.Context, s *client.Client, id string) error {
						_, err := s.Retry(ctx, id, anew)
						return err
					},
					all: func(s *client.Client, ctx context.Context, which client.Selection) (client.Done, error) {
						return s.RetryAll(ctx, which, anew)
					},
				})
			},
		},
		a.topCommand(),
	}
}

func (a *app) getAction(c *cli.Context) error {
	args := arguments(c)
	if len(args) != 1 {
		return usagef("get needs one id: taskhost get ID; taskhost ls shows what there is")
	}
	what := c.String("print")
	switch {
	case !slices.Contains([]string{"", "output", "input"}, what):
		return usagef("--print %s: it is output or input", what)
	case what != "" && c.Bool("json"):
		return usagef("give one of --print and --json")
	}
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
		ids, err := findTasks(ctx, s, args)
		if err != nil {
			return err
		}
		id := ids[0]
		switch what {
		case "input":
			return a.copyBody(s.Input(ctx, id))
		case "output":
			t, err := s.Look(ctx, id)
			if err == nil && t.Status != manager.StatusCompleted {
				err = &abi.Error{Code: abi.CodeConflict, Task: t.ID, Message: "the task has no output: it is " + string(t.Status)}
			}
			if err != nil {
				return err
			}
			return a.copyBody(s.Output(ctx, id))
		}
		t, err := s.Get(ctx, ids[0])
		switch {
		case err != nil:
			return err
		case c.Bool("json"):
			return a.printJSON(t)
		}
		return a.writeOutput("", []byte(a.taskText(&t)))
	})
}

// copyBody writes bytes of a task to standard output as they come.
func (a *app) copyBody(body *client.Body, err error) error {
	if err != nil {
		return err
	}
	defer body.Close()
	from := &fromServer{Reader: body}
	_, err = io.Copy(a.stdout, from)
	if from.err != nil {
		return &unusable{fmt.Errorf("the server's answer broke off: %w", from.err)}
	}
	return fileError("write the result", err)
}

// fromServer keeps the error of what is read, so that it is not taken for one of what is written.
type fromServer struct {
	io.Reader
	err error
}

func (r *fromServer) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

func (a *app) lsAction(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("ls takes no arguments; taskhost get %s shows one task", args[0])
	}
	f, err := pageFilter(c)
	if err != nil {
		return err
	}
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error { return a.printPage(ctx, c, s, f) })
}

func (a *app) resultCommand() *cli.Command {
	return &cli.Command{
		Name: "result", Usage: "write the output of a task of a server; the exit code is the task's", UsageText: "taskhost result [--wait] [-o FILE] ID",
		Description: "An ID may be shortened. Ctrl-C ends the waiting and leaves the task alone.",
		Flags: serverFlags(
			&cli.BoolFlag{Name: "wait", Aliases: []string{"w"}, Usage: "wait for the task to end", DisableDefaultText: true},
			&cli.DurationFlag{Name: "timeout", Usage: "wait at most `TIME`, such as 90s or 5m", DefaultText: "as long as it takes"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the result to `FILE`, as a whole or not at all; -: standard output"}),
		Action: a.resultAction,
	}
}

func (a *app) resultAction(c *cli.Context) error {
	args := arguments(c)
	output, timeout := c.String("output"), c.Duration("timeout")
	switch {
	case len(args) != 1:
		return usagef("result needs one id: taskhost result ID; taskhost ls shows what there is")
	case c.IsSet("timeout") && (timeout <= 0 || !c.Bool("wait")):
		return usagef("--timeout goes with --wait, and must be more than 0")
	case c.Bool("json") && output != "" && output != stdio:
		return usagef("--json puts the result into the JSON on stdout; it does not go with -o")
	}
	if err := checkOutput(output); err != nil {
		return err
	}
	retryFor := briefly
	if c.Bool("wait") {
		retryFor = patiently
	}
	return a.withServer(c, retryFor, func(ctx context.Context, s *client.Client) error {
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		t, err := a.remoteResult(ctx, c, s, args)
		if err != nil && !t.Status.Final() {
			return err
		}
		if a.verbose > 0 {
			a.console.printf("%s\n", costText(t))
		}
		if err != nil {
			err = &ofTask{stepError(&t, err)}
		}
		if c.Bool("json") {
			return a.printTask(t, err)
		}
		if err != nil {
			return err
		}
		return a.writeOutput(output, t.Output)
	})
}

// remoteResult is a task that has ended, with its own error. When the task is not final, the error is another one.
func (a *app) remoteResult(ctx context.Context, c *cli.Context, s *client.Client, typed []string) (manager.Task, error) {
	ids, err := findTasks(ctx, s, typed)
	if err != nil {
		return manager.Task{}, err
	}
	if c.Bool("wait") {
		return s.Result(ctx, ids[0])
	}
	t, err := s.Get(ctx, ids[0])
	switch {
	case err != nil:
		return t, err
	case !t.Status.Final():
		return t, &abi.Error{Code: abi.CodeConflict, Task: t.ID, Message: "the task has not ended: it is " + string(t.Status) + "; --wait waits for it"}
	}
	return t, t.Err()
}

// changeTasks is something that is done to tasks.
type changeTasks struct {
	status manager.Status // of tasks, where a filter names none
	one    func(ctx context.Context, s *client.Client, id string) error
	all    func(s *client.Client, ctx context.Context, which client.Selection) (client.Done, error)
}

// remoteChangedJSON is what was done to several tasks.
type remoteChangedJSON struct {
	Count  int       `json:"count"`
	Tasks  []string  `json:"tasks,omitempty"` // that were named, and to which it was done
	Errors []idError `json:"errors,omitempty"`
}

// remoteEach does something to the tasks that are named by their ids or by a filter. It goes on past failures, and returns the first.
func (a *app) remoteEach(c *cli.Context, done string, change changeTasks) error {
	name := c.Command.Name
	typed := arguments(c)
	f, given, err := filter(c)
	switch {
	case err != nil:
		return err
	case given == (len(typed) > 0):
		return usagef("%s needs either ids or flags that select tasks: taskhost %s ID..., or taskhost %s --status STATUS", name, name, name)
	}
	if err := narrow(&f, name, change.status); err != nil {
		return err
	}
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
		var out remoteChangedJSON
		if given {
			d, err := change.all(s, ctx, client.Selection{Filter: f})
			if err != nil {
				return err
			}
			out.Count = d.Count
			for _, e := range d.Errors {
				out.Errors = append(out.Errors, idError(e))
			}
		} else if err := changeNamed(ctx, s, typed, change, &out); err != nil {
			return err
		}
		return a.printChanged(c, &out, done)
	})
}

// changeNamed does something to the tasks that are named. The error is one that is not about a task.
func changeNamed(ctx context.Context, s *client.Client, typed []string, change changeTasks, out *remoteChangedJSON) error {
	ids, err := findTasks(ctx, s, typed)
	if err != nil {
		return err
	}
	for _, id := range ids {
		err := change.one(ctx, s, id)
		switch e := abi.AsError(err); {
		case err == nil:
			out.Count++
			out.Tasks = append(out.Tasks, id)
		case e.Code == abi.CodeNotFound, e.Code == abi.CodeConflict:
			out.Errors = append(out.Errors, idError{id, e})
		default:
			return err
		}
	}
	return nil
}

func (a *app) printChanged(c *cli.Context, out *remoteChangedJSON, done string) error {
	if c.Bool("json") {
		if err := a.printJSON(out); err != nil {
			return err
		}
	} else {
		for _, e := range out.Errors {
			a.console.printf("taskhost: %s: %s\n", e.ID, errorLine(e.Error))
		}
		a.console.printf("taskhost: %s %s\n", plural(out.Count, "task"), done)
	}
	if len(out.Errors) > 0 {
		return &reported{exitCode(out.Errors[0].Error)}
	}
	return nil
}
