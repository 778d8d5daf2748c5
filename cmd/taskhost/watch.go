package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

func (a *app) watchCommand() *cli.Command {
	return &cli.Command{
		Name: "watch", Usage: "show live how far tasks of a server are", UsageText: "taskhost watch [FLAGS] [ID...]           without ids: all tasks that match the flags",
		Description: "With ids it ends when these tasks have, with the exit code of the first that did not complete. Without, it goes on until Ctrl-C.\n" +
			"Ctrl-C leaves the tasks alone. With --json each event is a line.",
		Flags: serverFlags(append(selectFlags(),
			&cli.StringFlag{Name: "progress", Value: "auto", Usage: "`MODE` is auto (bars on a terminal, else lines), bar, plain or none"})...),
		Action: a.watchAction,
	}
}

func (a *app) watchAction(c *cli.Context) error {
	typed := arguments(c)
	f, given, err := filter(c)
	switch {
	case err != nil:
		return err
	case given && len(typed) > 0:
		return usagef("watch takes either ids or flags that select tasks")
	}
	mode, err := a.progressMode(c.String("progress"))
	if err != nil {
		return err
	}
	if mode == progressNone && c.String("progress") == "auto" && !c.Bool("json") {
		mode = progressPlain
	}
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
		w := &watching{app: a, server: s, json: c.Bool("json"), running: map[string]bool{}}
		ids, err := findTasks(ctx, s, typed)
		if err != nil {
			return err
		}
		w.display = a.newDisplay(mode, len(ids))
		defer w.display.close()
		if len(ids) > 0 {
			err = w.named(ctx, ids)
		} else {
			err = w.matching(ctx, f)
		}
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return &reported{exitCancelled} // it was told that it leaves
		}
		return err
	})
}

// watching is one run of watch.
type watching struct {
	app     *app
	server  *client.Client
	display display
	json    bool

	running map[string]bool // ids of tasks that are shown as running
}

// matching shows the tasks that match, until ctx ends.
func (w *watching) matching(ctx context.Context, f manager.Filter) error {
	for e, err := range w.server.Events(ctx, f) {
		if err == nil {
			err = w.show(&e)
		}
		if err == nil && e.Kind == client.EventReset {
			err = w.seed(ctx, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// seed shows what runs now, and ends what has ended meanwhile.
func (w *watching) seed(ctx context.Context, f manager.Filter) error {
	f.Status, f.Limit = []manager.Status{manager.StatusRunning}, manager.MaxPage
	page, err := w.server.List(ctx, f)
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for id := range w.running {
		gone[id] = page.Next == "" // else it may be on a further page
	}
	for i := range page.Tasks {
		delete(gone, page.Tasks[i].ID)
		w.state(&page.Tasks[i], time.Now())
	}
	for id, is := range gone {
		if !is {
			continue
		}
		switch t, err := w.server.Look(ctx, id); {
		case abi.CodeOf(err) == abi.CodeNotFound:
			delete(w.running, id)
		case err != nil:
			return err
		default:
			w.state(&t, time.Now())
		}
	}
	return nil
}

// named shows tasks until they have ended.
func (w *watching) named(ctx context.Context, ids []string) error {
	open, ended := map[string]bool{}, map[string]error{}
	for _, id := range ids {
		open[id] = true
	}
	for e, err := range w.events(ctx, ids) {
		if err == nil && (open[e.Task.ID] || e.Task.ID == "") {
			err = w.take(&e, open, ended)
		}
		if err == nil && e.Kind == client.EventReset {
			err = w.read(ctx, open, ended)
		}
		if err != nil {
			return err
		}
		if len(open) == 0 {
			break
		}
	}
	for _, id := range ids {
		if err := ended[id]; err != nil {
			return &reported{exitCode(err)}
		}
	}
	return nil
}

// events are those of tasks, and of others where there are many.
func (w *watching) events(ctx context.Context, ids []string) iter.Seq2[manager.Event, error] {
	switch n := len(ids); {
	case n == 1:
		return w.server.Watch(ctx, ids[0])
	case n <= client.MaxNamed:
		return w.server.EventsOf(ctx, ids)
	}
	return w.server.Events(ctx, manager.Filter{})
}

// take shows an event, and notes that a task has ended.
func (w *watching) take(e *manager.Event, open map[string]bool, ended map[string]error) error {
	if e.Task.Status.Final() {
		delete(open, e.Task.ID)
		ended[e.Task.ID] = e.Task.Err()
	}
	return w.show(e)
}

// read looks at all tasks that have not ended.
func (w *watching) read(ctx context.Context, open map[string]bool, ended map[string]error) error {
	for id := range open {
		t, err := w.server.Look(ctx, id)
		if err == nil {
			err = w.take(&manager.Event{Kind: "state", Time: time.Now(), Task: t}, open, ended)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eventJSON is an event without a task.
type eventJSON struct {
	Kind  manager.EventKind `json:"kind"`
	Time  time.Time         `json:"time"`
	Error *abi.Error        `json:"error,omitempty"`
}

// show shows an event.
func (w *watching) show(e *manager.Event) error {
	if w.json {
		var v any = e
		if e.Task.ID == "" {
			v = eventJSON{e.Kind, e.Time, abi.AsError(e.Error)}
		}
		line, err := json.Marshal(v)
		if err == nil {
			_, err = fmt.Fprintf(w.app.stdout, "%s\n", line)
		}
		if err != nil {
			return fileError("write the events", err)
		}
	}
	switch {
	case e.Kind == client.EventDown && !w.json:
		w.app.console.printf("taskhost: %s; connecting again\n", errorLine(e.Error))
	case e.Task.ID != "":
		w.state(&e.Task, e.Time)
	}
	return nil
}

// state shows a task as it is at a time.
func (w *watching) state(t *manager.Task, at time.Time) {
	e := manager.Event{Kind: manager.EventProgress, Time: at, Task: *t}
	switch {
	case t.Status.Final():
		e.Kind = manager.EventFinish
		delete(w.running, t.ID)
	case t.Status == manager.StatusPending:
		return
	case !w.running[t.ID]:
		e.Kind = manager.EventStart
		w.running[t.ID] = true
	}
	w.display.event(e)
}
