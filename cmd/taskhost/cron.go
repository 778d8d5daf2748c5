package main

import (
	"context"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func (a *app) cronCommand() *cli.Command {
	return &cli.Command{
		Name: "cron", Usage: "submit tasks again and again", UsageText: "taskhost cron COMMAND --data DIR|--server URL [FLAGS] [NAME]...",
		Description: "A schedule is kept in the data folder, or by the server. In a folder it submits its task whenever a manager works on it: taskhost work, or run,\n" +
			"call and batch with --data.",
		Subcommands: []*cli.Command{
			{Name: "ls", Usage: "list schedules", UsageText: "taskhost cron ls --data DIR", Flags: keeperFlags(), Action: a.cronList},
			{
				Name: "add", Usage: "add a schedule, or replace the one of that name",
				UsageText: "taskhost cron add --data DIR [FLAGS] NAME CRON -- STEP...\n\n" +
					"taskhost cron add --data DIR [FLAGS] NAME CRON --spec FILE\n\n" +
					"taskhost cron add --data tasks report '30 6 * * 1-5' --tz Europe/Berlin -i notes.md -- text markdown",
				Description: "CRON has five fields: minute, hour, day of the month, month, day of the week. Or it is @hourly, @daily, @weekly, @monthly, @yearly,\n" +
					"or \"@every 10m\". FILE is the JSON form of a task, such as {\"kind\": \"agent\", \"steps\": [\"agent:status\"]}.",
				Flags: keeperFlags(slices.Concat([]cli.Flag{
					&cli.StringFlag{Name: "tz", Usage: "read CRON in the time `ZONE`, such as Europe/Berlin", DefaultText: "UTC"},
					&cli.StringFlag{Name: "missed", Usage: "a time that passed while nobody worked on the folder: `WHAT` is skip, or once to make up for it", DefaultText: "skip"},
					&cli.StringFlag{Name: "spec", Usage: "read the task from the JSON `FILE`; - is standard input"},
					&cli.StringFlag{Name: "input", Aliases: []string{"i"}, Usage: "the content of each task: that of `FILE` now; - is standard input", DefaultText: "empty"},
					setFlag(), timeoutFlag(),
				}, retryFlags(), queueFlags(), uniqueFlags())...),
				Action: a.cronAdd,
			},
			{
				Name: "rm", Usage: "remove schedules; tasks that they have submitted stay", UsageText: "taskhost cron rm --data DIR NAME...", Flags: keeperFlags(),
				Action: func(c *cli.Context) error { return a.cronEach(c, keeper.DeleteSchedule) },
			},
			{
				Name: "pause", Usage: "let schedules submit nothing", UsageText: "taskhost cron pause --data DIR NAME...", Flags: keeperFlags(),
				Action: func(c *cli.Context) error { return a.cronEach(c, pauseSchedule(true)) },
			},
			{
				Name: "resume", Usage: "let schedules go on", UsageText: "taskhost cron resume --data DIR NAME...", Flags: keeperFlags(),
				Action: func(c *cli.Context) error { return a.cronEach(c, pauseSchedule(false)) },
			},
			{
				Name: "run", Usage: "submit a schedule's task now and print its id", UsageText: "taskhost cron run --data DIR NAME", Flags: keeperFlags(),
				Action: a.cronRun,
			},
		},
	}
}

func pauseSchedule(paused bool) func(keeper, context.Context, string) error {
	return func(k keeper, ctx context.Context, name string) error {
		return k.PauseSchedule(ctx, name, paused)
	}
}

func (a *app) cronList(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("cron ls takes no arguments")
	}
	return a.withKeeper(c, false, func(ctx context.Context, k keeper) error {
		list, err := k.Schedules(ctx, "", 0)
		switch {
		case err != nil:
			return err
		case c.Bool("json"):
			if list == nil {
				list = []manager.Schedule{}
			}
			return a.printJSON(list)
		case len(list) == 0:
			a.console.printf("taskhost: there is no schedule yet; taskhost cron add makes one\n")
			return nil
		}
		return a.printSchedules(list)
	})
}

func (a *app) printSchedules(list []manager.Schedule) error {
	t := &table{}
	t.add("NAME", "CRON", "ZONE", "NEXT", "LAST", "TASK", "STATE")
	for i := range list {
		s := &list[i]
		state := "on"
		switch {
		case s.Paused:
			state = "paused"
		case s.Error != "":
			state = cut(oneLine(s.Error), 80)
		}
		t.add(s.Name, oneLine(s.Cron), orDash(oneLine(s.TimeZone)), orDash(minuteText(s.NextAt)), orDash(minuteText(s.LastAt)), cut(oneLine(s.Spec.Name), 40), state)
	}
	return t.write(a.stdout, func(row, column int, cell string) string {
		switch {
		case row == 0:
			return a.paint(a.stdout, bold, cell)
		case column == 6 && cell != "on":
			return a.paint(a.stdout, yellow, cell)
		}
		return cell
	})
}

// minuteText is a time in the local zone without its fractions; empty for none.
func minuteText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

func (a *app) cronAdd(c *cli.Context) error {
	args := c.Args().Slice()
	var steps []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, steps = args[:i], args[i+1:]
	}
	file := c.String("spec")
	if len(args) != 2 || (len(steps) == 0) == (file == "") {
		return usagef("cron add needs a name, when it is to run, and a task: taskhost cron add NAME CRON -- STEP..., or --spec FILE in place of the steps")
	}
	s := manager.Schedule{
		Name: args[0], Cron: args[1], TimeZone: c.String("tz"), Missed: manager.Missed(c.String("missed")),
	}
	var err error
	if s.Spec, err = a.scheduledTask(c, file, steps); err != nil {
		return err
	}
	return a.withKeeper(c, true, func(ctx context.Context, k keeper) error {
		s, err := k.SetSchedule(ctx, s)
		switch {
		case err != nil:
			return submitError(err)
		case c.Bool("json"):
			return a.printJSON(s)
		}
		a.console.printf("taskhost: %s runs next at %s\n", s.Name, minuteText(s.NextAt))
		return nil
	})
}

// scheduledTask is the task of a schedule: of a file, or of steps and flags.
func (a *app) scheduledTask(c *cli.Context, file string, steps []string) (manager.Spec, error) {
	if file != "" {
		return a.readSpec(c, file, slices.Concat([]string{"data", "tz", "missed"}, remoteNames))
	}
	spec := manager.ProcessorTask("", steps...)
	if name := c.String("input"); name != "" {
		content, err := a.readInput(c.Context, name)
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

// readSpec reads a task in its JSON form. Of other flags only those of the given names go with it.
func (a *app) readSpec(c *cli.Context, file string, others []string) (manager.Spec, error) {
	for _, f := range c.Command.Flags {
		if name := f.Names()[0]; name != "spec" && c.IsSet(name) && !slices.Contains(others, name) {
			return manager.Spec{}, usagef("--%s does not go with --spec: the file says it", name)
		}
	}
	text, err := a.readInput(c.Context, file)
	if err != nil {
		return manager.Spec{}, err
	}
	spec, err := manager.DecodeSpec(text)
	if err != nil {
		err = usagef("--spec %s: %v", file, err)
	}
	return spec, err
}

// cronEach does something to the schedules that are named. It goes on past failures, and returns the first.
func (a *app) cronEach(c *cli.Context, do func(keeper, context.Context, string) error) error {
	names := arguments(c)
	if len(names) == 0 {
		return usagef("cron %s needs a schedule: taskhost cron %s NAME...; taskhost cron ls shows what there is", c.Command.Name, c.Command.Name)
	}
	return a.withKeeper(c, false, func(ctx context.Context, k keeper) error {
		var first error
		for _, name := range names {
			if err := do(k, ctx, name); err != nil && first == nil {
				first = a.scheduleError(ctx, k, name, err)
			}
		}
		return first
	})
}

func (a *app) cronRun(c *cli.Context) error {
	names := arguments(c)
	if len(names) != 1 {
		return usagef("cron run needs one schedule: taskhost cron run NAME; taskhost cron ls shows what there is")
	}
	return a.withKeeper(c, false, func(ctx context.Context, k keeper) error {
		t, err := k.TriggerSchedule(ctx, names[0])
		if err != nil {
			return a.scheduleError(ctx, k, names[0], err)
		}
		return a.printSubmitted(t, c.Bool("json"))
	})
}

// scheduleError adds to the error of an unknown schedule what may have been meant.
func (a *app) scheduleError(ctx context.Context, k keeper, name string, err error) error {
	if abi.CodeOf(err) != abi.CodeNotFound {
		return submitError(err)
	}
	list, e := k.Schedules(ctx, "", 0)
	if e != nil {
		return err
	}
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	return abi.Errorf(abi.CodeNotFound, "there is no schedule %q%s", name, didYouMean(name, names))
}
