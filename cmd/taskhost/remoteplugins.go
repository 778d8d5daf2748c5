package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/host"
)

// pluginCommands change the plugins of a server.
func (a *app) pluginCommands() []*cli.Command {
	return []*cli.Command{
		{
			Name: "ls", Usage: "list the plugins of a folder or a server", UsageText: "taskhost plugins ls [-p DIR | --server URL] [--json]",
			Flags: slices.Concat(a.commonFlags(), addressFlags()), Action: a.pluginsAction,
		},
		{
			Name: "upload", Usage: "give a server a plugin, or a new version of one", UsageText: "taskhost plugins upload [--name NAME] [--manifest FILE.json] FILE.wasm|FILE.js|FILE.json",
			Description: "The server compiles and starts the module first; if that fails, nothing changes and the exit code is 3. The plugin is called as the file is, without\n" +
				"its extension, and the manifest is the .json file beside it, if there is one.",
			Flags: serverFlags(
				&cli.StringFlag{Name: "name", Usage: "call the plugin `NAME`", DefaultText: "as the file"},
				&cli.StringFlag{Name: "manifest", Usage: "its manifest is in `FILE`; none: it keeps that which it has", DefaultText: "the .json file beside the module"},
				&cli.BoolFlag{Name: "dry-run", Usage: "only find out whether the server accepts it", DisableDefaultText: true}),
			Action: a.uploadAction,
		},
		{
			Name: "versions", Usage: "list the versions of a plugin that a server holds", UsageText: "taskhost plugins versions NAME", Flags: serverFlags(),
			Action: a.versionsAction,
		},
		{
			Name: "rollback", Usage: "make an older version of a plugin current again", UsageText: "taskhost plugins rollback NAME [DIGEST]",
			Description: "Without a digest it is the version before. A digest may be shortened.", Flags: serverFlags(), Action: a.rollbackAction,
		},
		{
			Name: "disable", Usage: "let the tasks of plugins wait; those that run go on", UsageText: "taskhost plugins disable NAME...", Flags: serverFlags(),
			Action: func(c *cli.Context) error {
				return a.eachPlugin(c, "disabled", func(ctx context.Context, s *client.Client, name string) error {
					_, err := s.Disable(ctx, name)
					return err
				})
			},
		},
		{
			Name: "enable", Usage: "let the tasks of plugins run again", UsageText: "taskhost plugins enable NAME...", Flags: serverFlags(),
			Action: func(c *cli.Context) error {
				return a.eachPlugin(c, "enabled", func(ctx context.Context, s *client.Client, name string) error {
					_, err := s.Enable(ctx, name)
					return err
				})
			},
		},
		{
			Name: "rm", Usage: "remove plugins and their files from a server", UsageText: "taskhost plugins rm NAME...", Flags: serverFlags(),
			Action: func(c *cli.Context) error {
				return a.eachPlugin(c, "removed", func(ctx context.Context, s *client.Client, name string) error { return s.RemovePlugin(ctx, name) })
			},
		},
	}
}

// remotePlugins lists the plugins of a server.
func (a *app) remotePlugins(c *cli.Context) error {
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
		list, err := s.Plugins(ctx)
		switch {
		case err != nil:
			return err
		case c.Bool("json"):
			if list == nil {
				list = []client.Plugin{}
			}
			return a.printJSON(list)
		case len(list) == 0:
			a.console.printf("taskhost: the server has no plugin yet; taskhost plugins upload brings one\n")
			return nil
		}
		infos := make([]host.PluginInfo, len(list))
		disabled := map[string]bool{}
		for i := range list {
			infos[i], disabled[list[i].Name] = list[i].PluginInfo, list[i].Disabled
		}
		return a.printPlugins(infos, disabled)
	})
}

func (a *app) uploadAction(c *cli.Context) error {
	args := arguments(c)
	if len(args) != 1 {
		return usagef("plugins upload needs one file: taskhost plugins upload FILE")
	}
	name, u, err := readUpload(args[0], c.String("manifest"), c.String("name"))
	if err != nil {
		return err
	}
	u.DryRun = c.Bool("dry-run")
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
		v, err := s.Upload(ctx, name, u)
		switch {
		case err != nil:
			return err
		case c.Bool("json"):
			return a.printJSON(v)
		case u.DryRun:
			a.console.printf("taskhost: the server accepts %s as version %s; nothing was changed\n", name, v.Digest.Short())
		default:
			a.console.printf("taskhost: version %s of %s is current\n", v.Digest.Short(), name)
		}
		return nil
	})
}

// readUpload reads the files that make a plugin, and its name unless there is one.
func readUpload(file, manifest, name string) (string, client.Upload, error) {
	var u client.Upload
	ext := filepath.Ext(file)
	base := strings.TrimSuffix(file, ext)
	if name == "" {
		name = filepath.Base(base)
	}
	if !abi.ValidName(name) {
		return name, u, usagef("%q cannot name a plugin: give it another with --name", name)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return name, u, usagef("%v", fileError("read", err))
	}
	if ext == ".json" {
		if manifest != "" {
			return name, u, usagef("%s is a manifest already; give the module and --manifest, or one of them", file)
		}
		u.Manifest = content
		return name, u, nil
	}
	if script(file) {
		u.Script, u.Extension = content, ext
	} else {
		u.Wasm = content
	}
	beside := manifest == ""
	if beside {
		manifest = base + ".json"
	}
	u.Manifest, err = os.ReadFile(manifest)
	if beside && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return name, u, usagef("%v", fileError("read", err))
	}
	return name, u, nil
}

// onePlugin is the argument of a command that works on one plugin; max is how many arguments it takes.
func onePlugin(c *cli.Context, max int) ([]string, error) {
	args := arguments(c)
	if len(args) < 1 || len(args) > max {
		return nil, usagef("plugins %s needs a plugin: %s; taskhost plugins ls shows what there is", c.Command.Name, c.Command.UsageText)
	}
	return args, nil
}

func (a *app) versionsAction(c *cli.Context) error {
	args, err := onePlugin(c, 1)
	if err != nil {
		return err
	}
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
		list, err := s.Versions(ctx, args[0])
		switch {
		case err != nil:
			return err
		case c.Bool("json"):
			if list == nil {
				list = []abi.VersionInfo{}
			}
			return a.printJSON(list)
		}
		t := &table{}
		t.add("DIGEST", "LOADED", "SIZE", "RUNNING", "STATE")
		for _, v := range list {
			state := "older"
			if v.Current {
				state = "current"
			}
			digest := v.Digest.Short()
			if a.verbose > 0 {
				digest = string(v.Digest)
			}
			t.add(digest, ageText(time.Since(v.LoadedAt))+" ago", bytesText(v.Size), fmt.Sprint(v.Running), state)
		}
		return t.write(a.stdout, func(row, _ int, cell string) string {
			if row == 0 {
				return a.paint(a.stdout, bold, cell)
			}
			return cell
		})
	})
}

func (a *app) rollbackAction(c *cli.Context) error {
	args, err := onePlugin(c, 2)
	if err != nil {
		return err
	}
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
		var digest abi.Digest
		if len(args) == 2 {
			if digest, err = findVersion(ctx, s, args[0], args[1]); err != nil {
				return err
			}
		}
		v, err := s.Rollback(ctx, args[0], digest)
		switch {
		case err != nil:
			return err
		case c.Bool("json"):
			return a.printJSON(v)
		}
		a.console.printf("taskhost: version %s of %s is current\n", v.Digest.Short(), args[0])
		return nil
	})
}

// findVersion completes a digest that was typed.
func findVersion(ctx context.Context, s *client.Client, plugin, typed string) (abi.Digest, error) {
	list, err := s.Versions(ctx, plugin)
	if err != nil {
		return "", err
	}
	var found []abi.Digest
	for _, v := range list {
		if strings.HasPrefix(string(v.Digest), typed) || strings.HasPrefix(strings.TrimPrefix(string(v.Digest), "sha256:"), typed) {
			found = append(found, v.Digest)
		}
	}
	switch len(found) {
	case 0:
		return "", abi.Errorf(abi.CodeNotFound, "the server holds no version %q of %s; taskhost plugins versions %s shows what there is", typed, plugin, plugin)
	case 1:
		return found[0], nil
	}
	return "", usagef("%q could be %d versions; write more of the digest", typed, len(found))
}

// changedPluginsJSON is what was done to plugins.
type changedPluginsJSON struct {
	Plugins []string      `json:"plugins"`
	Errors  []pluginError `json:"errors,omitempty"`
}

type pluginError struct {
	Plugin string     `json:"plugin"`
	Error  *abi.Error `json:"error"`
}

// eachPlugin does something to the plugins that are named. It goes on past those that are not there.
func (a *app) eachPlugin(c *cli.Context, done string, do func(ctx context.Context, s *client.Client, name string) error) error {
	names, err := onePlugin(c, 1000)
	if err != nil {
		return err
	}
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
		out := changedPluginsJSON{Plugins: []string{}}
		for _, name := range names {
			err := do(ctx, s, name)
			switch e := abi.AsError(err); {
			case err == nil:
				out.Plugins = append(out.Plugins, name)
				if !c.Bool("json") {
					a.console.printf("taskhost: %s is %s\n", name, done)
				}
			case e.Code == abi.CodeNotFound:
				out.Errors = append(out.Errors, pluginError{name, e})
				if !c.Bool("json") {
					a.console.printf("taskhost: %s: %s\n", name, errorLine(err))
				}
			default:
				return err
			}
		}
		if c.Bool("json") {
			if err := a.printJSON(out); err != nil {
				return err
			}
		}
		if len(out.Errors) > 0 {
			return &reported{exitCode(out.Errors[0].Error)}
		}
		return nil
	})
}
