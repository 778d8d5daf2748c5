package main

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// How long requests are sent again when the server does not answer.
const (
	briefly   = time.Second     // somebody waits at a terminal; --patience says otherwise
	patiently = 5 * time.Minute // the command waits for a task anyway, and a server may be started again meanwhile
)

// onServer is the part of the help with the flags that say which server a command works on.
const onServer = "SERVER"

// addressFlags say which server it is.
func addressFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "server", Category: onServer, Usage: "the server's address, `URL` (default: $TASKHOST_SERVER)"},
		&cli.StringFlag{Name: "token", Category: onServer, Usage: "the `TOKEN` to show it (default: $TASKHOST_TOKEN, else the content of $TASKHOST_TOKEN_FILE)"},
		&cli.StringFlag{Name: "ca", Category: onServer, Usage: "accept certificates that the authorities in the PEM `FILE` signed, and no others"},
		&cli.DurationFlag{Name: "patience", Category: onServer, Usage: "ask a server that does not answer again for `TIME`", DefaultText: "1s; 5m for result --wait"},
	}
}

// serverFlags are the flags of every command that works on a server alone.
func serverFlags(more ...cli.Flag) []cli.Flag {
	return slices.Concat(addressFlags(), []cli.Flag{
		&cli.BoolFlag{Name: "json", Usage: "print JSON on stdout, for machines", DisableDefaultText: true},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "details of errors, whole ids", DisableDefaultText: true},
	}, more)
}

// always makes flags that elsewhere go with --data count here in any case, for the help.
func always(flags []cli.Flag) []cli.Flag {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.StringFlag:
			f.Category = ""
		case *cli.StringSliceFlag:
			f.Category = ""
		case *cli.IntFlag:
			f.Category = ""
		case *cli.DurationFlag:
			f.Category = ""
		case *cli.BoolFlag:
			f.Category = ""
		}
	}
	return flags
}

// serverURL is the server that --server or the environment names; empty: there is none. A flag that names what is on this machine, such as
// --data, comes before the environment.
func (a *app) serverURL(c *cli.Context, local ...string) (string, error) {
	for _, name := range local {
		if c.IsSet(name) && c.IsSet("server") {
			return "", usagef("give one of --server and --%s", name)
		}
		if c.IsSet(name) {
			return "", nil
		}
	}
	if c.IsSet("server") {
		return c.String("server"), nil
	}
	return a.getenv("TASKHOST_SERVER"), nil
}

// withServer makes a client for as long as f runs. The errors of f that are about the server and not about a task end the command with
// exitUsage.
func (a *app) withServer(c *cli.Context, retryFor time.Duration, f func(ctx context.Context, s *client.Client) error) error {
	address, err := a.serverURL(c)
	if err != nil {
		return err
	}
	if address == "" {
		return usagef("name the server with --server URL or $TASKHOST_SERVER, such as %s", client.DefaultURL)
	}
	if c.IsSet("patience") {
		if retryFor = c.Duration("patience"); retryFor < 0 {
			return usagef("--patience %v: it must not be less than 0", retryFor)
		}
		retryFor = max(retryFor, 1)
	}
	cfg := client.Config{BaseURL: address, UserAgent: "taskhost/" + version, RetryFor: retryFor}
	if cfg.Token, err = a.token(c); err != nil {
		return err
	}
	if file := c.String("ca"); file != "" {
		if cfg.RootCAs, err = readCAs(file); err != nil {
			return err
		}
	}
	s, err := client.New(cfg)
	if err != nil {
		return usagef("%v", err)
	}
	defer s.Close()
	return serverError(f(c.Context, s))
}

// token is what --token or the environment gives; empty: there is none.
func (a *app) token(c *cli.Context) (string, error) {
	if c.IsSet("token") {
		return c.String("token"), nil
	}
	if token := a.getenv("TASKHOST_TOKEN"); token != "" {
		return token, nil
	}
	file := a.getenv("TASKHOST_TOKEN_FILE")
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", usagef("$TASKHOST_TOKEN_FILE: %v", fileError("read", err))
	}
	return strings.TrimSpace(string(text)), nil
}

func readCAs(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usagef("--ca: %v", fileError("read", err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, usagef("--ca %s: there is no certificate in PEM form in it", file)
	}
	return pool, nil
}

// unusable is a server that cannot be used: the command line, or the environment, says the wrong thing.
type unusable struct{ err error }

func (e *unusable) Error() string { return e.err.Error() }

func (e *unusable) Unwrap() error { return e.err }

// ofTask is the error of a task, whatever its code is.
type ofTask struct{ err error }

func (e *ofTask) Error() string { return e.err.Error() }

func (e *ofTask) Unwrap() error { return e.err }

// serverError tells what the server refuses, and what it is not there for, from what it says of a task.
func serverError(err error) error {
	var e *abi.Error
	var own *ofTask
	if !errors.As(err, &e) || errors.As(err, &own) {
		return err
	}
	switch e.Code {
	case abi.CodeUnavailable, abi.CodeDenied, abi.CodeClosed, abi.CodeShutdown, abi.CodeInvalid:
		return &unusable{err}
	}
	return err
}

// lister lists tasks: a manager or a server.
type lister interface {
	List(ctx context.Context, f manager.Filter) (manager.Page, error)
}

// keeper keeps queues and schedules: a manager or a server.
type keeper interface {
	Queues(ctx context.Context) ([]manager.QueueStatus, error)
	SetLimit(ctx context.Context, l manager.Limit) error
	Schedules(ctx context.Context, after string, max int) ([]manager.Schedule, error)
	SetSchedule(ctx context.Context, s manager.Schedule) (manager.Schedule, error)
	DeleteSchedule(ctx context.Context, name string) error
	PauseSchedule(ctx context.Context, name string, paused bool) error
	TriggerSchedule(ctx context.Context, name string) (manager.Task, error)
}

// serverKeeper is a server as a keeper.
type serverKeeper struct{ *client.Client }

func (k serverKeeper) Schedules(ctx context.Context, _ string, _ int) ([]manager.Schedule, error) {
	return k.Client.Schedules(ctx)
}

// withKeeper opens the data folder of a command, or its server.
func (a *app) withKeeper(c *cli.Context, create bool, f func(ctx context.Context, k keeper) error) error {
	address, err := a.serverURL(c, "data")
	switch {
	case err != nil:
		return err
	case address == "" && a.dataDir(c) == "":
		return usagef("name the folder that keeps the tasks with --data DIR or $TASKHOST_DATA, or a server with --server URL or $TASKHOST_SERVER")
	case address == "":
		return a.withTasks(c, create, func(ctx context.Context, m *manager.Manager) error { return f(ctx, m) })
	}
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error { return f(ctx, serverKeeper{s}) })
}

// keeperFlags are the flags of every command that works on a data folder or a server.
func keeperFlags(more ...cli.Flag) []cli.Flag { return dataFlags(append(addressFlags(), more...)...) }
