package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/builtin"
)

func (a *app) inspectCommand() *cli.Command {
	return &cli.Command{
		Name: "inspect", Usage: "show everything about one plugin, of a folder or a server, or about a file",
		UsageText: "taskhost inspect [-p DIR | --server URL] [--json] PLUGIN\n\n" +
			"taskhost inspect [--json] FILE          a FILE has a / in its name, or ends in .wasm",
		Flags: slices.Concat(a.commonFlags(), addressFlags(), []cli.Flag{
			&cli.IntFlag{Name: "top", Value: 5, Usage: "show the `N` functions that have most code"},
		}),
		Action: a.inspectAction,
	}
}

func (a *app) inspectAction(c *cli.Context) error {
	args := arguments(c)
	if len(args) != 1 {
		return usagef("inspect needs one plugin or file: taskhost inspect PLUGIN; taskhost plugins shows what there is")
	}
	top := c.Int("top")
	if top < 0 {
		return usagef("--top %d: it must be 0 or more", top)
	}
	if isFile(args[0]) {
		p, err := a.inspectFile(c.Context, args[0], top)
		if err != nil {
			return err
		}
		return a.printPlugin(c, p, p)
	}
	address, err := a.serverURL(c, "plugins")
	if err != nil {
		return err
	}
	if address != "" {
		return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
			p, err := s.Plugin(ctx, args[0])
			if err != nil {
				return err
			}
			return a.printPlugin(c, p, p.PluginInfo)
		})
	}
	dir, err := a.pluginDir(c)
	if err != nil {
		return err
	}
	return a.withHost(c.Context, dir, args, func(h *host.Host) error {
		p, err := h.Inspect(args[0])
		if err != nil && p.Name == "" {
			return err
		}
		if src, err := host.ReadSource(dir, args[0], p.Limits.Module, builtin.Extensions()...); err == nil {
			p.Modules = host.Examine(src, top).Modules
		}
		return a.printPlugin(c, p, p)
	})
}

// printPlugin prints a plugin, v as JSON or p as text. One that was refused gives an exit code of its own.
func (a *app) printPlugin(c *cli.Context, v any, p host.PluginInfo) error {
	var err error
	if c.Bool("json") {
		err = a.printJSON(v)
	} else {
		_, err = fmt.Fprint(a.stdout, a.inspectText(p))
	}
	if err == nil && p.State == host.StateRefused {
		return &reported{exitNoPlugin}
	}
	return err
}

// inspectText is all that is known of a plugin, one thing a line.
func (a *app) inspectText(p host.PluginInfo) string {
	f := &facts{app: a}
	f.line("name", p.Name)
	f.line("state", string(p.State))
	f.line("error", oneLine(p.Error))
	f.line("description", oneLine(p.Description))
	f.line("file", p.Path)
	f.line("digest", string(p.Digest))
	if !p.LoadedAt.IsZero() {
		f.line("loaded", p.LoadedAt.Format(time.RFC3339))
	}
	f.line("form", string(p.Form))
	f.line("toolchain", oneLine(p.Toolchain))
	if p.Size > 0 {
		f.line("size", bytesText(p.Size))
	}
	f.list("functions", functionLines(p))
	if len(p.Modules) == 0 {
		f.list("imports", lines(p.Imports))
	}
	f.list("stubbed", lines(p.StubbedImports))
	f.modules(p.Modules)
	if p.State == host.StateRefused {
		f.list("hints", hintLines(p))
		return f.text.String()
	}
	f.list("limits", limitLines(p.Limits))
	f.line("isolation", string(p.Isolation))
	f.line("sandbox", oneLine(p.Sandbox))
	f.line("instances", fmt.Sprintf("at most %d at once", p.MaxInstances))
	f.list("config", pairLines(p.Config))
	f.list("allowed hosts", lines(p.AllowedHosts))
	f.list("allowed paths", pairLines(p.AllowedPaths))
	f.list("hints", hintLines(p))
	if len(p.Versions) > 1 {
		for i, v := range p.Versions {
			key := ""
			if i == 0 {
				key = "versions"
			}
			f.line(key, fmt.Sprintf("%s %s %s", v.Digest.Short(), v.LoadedAt.Format(time.RFC3339), bytesText(v.Size)))
		}
	}
	return f.text.String()
}

func functionLines(p host.PluginInfo) []string {
	var out []string
	for _, f := range p.Functions {
		text := oneLine(f.Name)
		if f.Name == p.Default {
			text += " (default)"
		}
		if f.Description != "" {
			text += ": " + oneLine(f.Description)
		}
		out = append(out, text)
	}
	return out
}

// hintLines are the plugin's hints, each on lines that fit a terminal.
func hintLines(p host.PluginInfo) []string {
	var out []string
	for _, h := range p.Hints {
		out = append(out, hanging(oneLine(h))...)
	}
	return out
}

func limitLines(l abi.Limits) []string {
	return []string{
		"memory " + bytesText(l.Memory), "kernel memory " + bytesText(l.KernelMemory), "output " + bytesText(l.Output),
		"log " + bytesText(l.Log), "run time " + durationText(l.RunTime), "module " + bytesText(l.Module),
		"HTTP response " + bytesText(l.HTTPResponse), "vars " + bytesText(max(0, l.Vars)),
	}
}

func lines(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = oneLine(v)
	}
	return out
}

func pairLines(m map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, oneLine(k+" = "+m[k]))
	}
	return out
}
