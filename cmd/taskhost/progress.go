package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/taskhost/taskhost/manager"
)

// display shows how far tasks are. Its methods are safe for concurrent use.
type display interface {
	// loading shows that plugins are loaded, until the returned function is called.
	loading() (done func())
	// event tells of a change of a task.
	event(e manager.Event)
	// skipped tells of a file for which no task ran: because of an error, or, without one, because an earlier run did it.
	skipped(file string, err error)
	// close ends the display; lines go to stderr again.
	close()
}

// progressMode is what kind of display there is.
type progressMode string

const (
	progressNone  progressMode = "none"
	progressPlain progressMode = "plain"
	progressBar   progressMode = "bar"
)

// progressMode reads --progress; auto is bars on a terminal and nothing elsewhere.
func (a *app) progressMode(mode string) (progressMode, error) {
	switch m := progressMode(mode); m {
	case progressNone, progressPlain, progressBar:
		return m, nil
	case "auto":
		if isTerminal(a.stderr) && a.getenv("TERM") != "dumb" {
			return progressBar, nil
		}
		return progressNone, nil
	}
	return "", usagef("--progress %s: it is auto, bar, plain or none", mode)
}

// newDisplay makes the display of a mode for a number of tasks; 1 has no overall bar, 0 is any number.
func (a *app) newDisplay(mode progressMode, tasks int) display {
	switch mode {
	case progressBar:
		return newBars(a, tasks)
	case progressPlain:
		return &plain{console: a.console, tasks: tasks, shown: map[string]shownTask{}}
	}
	return none{}
}

// none shows nothing.
type none struct{}

func (none) loading() func()       { return func() {} }
func (none) event(manager.Event)   {}
func (none) skipped(string, error) {}
func (none) close()                {}

// plain prints lines: a task's start, its steps, each further tenth or second, and its end.
type plain struct {
	console *console
	tasks   int

	mu    sync.Mutex
	shown map[string]shownTask // running tasks by id
	ended int
}

// shownTask is what was printed of a task last.
type shownTask struct {
	progress float64
	step     int
	at       time.Time
}

func (p *plain) loading() func() { return func() {} }

func (p *plain) close() {}

func (p *plain) event(e manager.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := e.Task
	switch e.Kind {
	case manager.EventStart:
		p.shown[t.ID] = shownTask{step: t.CurrentStep, at: e.Time}
		p.console.printf("%s: running\n", taskLabel(t))
	case manager.EventProgress:
		last, ok := p.shown[t.ID]
		if !ok || t.Progress < last.progress+.1 && t.CurrentStep == last.step && e.Time.Sub(last.at) < time.Second {
			return
		}
		p.shown[t.ID] = shownTask{t.Progress, t.CurrentStep, e.Time}
		p.console.printf("%s: %s\n", taskLabel(t), progressText(t))
	case manager.EventFinish:
		delete(p.shown, t.ID)
		p.end(taskLabel(t), endText(t))
	}
}

func (p *plain) skipped(file string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := "done by an earlier run"
	if err != nil {
		text = "failed: " + errorLine(err)
	}
	p.end(fileLabel(file), text)
}

// end prints the end of a task, with its number if there are several. The caller holds mu.
func (p *plain) end(label, text string) {
	p.ended++
	count := ""
	if p.tasks > 1 {
		count = fmt.Sprintf("[%d/%d] ", p.ended, p.tasks)
	}
	p.console.printf("%s%s: %s\n", count, label, text)
}

// labelFile is the label of a task that holds the name of its input file, for displays.
const labelFile = "file"

// taskLabel names a task for a person.
func taskLabel(t manager.Task) string {
	if file := t.Spec.Labels[labelFile]; file != "" {
		return file
	}
	return oneLine(t.Spec.Name)
}

// progressText is how far a running task is.
func progressText(t manager.Task) string {
	text := fmt.Sprintf("%3.0f%%", 100*t.Progress)
	switch {
	case len(t.Spec.Steps) > 1:
		text += fmt.Sprintf("  step %d/%d", t.CurrentStep, t.TotalSteps)
	case t.TotalSteps > 1: // as the plugin counts
		text += fmt.Sprintf("  %d/%d", t.CurrentStep, t.TotalSteps)
	}
	if t.Message != "" {
		text += "  " + cut(oneLine(t.Message), 60)
	}
	return text
}

// endText is how a task ended.
func endText(t manager.Task) string {
	text := string(t.Status) + " in " + durationText(t.Duration())
	if t.Status == manager.StatusFailed && t.Error != nil {
		text = fmt.Sprintf("failed (%s) after %s", t.Error.Code, durationText(t.Duration()))
	}
	return text
}
