package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/project"
)

func (a *app) buildCommand() *cli.Command {
	return &cli.Command{
		Name: "build", Usage: "build a plugin from its sources, with the tools of its language",
		UsageText: "taskhost build [--debug] [--json] [DIR]\n\n" +
			"DIR is the folder with the sources, by default this one. The plugin goes into DIR/build, which is a plugin folder.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "debug", Usage: "keep names and lines of the sources, for the stacks of traps", DisableDefaultText: true},
			&cli.BoolFlag{Name: "json", Usage: "print JSON on stdout, for machines", DisableDefaultText: true},
		},
		Action: a.buildAction,
	}
}

// buildJSON is what build prints with --json.
type buildJSON struct {
	Name     string       `json:"name"`
	Lang     project.Lang `json:"lang,omitempty"`
	Plugin   string       `json:"plugin"`
	Manifest string       `json:"manifest,omitempty"`
	Size     int64        `json:"size"`
	Duration int64        `json:"duration_ns"`
}

func (a *app) buildAction(c *cli.Context) error {
	p, err := loadProject(arguments(c))
	if err != nil {
		return err
	}
	p.Debug = c.Bool("debug")
	out, err := p.Build(c.Context, a.stderr)
	if err != nil {
		return err
	}
	out.Plugin, out.Manifest = shortPath(out.Plugin), shortPath(out.Manifest)
	if c.Bool("json") {
		return a.printJSON(buildJSON{p.Name, p.Lang, out.Plugin, out.Manifest, out.Size, int64(out.Took)})
	}
	fmt.Fprintf(a.stdout, "%s  %s  %s\n", out.Plugin, bytesText(out.Size), durationText(out.Took))
	return nil
}

// loadProject loads the project in the folder that a command's arguments name, by default this one, and checks its manifest.
func loadProject(args []string) (*project.Project, error) {
	dir := "."
	switch len(args) {
	case 0:
	case 1:
		dir = args[0]
	default:
		return nil, usagef("one folder is built at a time, not %d", len(args))
	}
	p, err := project.Load(dir)
	if err != nil {
		return nil, usagef("%v", err)
	}
	manifest := filepath.Join(p.Dir, p.Name+".json")
	data, err := os.ReadFile(manifest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, nil
	case err != nil:
		return nil, abi.Errorf(abi.CodeRefused, "%w", err)
	}
	if _, err := host.ParseManifest(shortPath(manifest), data); err != nil {
		return nil, abi.Errorf(abi.CodeRefused, "%w", err)
	}
	return p, nil
}

// shortPath is a path as it is written from here, if that is shorter.
func shortPath(path string) string {
	here, err := os.Getwd()
	if err != nil || path == "" {
		return path
	}
	rel, err := filepath.Rel(here, path)
	if err != nil || len(rel) >= len(path) {
		return path
	}
	return rel
}
