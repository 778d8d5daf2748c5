package main

import (
	"context"
	"errors"
	"io"

	tea "charm.land/bubbletea/v2"
	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

func (a *app) topCommand() *cli.Command {
	return &cli.Command{
		Name: "top", Usage: "watch a server on the whole screen", UsageText: "taskhost top [FILTER]...",
		Description: "Running tasks with bars, queues, recent failures, and plugins by what they cost. Press ? for the keys. For machines there is taskhost watch --json.",
		Flags:       append(serverFlags(), selectFlags()...), Action: a.topAction,
	}
}

func (a *app) topAction(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("top takes no arguments; taskhost watch %s shows one task", args[0])
	}
	if c.Bool("json") {
		return usagef("top has no JSON: taskhost watch --json prints what happens, taskhost ls --json what there is")
	}
	if !isTerminal(a.stdin) || !isTerminal(a.stdout) || a.getenv("TERM") == "dumb" {
		return usagef("top needs a terminal: taskhost watch --json prints what happens without one, taskhost ls what there is")
	}
	f, _, err := filter(c)
	if err != nil {
		return err
	}
	return a.withServer(c, -1, func(ctx context.Context, s *client.Client) error {
		if _, err := s.Stats(ctx); err != nil { // told here, where it stays on the screen
			return err
		}
		m := newTop(s, f, a.getenv("NO_COLOR") == "")
		defer m.close()
		undo := a.console.divert(io.Discard)
		_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(a.stdin), tea.WithOutput(a.stdout), tea.WithoutSignalHandler()).Run()
		undo()
		switch {
		case ctx.Err() != nil:
			a.console.printf("taskhost: no longer watching, the tasks go on\n")
			return &reported{exitCancelled}
		case errors.Is(err, tea.ErrProgramKilled):
			return nil
		}
		return err
	})
}

// topPanel is a part of the screen.
type topPanel int

// The parts, from above.
const (
	panelRunning topPanel = iota
	panelQueues
	panelFailures
	panelPlugins
	panels
)

func (p topPanel) String() string {
	return [...]string{"Running", "Queues", "Failures", "Plugins"}[p]
}

// topMode is what keys mean.
type topMode int

const (
	modeLook    topMode = iota
	modeConfirm         // y or n
	modeFilter          // text
	modeHelp            // any key goes back
)

// top is the state of the screen. It is changed in Update alone.
type top struct {
	server *client.Client
	base   manager.Filter // of the command line
	ctx    context.Context
	stop   context.CancelFunc
	colour bool

	width, height int
	focus         topPanel
	mode          topMode
	chosen        [panels]string // the key of the row that is chosen
	index         [panels]int    // where it was
	first         [panels]int    // the first row that is shown

	typed   string // the filter
	typing  string // while it is typed
	confirm topAction
	said    string // what came of the last action
	bad     bool   // ... and it was an error
	told    string // what is said once the screen shows it, too

	data    topData
	failed  error // why the last look failed
	looking bool
	again   bool // look again at once
}

// topAction is something that is done to the server.
type topAction struct {
	ask  string // the question before it
	done string // what is told after it
	do   func(ctx context.Context) error
}

func newTop(s *client.Client, base manager.Filter, colour bool) *top {
	ctx, stop := context.WithCancel(context.Background())
	return &top{server: s, base: base, ctx: ctx, stop: stop, colour: colour, width: 80, height: 24}
}

// close ends looks and actions that are under way.
func (m *top) close() { m.stop() }

// Init begins with the first look at the server.
func (m *top) Init() tea.Cmd { return m.look() }
