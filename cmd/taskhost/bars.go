package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/taskhost/taskhost/manager"
)

// bars shows how far tasks are. A single task has a bar that stays. A batch has one bar for all tasks, which stays, and above it one for
// each of those that run, at most maxShown; such a bar passes from task to task, so that short tasks do not make the lines jump.
// Lines that are written to the console meanwhile appear above the bars.
type bars struct {
	app      *app
	progress *mpb.Progress
	undo     func() // gives the console back

	failed  atomic.Int64
	overall *mpb.Bar
	once    sync.Once

	// mu is held while bars are told things, so nothing that draws a bar may take it.
	mu      sync.Mutex
	shown   int
	free    []*taskBar
	running map[string]*taskBar // by id
}

const (
	maxShown = 8    // bars of running tasks
	barUnits = 1000 // length of a task's bar, in its own units
	barWidth = 30   // on the screen, brackets included
)

func newBars(a *app, tasks int) *bars {
	p := mpb.New(mpb.WithOutput(a.stderr), mpb.WithAutoRefresh(), mpb.WithWidth(barWidth))
	b := &bars{app: a, progress: p, undo: a.console.divert(aboveBars{p, a.stderr}), running: map[string]*taskBar{}}
	switch tasks {
	case 1:
	case 0:
		b.overall = p.AddSpinner(0, mpb.BarPriority(1<<30), mpb.BarWidth(1), mpb.PrependDecorators(decor.Name("all tasks", nameColumn())),
			mpb.AppendDecorators(decor.CurrentNoUnit(" %d ended"), decor.Any(func(decor.Statistics) string { return b.failures() })))
	default:
		b.overall = p.AddBar(int64(tasks), mpb.BarPriority(1<<30), // below the others
			mpb.PrependDecorators(decor.Name("all tasks", nameColumn())),
			mpb.AppendDecorators(decor.CountersNoUnit(" %d/%d"), decor.Any(func(decor.Statistics) string { return b.failures() }),
				decor.Elapsed(decor.ET_STYLE_MMSS, decor.WC{W: 7})))
	}
	return b
}

func nameColumn() decor.WC { return decor.WC{W: 26, C: decor.DindentRight | decor.DextraSpace} }

func (b *bars) failures() string {
	n := b.failed.Load()
	if n == 0 {
		return ""
	}
	return b.app.paint(b.app.stderr, red, fmt.Sprintf("  %d failed", n))
}

func (b *bars) loading() func() {
	bar := b.progress.AddSpinner(1, mpb.BarRemoveOnComplete(), mpb.BarWidth(1), mpb.AppendDecorators(decor.Name(" loading plugins")))
	return func() { bar.Abort(true) }
}

func (b *bars) event(e manager.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := e.Task
	switch e.Kind {
	case manager.EventStart, manager.EventProgress:
		if b.running[t.ID] == nil {
			if tb := b.take(); tb != nil {
				b.running[t.ID] = tb
			}
		}
		b.running[t.ID].set(t)
	case manager.EventFinish:
		if t.Status == manager.StatusFailed {
			b.failed.Add(1)
		}
		tb := b.running[t.ID]
		delete(b.running, t.ID)
		if b.overall == nil {
			if tb == nil {
				tb = b.take()
			}
			tb.end(t)
			return
		}
		b.overall.Increment()
		if tb != nil {
			tb.set(t) // until the next one takes its place
			b.free = append(b.free, tb)
		}
	}
}

func (b *bars) skipped(_ string, err error) {
	if err != nil {
		b.failed.Add(1)
	}
	if b.overall != nil {
		b.overall.Increment()
	}
}

// take returns a bar for a task that starts, or nil if there are enough. The caller holds mu.
func (b *bars) take() *taskBar {
	if n := len(b.free); n > 0 {
		tb := b.free[n-1]
		b.free = b.free[:n-1]
		return tb
	}
	if b.shown == maxShown {
		return nil
	}
	b.shown++
	tb := &taskBar{}
	tb.bar = b.progress.AddBar(barUnits,
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return tb.name() }, nameColumn())),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return tb.text() })))
	return tb
}

// taskBar is the bar of a task and what it shows now.
type taskBar struct {
	bar  *mpb.Bar
	mu   sync.Mutex
	task manager.Task
}

func (tb *taskBar) name() string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return cut(taskLabel(tb.task), 25)
}

// text is what stands behind the bar.
func (tb *taskBar) text() string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if tb.task.Status.Final() {
		return " " + endText(tb.task)
	}
	took := tb.task.Duration()
	return fmt.Sprintf(" %s  %02d:%02d", progressText(tb.task), int(took.Minutes()), int(took.Seconds())%60)
}

// set moves the bar; it is full only when the task ends. A task without a bar is none of its business.
func (tb *taskBar) set(t manager.Task) {
	if tb == nil {
		return
	}
	tb.mu.Lock()
	tb.task = t
	tb.mu.Unlock()
	tb.bar.SetCurrent(min(int64(t.Progress*barUnits), barUnits-1))
}

// end leaves the bar as it is, full if the task completed.
func (tb *taskBar) end(t manager.Task) {
	if tb == nil {
		return
	}
	tb.set(t)
	if t.Status == manager.StatusCompleted {
		tb.bar.SetCurrent(barUnits)
		return
	}
	tb.bar.Abort(false)
}

func (b *bars) close() { b.once.Do(b.stop) }

func (b *bars) stop() {
	b.mu.Lock()
	for _, tb := range b.running {
		tb.bar.Abort(b.overall != nil)
	}
	for _, tb := range b.free {
		tb.bar.Abort(true)
	}
	if b.overall != nil && !b.overall.Completed() {
		b.overall.Abort(false)
	}
	b.mu.Unlock()
	b.progress.Wait()
	b.undo()
}

// aboveBars writes lines above the bars, and as they are once the bars are gone.
type aboveBars struct {
	bars  *mpb.Progress
	plain io.Writer
}

func (w aboveBars) Write(p []byte) (int, error) {
	// After a ^C that the terminal echoed, the cursor does not stand in the first column.
	if _, err := w.bars.Write(append([]byte{'\r'}, p...)); err == nil {
		return len(p), nil
	}
	return w.plain.Write(p)
}
