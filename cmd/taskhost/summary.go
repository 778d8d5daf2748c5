package main

import (
	"context"
	"fmt"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// fewFiles is how many rows the table of a batch has at most when nothing failed and there is no -v.
const fewFiles = 25

// batchJSON is a batch as --json prints it.
type batchJSON struct {
	Tasks []taskJSON `json:"tasks"`
	counts
	Duration int64 `json:"duration_ns"`
}

// counts are the tasks of a batch by how they ended.
type counts struct {
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
	Skipped   int `json:"skipped,omitempty"` // of those that completed: an earlier run did them
}

// report tells how the batch went: a table on stderr, or JSON on stdout. The error carries the exit code.
func (b *batch) report(ctx context.Context, took time.Duration) error {
	n := b.count()
	var err error
	if b.options.json {
		err = b.printJSON(n, took)
	} else {
		err = b.printTable(n, took)
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil && n.Cancelled > 0:
		return &reported{exitCancelled}
	case n.Failed+n.Cancelled > 0:
		return &reported{exitFailed}
	}
	return nil
}

func (b *batch) count() counts {
	var n counts
	for _, it := range b.items {
		switch it.status() {
		case manager.StatusCompleted:
			n.Completed++
			if it.skipped {
				n.Skipped++
			}
		case manager.StatusCancelled:
			n.Cancelled++
		default:
			n.Failed++
		}
	}
	return n
}

// status is how a file's task ended; what never began because the batch was interrupted counts as cancelled.
func (it *item) status() manager.Status {
	switch {
	case !it.done, abi.CodeOf(it.err) == abi.CodeCancelled:
		return manager.StatusCancelled
	case it.err != nil:
		return manager.StatusFailed
	}
	return manager.StatusCompleted
}

func (b *batch) printJSON(n counts, took time.Duration) error {
	out := batchJSON{Tasks: []taskJSON{}, counts: n, Duration: int64(took)}
	for i := range b.items {
		it := &b.items[i]
		v := newTaskJSON(it.task, it.err)
		v.File, v.Written, v.Status, v.Skipped = it.file, it.written, it.status(), it.skipped
		out.Tasks = append(out.Tasks, v)
	}
	return b.app.printJSON(out)
}

// printTable prints a row for each file; of a large batch only those that did not complete, unless -v is given.
func (b *batch) printTable(n counts, took time.Duration) error {
	a := b.app
	all := len(b.items) <= fewFiles || a.verbose > 0
	t := &table{}
	t.add("FILE", "STATUS", "TIME", "MEMORY", "RESULT")
	var states []manager.Status
	for i := range b.items {
		it := &b.items[i]
		status := it.status()
		if !it.done || status == manager.StatusCompleted && !all {
			continue
		}
		states = append(states, status)
		t.add(b.row(it)...)
	}
	if len(states) > 0 {
		err := t.write(a.stderr, func(row, column int, cell string) string {
			switch {
			case row == 0:
				return a.paint(a.stderr, bold, cell)
			case column == 1:
				return a.paint(a.stderr, statusColour(states[row-1]), cell)
			}
			return cell
		})
		if err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%d of %d files completed", n.Completed, len(b.items))
	if n.Skipped > 0 {
		text += fmt.Sprintf(" (%d by an earlier run)", n.Skipped)
	}
	if n.Failed > 0 {
		text += fmt.Sprintf(", %d failed", n.Failed)
	}
	if n.Cancelled > 0 {
		text += fmt.Sprintf(", %d cancelled", n.Cancelled)
	}
	_, err := fmt.Fprintf(a.stderr, "%s in %s; results are in %s\n", text, durationText(took), b.target.dir)
	return err
}

func (b *batch) row(it *item) []string {
	status, result := string(it.status()), it.written
	if it.skipped {
		status = "skipped"
	}
	if it.err != nil {
		result = cut(errorLine(it.err), 160)
		if code := abi.CodeOf(it.err); it.status() == manager.StatusFailed && it.task.ID != "" {
			status += " (" + string(code) + ")"
		}
	}
	used, memory := "-", "-"
	if it.task.ID != "" {
		used, memory = durationText(it.task.Duration()), bytesText(int64(it.task.Usage.PeakMemory))
	}
	return []string{oneLine(it.file), status, used, memory, oneLine(result)}
}

func statusColour(s manager.Status) string {
	switch s {
	case manager.StatusCompleted:
		return green
	case manager.StatusCancelled:
		return yellow
	}
	return red
}
