package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// fewStreams is how many named tasks have a stream of events each; of more, all events are read, and those of others left out.
const fewStreams = 16

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
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan manager.Event)
	failed := make(chan error, len(ids)+1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	send := func(e manager.Event) bool {
		select {
		case events <- e:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if len(ids) <= fewStreams {
		for _, id := range ids {
			wg.Go(func() { failed <- w.follow(ctx, id, send) })
		}
	} else {
		wg.Go(func() { failed <- w.followAll(ctx, ids, send) })
	}
	open := map[string]bool{}
	for _, id := range ids {
		open[id] = true
	}
	ended := map[string]error{}
	for len(open) > 0 {
		select {
		case e := <-events:
			if err := w.show(&e); err != nil {
				return err
			}
			if e.Task.Status.Final() {
				delete(open, e.Task.ID)
				ended[e.Task.ID] = e.Task.Err()
			}
		case err := <-failed:
			if err != nil {
				return err
			}
		}
	}
	for _, id := range ids {
		if err := ended[id]; err != nil {
			return &reported{exitCode(err)}
		}
	}
	return nil
}

// follow sends the events of one task, to its end.
func (w *watching) follow(ctx context.Context, id string, send func(manager.Event) bool) error {
	for e, err := range w.server.Watch(ctx, id) {
		if err != nil {
			return err
		}
		if !send(e) {
			break
		}
	}
	return nil
}

// followAll sends the events of many tasks, until send tells it to end.
func (w *watching) followAll(ctx context.Context, ids []string, send func(manager.Event) bool) error {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	for e, err := range w.server.Events(ctx, manager.Filter{}) {
		if err != nil {
			return err
		}
		if wanted[e.Task.ID] || e.Task.ID == "" {
			if wanted[e.Task.ID] && e.Task.Status.Final() {
				delete(wanted, e.Task.ID)
			}
			if !send(e) {
				return nil
			}
		}
		if e.Kind != client.EventReset {
			continue
		}
		for id := range wanted {
			t, err := w.server.Look(ctx, id)
			if err != nil {
				return err
			}
			if t.Status.Final() {
				delete(wanted, id)
			}
			if !send(manager.Event{Kind: kindOf(t.Status), Time: time.Now(), Task: t}) {
				return nil
			}
		}
	}
	return nil
}

// kindOf is the kind of event that a task's status may come from.
func kindOf(s manager.Status) manager.EventKind {
	switch {
	case s.Final():
		return manager.EventFinish
	case s == manager.StatusPending:
		return manager.EventSubmit
	}
	return manager.EventProgress
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
