package main

import (
	"context"
	"maps"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

func (a *app) submitCommand() *cli.Command {
	return &cli.Command{
		Name:  "submit",
		Usage: "submit tasks to a server and print their ids",
		UsageText: "taskhost submit [FLAGS] STEP...            the content is that of -i FILE, else standard input\n\n" +
			"taskhost submit [FLAGS] STEP... -- FILE... one task for each file, all of them or none\n\n" +
			"taskhost submit [FLAGS] AGENT:ACTION --arg NAME=VALUE\n\n" +
			"taskhost submit [FLAGS] --spec FILE        the task in its JSON form",
		Description: "A task goes to the server once, also when the connection breaks and the request is sent again. taskhost result ID has what came of it.",
		Flags: serverFlags(always(slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "input", Aliases: []string{"i"}, Usage: "read the content from `FILE`; - and no -i: standard input"},
			&cli.StringFlag{Name: "spec", Usage: "read the task from the JSON `FILE`; - is standard input"},
			&cli.StringFlag{Name: "idempotency-key", Usage: "submit the task only if none was submitted with this `KEY` within a day; else print the id of that one"},
		}, agentFlags(), []cli.Flag{setFlag(), timeoutFlag()}, retryFlags(), queueFlags(), startFlags(), uniqueFlags()))...),
		Action: a.submitAction,
	}
}

func (a *app) submitAction(c *cli.Context) error {
	args := c.Args().Slice()
	steps, files := args, []string(nil)
	if i := slices.Index(args, "--"); i >= 0 {
		steps, files = args[:i], args[i+1:]
		if i == 0 {
			steps, files = files, nil
		}
	}
	if len(files) > 0 {
		for _, name := range []string{"input", "spec", "arg", "args", "unique"} {
			if c.IsSet(name) {
				return usagef("--%s is for one task, and each file makes one", name)
			}
		}
	}
	spec, err := a.submittedSpec(c, steps, len(files) > 0)
	if err != nil {
		return err
	}
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
		var err error
		if spec.After, err = findTasks(ctx, s, spec.After); err != nil {
			return err
		}
		o := client.SubmitOptions{IdempotencyKey: c.String("idempotency-key")}
		if len(files) > 0 {
			return a.submitFiles(ctx, c, s, spec, files, o)
		}
		t, err := s.Submit(ctx, spec, o)
		if err != nil {
			return inTheWay(err)
		}
		return a.printSubmitted(t, c.Bool("json"))
	})
}

// inTheWay names the task that keeps another one out.
func inTheWay(err error) error {
	if e := abi.AsError(err); e.Code == abi.CodeConflict {
		return submitError(e)
	}
	return err
}

// submittedSpec is the task that the command line describes; without its content, if that is still to come.
func (a *app) submittedSpec(c *cli.Context, steps []string, later bool) (manager.Spec, error) {
	if file := c.String("spec"); file != "" {
		if len(steps) > 0 {
			return manager.Spec{}, usagef("give steps or --spec, not both")
		}
		return a.readSpec(c, file, slices.Concat([]string{"idempotency-key"}, remoteNames))
	}
	if len(steps) == 0 {
		return manager.Spec{}, usagef("submit needs a step: taskhost submit PLUGIN[:FUNCTION]... ; taskhost plugins ls shows what the server has")
	}
	spec := manager.ProcessorTask("", steps...)
	switch agent := c.IsSet("arg") || c.IsSet("args"); {
	case agent && (len(steps) > 1 || c.IsSet("input")):
		return spec, usagef("--arg and --args are for an agent: one step AGENT:ACTION, and no -i")
	case agent:
		values, err := readArgs(c.String("args"), c.StringSlice("arg"))
		if err != nil {
			return spec, err
		}
		spec = manager.AgentTask(steps[0], "", values)
	case !later:
		content, err := a.readInput(c.Context, c.String("input"))
		if err != nil {
			return spec, err
		}
		spec.Input = content
	}
	config, err := readSettings(c.StringSlice("set"), amongSteps(steps))
	if err != nil {
		return spec, err
	}
	configure(&spec, config)
	if spec.Timeout = c.Duration("timeout"); c.IsSet("timeout") && spec.Timeout <= 0 {
		return spec, usagef("--timeout %v: it must be more than 0", spec.Timeout)
	}
	return spec, order(c, &spec)
}

// remoteNames are the names of serverFlags.
var remoteNames = []string{"server", "token", "ca", "patience", "json", "verbose"}

// submittedBatchJSON is a batch that was submitted.
type submittedBatchJSON struct {
	ID    string          `json:"id"`
	Tasks []submittedJSON `json:"tasks"`
}

// submitFiles submits a task for each file, and prints the ids in the order of the files.
func (a *app) submitFiles(ctx context.Context, c *cli.Context, s *client.Client, spec manager.Spec, files []string, o client.SubmitOptions) error {
	specs := make([]manager.Spec, len(files))
	for i, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fileError("read", err)
		}
		specs[i] = spec
		specs[i].Input = content
		specs[i].Labels = maps.Clone(spec.Labels)
		if specs[i].Labels == nil {
			specs[i].Labels = map[string]string{}
		}
		specs[i].Labels[labelFile] = fileLabel(file)
	}
	b, err := s.SubmitBatch(ctx, specs, o)
	if err != nil {
		return inTheWay(err)
	}
	out, ids := submittedBatchJSON{ID: b.ID, Tasks: []submittedJSON{}}, ""
	for i := range b.Tasks {
		t := &b.Tasks[i]
		out.Tasks = append(out.Tasks, submittedJSON{t.ID, t.Spec.Name, t.Status, t.RunAt})
		ids += t.ID + "\n"
	}
	if c.Bool("json") {
		return a.printJSON(out)
	}
	return a.writeOutput("", []byte(ids))
}
