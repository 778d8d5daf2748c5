package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/manager/sqlitestore"
)

func (a *app) dbCommand() *cli.Command {
	return &cli.Command{
		Name: "db", Usage: "look after the file of a data folder", UsageText: "taskhost db COMMAND --data DIR",
		Subcommands: []*cli.Command{
			{
				Name: "check", Usage: "check that the file is sound; others may use it meanwhile", UsageText: "taskhost db check --data DIR", Flags: dataFlags(), Action: a.dbCheck,
			},
			{
				Name: "backup", Usage: "copy the tasks into a new file; others may use them meanwhile", UsageText: "taskhost db backup --data DIR FILE",
				Flags: dataFlags(), Action: a.dbBackup,
			},
			{
				Name: "vacuum", Usage: "make the file as small as what is in it", UsageText: "taskhost db vacuum --data DIR", Flags: dataFlags(), Action: a.dbVacuum,
			},
		},
	}
}

// checkedJSON is what db check found.
type checkedJSON struct {
	File     string   `json:"file"`
	Problems []string `json:"problems"` // empty: there are none
}

func (a *app) dbCheck(c *cli.Context) error {
	dir, err := a.onlyData(c)
	if err != nil {
		return err
	}
	file, err := tasksFile(dir)
	if err != nil {
		return err
	}
	problems, err := sqlitestore.Check(c.Context, file)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		if problems == nil {
			problems = []string{}
		}
		err = a.printJSON(checkedJSON{file, problems})
	}
	if len(problems) == 0 || err != nil {
		return err
	}
	if !c.Bool("json") {
		for _, problem := range problems {
			a.console.printf("taskhost: %s\n", oneLine(problem))
		}
	}
	return fmt.Errorf("%s has %s; go back to a copy that taskhost db backup made", file, plural(len(problems), "problem"))
}

// onlyData is the data folder of a command without arguments.
func (a *app) onlyData(c *cli.Context) (string, error) {
	if args := arguments(c); len(args) > 0 {
		return "", usagef("db %s takes no arguments", c.Command.Name)
	}
	return a.needData(c)
}

// sizeJSON is a file that was written.
type sizeJSON struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

func (a *app) dbBackup(c *cli.Context) error {
	args := arguments(c)
	if len(args) != 1 {
		return usagef("db backup needs a file: taskhost db backup --data DIR FILE")
	}
	file := args[0]
	if _, err := os.Lstat(file); err == nil {
		return usagef("%s is there already; a backup replaces nothing", file)
	}
	dir, err := a.needData(c)
	if err != nil {
		return err
	}
	from, err := tasksFile(dir)
	if err != nil {
		return err
	}
	if err := sqlitestore.BackupFile(c.Context, from, file); err != nil {
		return err
	}
	return a.printSize(c, file, "%s is a copy, %s\n")
}

// tasksFile is the file of a data folder, which must be there. Another process may be using it.
func tasksFile(dir string) (string, error) {
	file := filepath.Join(dir, dataFile)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return "", usagef("there are no tasks in %s: no file %s", dir, file)
	}
	return file, nil
}

func (a *app) dbVacuum(c *cli.Context) error {
	dir, err := a.onlyData(c)
	if err != nil {
		return err
	}
	return a.withStore(c.Context, dir, false, func(s *sqlitestore.Store) error {
		if err := s.Vacuum(c.Context); err != nil {
			return err
		}
		return a.printSize(c, filepath.Join(dir, dataFile), "%s has %s now\n")
	})
}

// printSize tells of a file that was written.
func (a *app) printSize(c *cli.Context, file, format string) error {
	st, err := os.Stat(file)
	switch {
	case err != nil:
		return fileError("read", err)
	case c.Bool("json"):
		return a.printJSON(sizeJSON{file, st.Size()})
	}
	a.console.printf("taskhost: "+format, file, bytesText(st.Size()))
	return nil
}
