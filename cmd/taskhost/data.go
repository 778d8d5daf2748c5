package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// dataFile is the file in a data folder that holds its tasks.
const dataFile = "tasks.db"

// What a data folder keeps of tasks that have ended.
const (
	keepTasks = 100_000
	keepBytes = 4 << 30
	keepAge   = 30 * 24 * time.Hour
)

func dataFlag() cli.Flag {
	return &cli.StringFlag{Name: "data", Usage: "the folder `DIR` that keeps tasks; made if need be (default: $TASKHOST_DATA, else tasks end with the command)"}
}

// dataFlags are the flags of every command that works on a data folder alone.
func dataFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "data", Usage: "the folder `DIR` that keeps the tasks (default: $TASKHOST_DATA)"},
		&cli.BoolFlag{Name: "json", Usage: "print JSON on stdout, for machines", DisableDefaultText: true},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "details of errors, whole ids", DisableDefaultText: true},
	}, more...)
}

// dataDir is the data folder that --data or the environment names; empty: there is none.
func (a *app) dataDir(c *cli.Context) string {
	if c.IsSet("data") {
		return c.String("data")
	}
	return a.getenv("TASKHOST_DATA")
}

// needData is dataDir for commands that cannot do without.
func (a *app) needData(c *cli.Context) (string, error) {
	if dir := a.dataDir(c); dir != "" {
		return dir, nil
	}
	return "", usagef("name the folder that keeps the tasks with --data DIR or $TASKHOST_DATA")
}

// openStore opens the tasks of a data folder. With create the folder and its file are made if need be.
func openStore(ctx context.Context, dir string, create bool) (*sqlitestore.Store, error) {
	file := filepath.Join(dir, dataFile)
	switch _, err := os.Stat(file); {
	case errors.Is(err, fs.ErrNotExist) && !create:
		return nil, usagef("there are no tasks in %s: no file %s; run, call, batch and work with --data make it", dir, file)
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, usagef("the data folder: %v", fileError("make", err))
		}
	case err != nil:
		return nil, usagef("the data folder: %v", fileError("use", err))
	}
	s, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: file})
	if err != nil && ctx.Err() == nil {
		return nil, usagef("the data folder %s cannot be used: %v", dir, err)
	}
	return s, err
}

// withTasks opens the data folder of a command for as long as f runs. Nothing is worked off meanwhile.
func (a *app) withTasks(c *cli.Context, create bool, f func(ctx context.Context, m *manager.Manager) error) error {
	dir, err := a.needData(c)
	if err != nil {
		return err
	}
	return a.withStore(c.Context, dir, create, func(s *sqlitestore.Store) error {
		const all = 4 << 30
		m, err := manager.New(noRunner{}, manager.Config{Store: s, KeepOnStop: true, MaxInput: all, MaxQueueBytes: all})
		if err != nil {
			return err
		}
		err = f(c.Context, m)
		if stopped := m.Stop(context.WithoutCancel(c.Context)); err == nil {
			err = stopped
		}
		return err
	})
}

// withStore opens the store of a data folder for as long as f runs.
func (a *app) withStore(ctx context.Context, dir string, create bool, f func(*sqlitestore.Store) error) error {
	s, err := openStore(ctx, dir, create)
	if err != nil {
		return err
	}
	err = f(s)
	if closed := s.Close(context.WithoutCancel(ctx)); err == nil {
		err = closed
	}
	return err
}

// noRunner is the runner of a manager that is never started.
type noRunner struct{}

func (noRunner) Run(context.Context, abi.Call, func(abi.Progress)) (abi.Result, error) {
	return abi.Result{}, abi.Errorf(abi.CodeInternal, "this command runs no tasks")
}
