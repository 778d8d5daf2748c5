package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
)

// app is one run of the command line: the process's surroundings, so that a test can put others in their place.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	signals        <-chan os.Signal // SIGINT and SIGTERM; nil: none
	kill           func(code int)   // ends the process at once

	verbose int // how often -v was given
	console *console
}

// run runs a command line without the program's name and returns the exit code.
func (a *app) run(args []string) int {
	a.console = &console{w: a.stderr}
	program := a.program()
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:], "--help")
	}
	args, err := reorder(program.Commands, []cli.Flag{cli.HelpFlag, versionFlag()}, args)
	a.verbose = countVerbose(args)
	ctx, stop := a.interruptible(doing(args))
	defer stop()
	if err == nil {
		err = program.RunContext(ctx, append([]string{program.Name}, args...))
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = context.Cause(ctx)
	}
	a.printError(err)
	return exitCode(err)
}

// doing is what a command does when it is interrupted.
func doing(args []string) string {
	if len(args) > 0 {
		switch args[0] {
		case "work", "serve", "bench", "dev":
			return "stopping"
		case "watch", "result", "top":
			return "no longer watching, the tasks go on"
		}
	}
	return "cancelling"
}

// program describes the command line.
func (a *app) program() *cli.App {
	usage := func(_ *cli.Context, err error, _ bool) error { return usagef("%v; see --help", err) }
	program := &cli.App{
		Name:      "taskhost",
		Usage:     "run tasks whose code is sandboxed WebAssembly plugins",
		UsageText: "taskhost COMMAND [FLAGS] [ARGUMENTS]   flags may stand anywhere; after -- everything is an argument",
		Description: "A plugin is a .wasm or .js file in the plugin folder: -p DIR, else $TASKHOST_PLUGINS, else ./plugins.\n" +
			"With --data DIR, or $TASKHOST_DATA, tasks are kept in a folder and outlast the command.\n" +
			"With --server URL, or $TASKHOST_SERVER, they are those of a server.\n" +
			"Exit codes: 0 done, 1 the task failed, 2 wrong usage, 3 plugin or task not found or refused, 124 timed out, 130 cancelled.",
		Commands: slices.Concat([]*cli.Command{
			a.runCommand(), a.callCommand(), a.batchCommand(), a.workCommand(), a.serveCommand(), a.tasksCommand(), a.queuesCommand(), a.cronCommand(), a.dbCommand(),
		}, a.remoteCommands(), []*cli.Command{
			a.newCommand(), a.buildCommand(), a.devCommand(), a.testCommand(), a.benchCommand(), a.pluginsCommand(), a.inspectCommand(),
			a.tokenCommand(), a.configCommand(), a.debugCommand(), a.healthCommand(), a.versionCommand(),
		}),
		Flags:                     []cli.Flag{versionFlag()},
		Reader:                    a.stdin,
		Writer:                    a.stdout,
		ErrWriter:                 a.stderr,
		HideVersion:               true,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		OnUsageError:              usage,
		ExitErrHandler:            func(*cli.Context, error) {}, // run does it
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				return a.printVersion(false)
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range program.Commands {
		c.HideHelpCommand, c.OnUsageError = true, usage
		for _, sub := range c.Subcommands {
			sub.HideHelpCommand, sub.OnUsageError = true, usage
		}
	}
	return program
}

func versionFlag() cli.Flag {
	return &cli.BoolFlag{Name: "version", Usage: "print the version", DisableDefaultText: true}
}

// interruptible returns a context that the first signal cancels, with an *abi.Error as its cause, and tells what the command does then.
// The second signal ends the process.
func (a *app) interruptible(doing string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-a.signals:
			case <-done:
				return
			}
			if n > 1 {
				a.kill(exitCancelled)
			}
			cancel(&abi.Error{Code: abi.CodeCancelled, Message: "cancelled"})
			a.console.printf("taskhost: %s; interrupt again to kill at once\n", doing)
		}
	})
	return ctx, func() {
		close(done)
		wg.Wait()
		cancel(nil)
	}
}
