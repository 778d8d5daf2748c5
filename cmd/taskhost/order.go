package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/manager"
)

// retryFlags say how often a task is tried.
func retryFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "retries", Usage: "when the task fails for a reason that may pass, try it again: at most `N` times in all", DefaultText: "1"},
		&cli.DurationFlag{Name: "backoff", Usage: "wait `TIME` before the second attempt, and twice as long before each further one", DefaultText: "1s"},
	}
}

// inDataFolder is the part of the help with the flags that say something only of tasks in a data folder.
const inDataFolder = "WITH --data"

// queueFlags say where in a data folder a task stands, and what it is called.
func queueFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Category: inDataFolder, Usage: "the task's `NAME`, by which it is found and counted (default: its steps)"},
		&cli.StringSliceFlag{Name: "label", Category: inDataFolder, Usage: "a label `NAME=VALUE` of the task; may be repeated"},
		&cli.StringFlag{Name: "queue", Category: inDataFolder, Usage: "the queue `NAME` that the task stands in", DefaultText: manager.DefaultQueue},
		&cli.IntFlag{Name: "priority", Category: inDataFolder, Usage: "from -10 to 10: each step of `N` counts as much as a minute's wait", DefaultText: "0"},
		&cli.DurationFlag{Name: "expiry", Category: inDataFolder, Usage: "fail the task if it was not begun within `TIME`", DefaultText: "never"},
	}
}

// startFlags say when tasks in a data folder may start.
func startFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "at", Category: inDataFolder, Usage: "start not before `TIME`: 15:04, \"2006-01-02 15:04\", or with a zone as in 2006-01-02T15:04:05Z"},
		&cli.DurationFlag{Name: "delay", Category: inDataFolder, Usage: "start not before `TIME` from now", DefaultText: "at once"},
		&cli.StringSliceFlag{Name: "after", Category: inDataFolder, Usage: "start when the task `ID` has completed; may be repeated"},
	}
}

// uniqueFlags keep a task out while another one like it is there.
func uniqueFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "unique", Category: inDataFolder, Usage: "refuse the task while another with the same `KEY` has not ended"},
		&cli.DurationFlag{Name: "unique-window", Category: inDataFolder, Usage: "... or was submitted less than `TIME` ago", DefaultText: "0s"},
		&cli.BoolFlag{Name: "unique-existing", Category: inDataFolder, Usage: "take that other task instead", DisableDefaultText: true},
	}
}

// onceFlags are those of a command that runs one task.
func onceFlags() []cli.Flag {
	return append(uniqueFlags(),
		&cli.BoolFlag{Name: "detach", Category: inDataFolder, Usage: "submit the task, print its id and end; taskhost work runs it", DisableDefaultText: true})
}

// onlyWithData names the flags that mean nothing without a data folder.
var onlyWithData = []string{
	"name", "label", "queue", "priority", "expiry", "at", "delay", "after", "unique", "unique-window", "unique-existing", "detach", "resume",
}

// checkData says which flag needs a data folder that is not there.
func checkData(c *cli.Context, dir string) error {
	if dir != "" {
		return nil
	}
	for _, name := range onlyWithData {
		if c.IsSet(name) {
			return usagef("--%s needs --data DIR: without it there is one task, and it runs at once", name)
		}
	}
	return nil
}

// order fills in what the flags say of a task besides its steps and its input. After is left as it was written.
func order(c *cli.Context, s *manager.Spec) error {
	for _, name := range []string{"delay", "expiry", "unique-window", "backoff"} {
		if c.IsSet(name) && c.Duration(name) <= 0 {
			return usagef("--%s %v: it must be more than 0", name, c.Duration(name))
		}
	}
	labels, err := readPairs("label", c.StringSlice("label"))
	if err != nil {
		return err
	}
	for k, v := range labels {
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[k] = v
	}
	if name := c.String("name"); name != "" {
		s.Name = name
	}
	if c.IsSet("retries") && c.Int("retries") < 1 {
		return usagef("--retries %d: it is how often the task is tried in all, so at least 1", c.Int("retries"))
	}
	s.Retry.MaxAttempts, s.Retry.Backoff = c.Int("retries"), c.Duration("backoff")
	if s.Retry.Backoff > time.Minute { // which is what the wait is bounded by otherwise
		s.Retry.MaxBackoff = s.Retry.Backoff
	}
	s.Queue, s.Priority, s.Expiry = c.String("queue"), c.Int("priority"), c.Duration("expiry")
	s.Unique = manager.Unique{Key: c.String("unique"), Window: c.Duration("unique-window"), Existing: c.Bool("unique-existing")}
	if s.Unique.Key == "" && (c.IsSet("unique-window") || c.IsSet("unique-existing")) {
		return usagef("--unique-window and --unique-existing go with --unique KEY")
	}
	s.After = c.StringSlice("after")
	return orderTime(c, s)
}

func orderTime(c *cli.Context, s *manager.Spec) error {
	at, delay := c.String("at"), c.Duration("delay")
	switch {
	case at != "" && delay > 0:
		return usagef("give one of --at and --delay")
	case delay > 0:
		s.RunAt = time.Now().Add(delay)
	case at != "":
		t, err := parseTime(at, time.Now())
		s.RunAt = t
		return err
	}
	return nil
}

// parseTime reads a time as a person writes it, in the zone of now unless it names one. A time of day is the next one.
func parseTime(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		on := func(days int) time.Time {
			return time.Date(now.Year(), now.Month(), now.Day()+days, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
		}
		if today := on(0); today.After(now) {
			return today, nil
		}
		return on(1), nil
	}
	return time.Time{}, usagef("--at %s: write 15:04, \"2006-01-02 15:04\" or 2006-01-02T15:04:05Z", text)
}

// readPairs reads a flag that is NAME=VALUE.
func readPairs(flag string, pairs []string) (map[string]string, error) {
	m := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usagef("--%s %s: write NAME=VALUE", flag, pair)
		}
		m[name] = value
	}
	return m, nil
}
