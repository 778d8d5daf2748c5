package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/manager"
)

func (a *app) queuesCommand() *cli.Command {
	plugin := &cli.StringFlag{Name: "plugin", Usage: "the limit of the plugin `NAME` instead of a queue's"}
	return &cli.Command{
		Name: "queues", Usage: "show and bound the queues of a data folder or a server", UsageText: "taskhost queues COMMAND --data DIR|--server URL [FLAGS] [NAME]...",
		Description: "A limit stays until it is set anew. With --plugin NAME it bounds the tasks that use a plugin, whatever their queue.",
		Subcommands: []*cli.Command{
			{
				Name: "ls", Usage: "list queues and plugins with a limit or with tasks that have not ended", UsageText: "taskhost queues ls --data DIR",
				Flags: keeperFlags(), Action: a.queuesList,
			},
			{
				Name: "pause", Usage: "let no task of a queue begin", UsageText: "taskhost queues pause --data DIR NAME... | --plugin NAME", Flags: keeperFlags(plugin),
				Action: func(c *cli.Context) error {
					return a.setLimits(c, func(l *manager.Limit) error { l.Paused = true; return nil })
				},
			},
			{
				Name: "resume", Usage: "let the tasks of a queue begin again", UsageText: "taskhost queues resume --data DIR NAME... | --plugin NAME", Flags: keeperFlags(plugin),
				Action: func(c *cli.Context) error {
					return a.setLimits(c, func(l *manager.Limit) error { l.Paused = false; return nil })
				},
			},
			{
				Name: "set", Usage: "bound a queue", UsageText: "taskhost queues set --data DIR NAME [--concurrency N] [--rate 10/1s]",
				Flags: keeperFlags(plugin,
					&cli.IntFlag{Name: "concurrency", Usage: "run at most `N` of its tasks at once; 0: no bound", DefaultText: "as it was"},
					&cli.StringFlag{Name: "rate", Usage: "begin at most so many in so much time, `N/TIME` such as 10/1s; 0: no bound", DefaultText: "as it was"}),
				Action: a.queuesSet,
			},
		},
	}
}

func (a *app) queuesList(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("queues ls takes no arguments; taskhost tasks ls --queue %s lists the tasks of a queue", args[0])
	}
	return a.withKeeper(c, false, func(ctx context.Context, k keeper) error {
		list, err := k.Queues(ctx)
		switch {
		case err != nil:
			return err
		case c.Bool("json"):
			if list == nil {
				list = []manager.QueueStatus{}
			}
			return a.printJSON(list)
		case len(list) == 0:
			a.console.printf("taskhost: no queue has a limit or tasks that have not ended\n")
			return nil
		}
		return a.printQueues(list)
	})
}

func (a *app) printQueues(list []manager.QueueStatus) error {
	t := &table{}
	t.add("QUEUE", "PENDING", "RUNNING", "CONCURRENCY", "RATE", "STATE")
	for _, q := range list {
		state, concurrency := "open", "-"
		if q.Paused {
			state = "paused"
		}
		if q.Concurrency > 0 {
			concurrency = fmt.Sprint(q.Concurrency)
		}
		t.add(limitName(q.Limit), fmt.Sprint(q.Pending), fmt.Sprint(q.Running), concurrency, orDash(rateText(q.Rate)), state)
	}
	return t.write(a.stdout, func(row, column int, cell string) string {
		switch {
		case row == 0:
			return a.paint(a.stdout, bold, cell)
		case column == 5 && list[row-1].Paused:
			return a.paint(a.stdout, yellow, cell)
		}
		return cell
	})
}

// limitName is what a limit is for.
func limitName(l manager.Limit) string {
	if l.Plugin != "" {
		return "plugin " + l.Plugin
	}
	return l.Queue
}

func rateText(r manager.Rate) string {
	if r.Tasks == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%s", r.Tasks, durationText(r.Per))
}

func (a *app) queuesSet(c *cli.Context) error {
	if !c.IsSet("concurrency") && !c.IsSet("rate") {
		return usagef("queues set needs --concurrency N or --rate N/TIME; taskhost queues ls shows what is set")
	}
	var rate manager.Rate
	if c.IsSet("rate") {
		var err error
		if rate, err = parseRate(c.String("rate")); err != nil {
			return err
		}
	}
	return a.setLimits(c, func(l *manager.Limit) error {
		if c.IsSet("concurrency") {
			l.Concurrency = c.Int("concurrency")
		}
		if c.IsSet("rate") {
			l.Rate = rate
		}
		return l.Validate()
	})
}

// parseRate reads N/TIME; 0 is no rate.
func parseRate(text string) (manager.Rate, error) {
	if text == "0" {
		return manager.Rate{}, nil
	}
	tasks, per, ok := strings.Cut(text, "/")
	n, err := strconv.Atoi(tasks)
	if per != "" && strings.IndexAny(per, "0123456789") != 0 { // 10/s
		per = "1" + per
	}
	d, e := time.ParseDuration(per)
	if !ok || err != nil || e != nil || n < 1 || d <= 0 {
		return manager.Rate{}, usagef("--rate %s: write N/TIME such as 10/1s or 100/1h, or 0 for no bound", text)
	}
	return manager.Rate{Tasks: n, Per: d}, nil
}

// setLimits changes the limits of the queues that are named, or of a plugin.
func (a *app) setLimits(c *cli.Context, change func(*manager.Limit) error) error {
	var limits []manager.Limit
	for _, queue := range arguments(c) {
		limits = append(limits, manager.Limit{Queue: queue})
	}
	if plugin := c.String("plugin"); plugin != "" {
		limits = append(limits, manager.Limit{Plugin: plugin})
	}
	if len(limits) == 0 {
		return usagef("queues %s needs a queue: taskhost queues %s NAME, or --plugin NAME", c.Command.Name, c.Command.Name)
	}
	return a.withKeeper(c, true, func(ctx context.Context, k keeper) error {
		known, err := k.Queues(ctx)
		if err != nil {
			return err
		}
		for i := range limits {
			l := &limits[i]
			for _, q := range known {
				if q.Queue == l.Queue && q.Plugin == l.Plugin {
					*l = q.Limit
				}
			}
			err := change(l)
			if err == nil {
				err = l.Validate()
			}
			if err != nil {
				return submitError(err)
			}
		}
		for _, l := range limits {
			if err := k.SetLimit(ctx, l); err != nil {
				return err
			}
		}
		if c.Bool("json") {
			return a.printJSON(limits)
		}
		return nil
	})
}
