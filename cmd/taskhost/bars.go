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

// bars shows a bar for each running task, and one for all of them when there are several. Lines that are written to the console
// meanwhile appear above the bars.
type bars struct {
	app      *app
	progress *mpb.Progress
	undo     func() // gives the console back

	failed  atomic.Int64
	overall *mpb.Bar
	once    sync.Once

	// mu is held while bars are told things, so nothing that draws a bar may take it.
	mu      sync.Mutex
	running map[string]*taskBar // by id
}

// taskBar is the bar of one task and what it shows now.
type taskBar struct {
	bar  *mpb.Bar
	mu   sync.Mutex
	task manager.Task
}

// barUnits is the length of a task's bar, in its own units.
const barUnits = 1000

func newBars(a *app, tasks int) *bars {
	p := mpb.New(mpb.WithOutput(a.stderr), mpb.WithAutoRefresh(), mpb.WithWidth(barWidth))
	b := &bars{app: a, progress: p, undo: a.console.divert(aboveBars{p, a.stderr}), running: map[string]*taskBar{}}
	if tasks > 1 {
		b.overall = p.AddBar(int64(tasks), mpb.BarPriority(1<<30), // below the others
			mpb.PrependDecorators(decor.Name("all tasks", nameColumn())),
			mpb.AppendDecorators(decor.CountersNoUnit("%d/%d"), decor.Any(func(decor.Statistics) string { return b.failures() }),
				decor.Elapsed(decor.ET_STYLE_MMSS, decor.WC{W: 7})))
	}
	return b
}

// barWidth is that of the bar itself, brackets included.
const barWidth = 30

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
	case manager.EventStart:
		if b.running[t.ID] == nil {
			b.running[t.ID] = b.add(t)
		}
	case manager.EventProgress:
		if tb := b.running[t.ID]; tb != nil {
			tb.set(t)
		}
	case manager.EventFinish:
		if t.Status != manager.StatusCompleted {
			b.failed.Add(1)
		}
		if tb := b.running[t.ID]; tb != nil {
			delete(b.running, t.ID)
			tb.end(t, b.overall != nil)
		}
		if b.overall != nil {
			b.overall.Increment()
		}
	}
}

func (b *bars) skipped(string, error) {
	b.failed.Add(1)
	if b.overall != nil {
		b.overall.Increment()
	}
}

// add shows a task that starts. In a batch its bar goes away at its end.
func (b *bars) add(t manager.Task) *taskBar {
	tb := &taskBar{task: t}
	options := []mpb.BarOption{
		mpb.PrependDecorators(decor.Name(cut(taskLabel(t), 25), nameColumn())),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return tb.text() }), decor.Elapsed(decor.ET_STYLE_MMSS, decor.WC{W: 7})),
	}
	if b.overall != nil {
		options = append(options, mpb.BarRemoveOnComplete())
	}
	tb.bar = b.progress.AddBar(barUnits, options...)
	tb.set(t)
	return tb
}

// text is what stands behind the bar.
func (tb *taskBar) text() string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if tb.task.Status.Final() {
		return endText(tb.task)
	}
	return progressText(tb.task)
}

// set moves the bar; it is full only when the task ends.
func (tb *taskBar) set(t manager.Task) {
	tb.mu.Lock()
	tb.task = t
	tb.mu.Unlock()
	tb.bar.SetCurrent(min(int64(t.Progress*barUnits), barUnits-1))
}

func (tb *taskBar) end(t manager.Task, drop bool) {
	tb.mu.Lock()
	tb.task = t
	tb.mu.Unlock()
	if t.Status == manager.StatusCompleted {
		tb.bar.SetCurrent(barUnits)
		return
	}
	tb.bar.Abort(drop)
}

func (b *bars) close() { b.once.Do(b.stop) }

func (b *bars) stop() {
	b.mu.Lock()
	for _, tb := range b.running {
		tb.bar.Abort(false)
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
	if n, err := w.bars.Write(p); err == nil {
		return n, nil
	}
	return w.plain.Write(p)
}
