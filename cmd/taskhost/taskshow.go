package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func (a *app) tasksShow(c *cli.Context) error {
	args := arguments(c)
	if len(args) != 1 {
		return usagef("tasks show needs one id: taskhost tasks show ID; taskhost tasks ls shows what there is")
	}
	output, input := c.Bool("output"), c.Bool("input")
	if output && input || (output || input) && c.Bool("json") {
		return usagef("give one of --output, --input and --json")
	}
	return a.withTasks(c, false, func(ctx context.Context, m *manager.Manager) error {
		ids, err := findTasks(ctx, m, args)
		if err != nil {
			return err
		}
		t, err := m.Get(ctx, ids[0])
		switch {
		case err != nil:
			return err
		case c.Bool("json"):
			return a.printJSON(t)
		case input:
			return a.writeOutput("", t.Spec.Input)
		case output && t.Status != manager.StatusCompleted:
			return &abi.Error{Code: abi.CodeConflict, Task: t.ID, Message: "the task has no output: it is " + string(t.Status)}
		case output:
			return a.writeOutput("", t.Output)
		}
		return a.writeOutput("", []byte(a.taskText(&t)))
	})
}

// taskText is all that is known of a task, but for its bytes.
func (a *app) taskText(t *manager.Task) string {
	f := &facts{app: a}
	s := &t.Spec
	status := string(t.Status)
	if t.Cause != "" {
		status += " (" + string(t.Cause) + ")"
	}
	f.line("id", t.ID)
	f.line("name", oneLine(s.Name))
	if t.Status.Final() {
		status = a.paint(a.stdout, statusColour(t.Status), status)
	}
	f.line("status", status)
	if t.Error != nil {
		f.line("error", string(t.Error.Code)+": "+errorLine(stepError(t, t.Error)))
	}
	f.line("kind", string(s.Kind))
	f.line("agent", oneLine(s.Agent()))
	f.list("steps", stepLines(s.Steps))
	f.line("queue", s.Queue)
	if s.Priority != 0 {
		f.line("priority", fmt.Sprint(s.Priority))
	}
	f.list("labels", pairLines(s.Labels))
	f.list("after", lines(s.After))
	f.line("unique", uniqueText(s.Unique))
	f.line("retry", retryText(s.Retry))
	if s.Timeout > 0 {
		f.line("timeout", durationText(s.Timeout))
	}
	f.line("submitted", timeText(t.CreatedAt))
	f.line("not before", timeText(t.RunAt))
	if t.Attempt == 0 {
		f.line("expires", timeText(t.ExpiresAt))
	}
	f.line("started", timeText(t.StartedAt))
	f.line("finished", timeText(t.FinishedAt))
	if !t.StartedAt.IsZero() {
		f.line("duration", durationText(t.Duration()))
		f.line("usage", usageText(t.Usage))
	}
	if t.Status == manager.StatusRunning {
		f.line("progress", progressText(*t))
	}
	f.line("input", bytesText(int64(t.InputBytes)))
	if t.Status == manager.StatusCompleted {
		f.line("output", bytesText(int64(t.OutputBytes)))
	}
	if t.PartialStep > 0 {
		f.line("kept", fmt.Sprintf("the output of step %d, %s", t.PartialStep, bytesText(int64(len(t.Partial)))))
	}
	if t.CheckpointStep > 0 {
		f.line("checkpoint", fmt.Sprintf("of step %d, %s", t.CheckpointStep, bytesText(int64(len(t.Checkpoint)))))
	}
	f.list("attempts", attemptLines(t, a.verbose > 0))
	return f.text.String()
}

func stepLines(steps []manager.Step) []string {
	var out []string
	for i, s := range steps {
		text := fmt.Sprintf("%d. %s", i+1, oneLine(s.String()))
		if s.Timeout > 0 {
			text += ", at most " + durationText(s.Timeout)
		}
		if pairs := pairLines(s.Config); len(pairs) > 0 {
			text += "  (" + strings.Join(pairs, ", ") + ")"
		}
		out = append(out, text)
	}
	return out
}

func uniqueText(u manager.Unique) string {
	if u.Key == "" {
		return ""
	}
	text := oneLine(u.Key)
	if u.Window > 0 {
		text += " within " + durationText(u.Window)
	}
	return text
}

func retryText(r manager.Retry) string {
	if r.MaxAttempts <= 1 {
		return ""
	}
	return fmt.Sprintf("at most %d attempts, %s apart at first", r.MaxAttempts, durationText(r.Backoff))
}

// timeText is a time in the local zone; empty for none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05.000 MST")
}

func usageText(u abi.Usage) string {
	text := fmt.Sprintf("plugins ran %s, peak memory %s", durationText(u.Duration), bytesText(int64(u.PeakMemory)))
	if u.Ticks > 0 {
		text += fmt.Sprintf(", %d ticks", u.Ticks)
	}
	return text
}

// attemptLines are the ended attempts, each with the log lines that were kept of it; with all, details of errors too.
func attemptLines(t *manager.Task, all bool) []string {
	var out []string
	for _, x := range t.Attempts {
		text := fmt.Sprintf("%d. %s, %s", x.Number, timeText(x.StartedAt), durationText(x.FinishedAt.Sub(x.StartedAt)))
		if x.Version != "" {
			text += ", last version " + x.Version.Short()
		}
		out = append(out, text+", "+usageText(x.Usage))
		if x.Error != nil {
			out = append(out, "   "+string(x.Error.Code)+": "+errorLine(stepError(t, x.Error)))
		}
		if x.Error != nil && all {
			for line := range strings.Lines(x.Error.Detail) {
				out = append(out, "     "+indentedLine(line))
			}
		}
		for _, l := range x.Log {
			out = append(out, fmt.Sprintf("   %s %-5s %s", l.Time.Local().Format(time.TimeOnly), l.Level, oneLine(l.Text)))
		}
	}
	if n := t.Attempt - len(t.Attempts); t.Status == manager.StatusRunning && n > 0 {
		out = append(out, fmt.Sprintf("%d. %s, running", t.Attempt, timeText(t.AttemptAt)))
	}
	return out
}

// statsJSON is what tasks stats tells.
type statsJSON struct {
	Counts        manager.Counts        `json:"counts"`
	Queues        []manager.QueueStatus `json:"queues"`
	OldestPending time.Time             `json:"oldest_pending,omitzero"` // when it was submitted
	FileBytes     int64                 `json:"file_bytes"`              // of the data folder
}

func (a *app) tasksStats(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("tasks stats takes no arguments")
	}
	return a.withTasks(c, false, func(ctx context.Context, m *manager.Manager) error {
		v, err := readStats(ctx, m)
		if err != nil {
			return err
		}
		v.FileBytes = folderBytes(a.dataDir(c))
		if c.Bool("json") {
			return a.printJSON(v)
		}
		f := &facts{app: a}
		for _, s := range manager.Statuses() {
			f.line(string(s), fmt.Sprint(v.Counts.Of(s)))
		}
		f.line("oldest pending", timeText(v.OldestPending))
		f.line("files", bytesText(v.FileBytes))
		var queues []string
		for _, q := range v.Queues {
			queues = append(queues, fmt.Sprintf("%s: %d pending, %d running", limitName(q.Limit), q.Pending, q.Running))
		}
		f.list("queues", queues)
		return a.writeOutput("", []byte(f.text.String()))
	})
}

func readStats(ctx context.Context, m *manager.Manager) (v statsJSON, err error) {
	stats, err := m.Stats(ctx)
	if err != nil {
		return v, err
	}
	v.Counts = stats.Counts
	if v.Queues, err = m.Queues(ctx); err != nil {
		return v, err
	}
	if v.Queues == nil {
		v.Queues = []manager.QueueStatus{}
	}
	err = eachTask(ctx, m, manager.Filter{Status: []manager.Status{manager.StatusPending}}, func(t *manager.Task) error {
		v.OldestPending = t.CreatedAt // the last one is the oldest
		return nil
	})
	return v, err
}

// folderBytes is the size of the files that hold the tasks.
func folderBytes(dir string) (n int64) {
	files, _ := filepath.Glob(filepath.Join(dir, dataFile+"*"))
	for _, file := range files {
		if st, err := os.Stat(file); err == nil {
			n += st.Size()
		}
	}
	return n
}
