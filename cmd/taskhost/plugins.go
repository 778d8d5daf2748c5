package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

func (a *app) pluginsCommand() *cli.Command {
	return &cli.Command{
		Name: "plugins", Usage: "list the plugins of a folder or a server, and change those of a server",
		UsageText: "taskhost plugins [-p DIR | --server URL] [--json]\n\ntaskhost plugins COMMAND --server URL [FLAGS] [NAME]...",
		Flags:     slices.Concat(a.commonFlags(), addressFlags()), Action: a.pluginsAction, Subcommands: a.pluginCommands(),
	}
}

func (a *app) pluginsAction(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("plugins takes no arguments; taskhost inspect %s shows one plugin", args[0])
	}
	address, err := a.serverURL(c, "plugins")
	if err != nil {
		return err
	}
	if address != "" {
		return a.remotePlugins(c)
	}
	dir, err := a.pluginDir(c)
	if err != nil {
		return err
	}
	return a.withHost(c.Context, dir, nil, func(h *host.Host) error {
		list := h.Plugins()
		if c.Bool("json") {
			if list == nil {
				list = []host.PluginInfo{}
			}
			return a.printJSON(list)
		}
		if len(list) == 0 {
			a.console.printf("taskhost: there is no plugin in %s yet: put .wasm or .js files in\n", dir)
			return nil
		}
		return a.printPlugins(list, nil)
	})
}

// withHost loads the named plugins of a folder, or all, for as long as f runs.
func (a *app) withHost(ctx context.Context, dir string, only []string, f func(*host.Host) error) error {
	cfg := a.hostConfig(dir)
	log, _ := a.logger()
	cfg.Only, cfg.Logger = only, log
	h, err := host.New(ctx, cfg)
	if err != nil {
		return err
	}
	err = f(h)
	if closed := h.Close(context.WithoutCancel(ctx)); err == nil {
		err = closed
	}
	return err
}

func (a *app) printPlugins(list []host.PluginInfo, disabled map[string]bool) error {
	t := &table{}
	t.add("NAME", "DIGEST", "FUNCTIONS", "FORM", "TOOLCHAIN", "SIZE", "LIMITS", "STATE")
	for _, p := range list {
		if p.State == host.StateRefused {
			t.add(p.Name, "-", "-", "-", "-", "-", "-", stateText(p, disabled))
			continue
		}
		t.add(p.Name, p.Digest.Short(), functionsText(p), string(p.Form), orDash(cut(oneLine(p.Toolchain), 28)), bytesText(p.Size), limitsText(p.Limits),
			stateText(p, disabled))
	}
	return t.write(a.stdout, func(row, column int, cell string) string {
		switch {
		case row == 0:
			return a.paint(a.stdout, bold, cell)
		case column == 7 && list[row-1].State == host.StateRefused:
			return a.paint(a.stdout, red, cell)
		case column == 7 && list[row-1].State == host.StateStale:
			return a.paint(a.stdout, yellow, cell)
		}
		return cell
	})
}

// functionsText names a plugin's functions, the default one with a star, as far as they fit.
func functionsText(p host.PluginInfo) string {
	const most = 4
	var names []string
	for i, f := range p.Functions {
		if i == most {
			names = append(names, fmt.Sprintf("+%d", len(p.Functions)-most))
			break
		}
		name := cut(oneLine(f.Name), 30)
		if f.Name == p.Default && len(p.Functions) > 1 {
			name += "*"
		}
		names = append(names, name)
	}
	return orDash(strings.Join(names, " "))
}

// limitsText is the short form for the table; inspect shows all.
func limitsText(l abi.Limits) string {
	return strings.ReplaceAll(fmt.Sprintf("%s, %s", bytesText(l.Memory), durationText(l.RunTime)), "iB", "")
}

func stateText(p host.PluginInfo, disabled map[string]bool) string {
	text := string(p.State)
	if disabled[p.Name] {
		text += ", disabled"
	}
	switch n := len(p.Hints); {
	case n == 1:
		text += ", 1 hint"
	case n > 1:
		text += fmt.Sprintf(", %d hints", n)
	}
	if p.Error == "" {
		return text
	}
	return text + ": " + cut(oneLine(p.Error), 160)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
