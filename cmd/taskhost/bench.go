package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/builtin"
)

func (a *app) benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "measure a plugin: calls a second, latencies, ticks, memory, start",
		UsageText: "taskhost bench [FLAGS] PLUGIN[:FUNCTION]|FILE[:FUNCTION]\n\n" +
			"taskhost bench markdown -i notes.md\n\ntaskhost bench build/shout.wasm --against old/shout.wasm -i notes.txt",
		Description: "Each isolation is measured, in turns, by callers that send their next call when the last one has ended: a figure is what a call takes,\n" +
			"not what it would wait for in a queue. Before that everything is called for a while without being measured.",
		Flags: slices.Concat(a.commonFlags(), []cli.Flag{setFlag(),
			&cli.StringFlag{Name: "input", Aliases: []string{"i"}, Usage: "the content of each call: that of `FILE`; - is standard input", DefaultText: "empty"},
		}, agentFlags(), []cli.Flag{
			&cli.IntFlag{Name: "concurrency", Aliases: []string{"c"}, Value: 1, Usage: "call from `N` callers at once"},
			&cli.DurationFlag{Name: "time", Value: 2 * time.Second, Usage: "measure each row for `TIME`"},
			&cli.IntFlag{Name: "calls", Aliases: []string{"n"}, Usage: "measure `N` calls in each row, instead of a time"},
			&cli.StringSliceFlag{Name: "isolation", Usage: "measure `ISOLATION`: pristine, reuse or fresh; may be repeated", DefaultText: "all three"},
			&cli.StringFlag{Name: "against", Usage: "compare with another version, the module in `FILE`, in the same run"},
		}),
		Action: a.benchAction,
	}
}

// benchOrder is what a command line asks to be measured.
type benchOrder struct {
	subjects   []subject
	function   string
	input      []byte
	isolations []abi.Isolation
	callers    int
	time       time.Duration // of each row
	calls      int           // of each row; 0: as many as fit into the time
	config     map[string]map[string]string
}

// subject is a version of a plugin that is measured: one of a folder, or one that was read from a file.
type subject struct {
	label  string
	name   string // of the plugin
	dir    string // empty: it has a source
	source host.Source
}

func (a *app) benchAction(c *cli.Context) error {
	o, err := a.benchOrder(c)
	if err != nil {
		return err
	}
	report, err := a.bench(c.Context, o)
	if report == nil {
		return err
	}
	if c.Bool("json") {
		if err := a.printJSON(report); err != nil {
			return err
		}
	} else if err := a.printBench(report); err != nil {
		return err
	}
	return err
}

// benchOrder reads the command line.
func (a *app) benchOrder(c *cli.Context) (*benchOrder, error) {
	args := arguments(c)
	if len(args) != 1 {
		return nil, usagef("bench needs one plugin or file: taskhost bench PLUGIN[:FUNCTION] -i FILE")
	}
	o := &benchOrder{callers: c.Int("concurrency"), time: c.Duration("time"), calls: c.Int("calls")}
	switch {
	case o.callers < 1 || o.callers > 1<<12:
		return nil, usagef("--concurrency %d: it must be from 1 to %d", o.callers, 1<<12)
	case o.time <= 0:
		return nil, usagef("--time %v: it must be more than 0", o.time)
	case o.calls < 0:
		return nil, usagef("--calls %d: it must be more than 0", o.calls)
	}
	for _, i := range c.StringSlice("isolation") {
		isolation := abi.Isolation(i)
		switch isolation {
		case abi.IsolationPristine, abi.IsolationReuse, abi.IsolationFresh:
		default:
			return nil, usagef("--isolation %s: it must be pristine, reuse or fresh", i)
		}
		if !slices.Contains(o.isolations, isolation) {
			o.isolations = append(o.isolations, isolation)
		}
	}
	if len(o.isolations) == 0 {
		o.isolations = []abi.Isolation{abi.IsolationPristine, abi.IsolationReuse, abi.IsolationFresh}
	}
	var known plugins
	var err error
	if known, err = a.benchSubjects(c, o, args[0]); err != nil {
		return nil, err
	}
	if o.config, err = readSettings(c.StringSlice("set"), known); err != nil {
		return nil, err
	}
	o.input, err = a.benchInput(c)
	return o, err
}

// benchSubjects finds what is to be measured, and where the plugins are that --set may name.
func (a *app) benchSubjects(c *cli.Context, o *benchOrder, arg string) (known plugins, err error) {
	file, function, ok := cutFile(arg)
	if ok {
		o.function = function
		s, err := fileSubject(file)
		if err != nil {
			return known, err
		}
		o.subjects = []subject{s}
		known = plugins{where: "but " + s.name, has: func(name string) bool { return name == s.name }}
	} else {
		dir, err := a.pluginDir(c)
		if err != nil {
			return known, err
		}
		name, function, err := abi.ParseStep(arg)
		if err != nil {
			return known, usagef("%s", abi.AsError(err).Message)
		}
		o.function = function
		o.subjects = []subject{{label: name, name: name, dir: dir}}
		known = inFolder(dir)
	}
	if other := c.String("against"); other != "" {
		s, err := o.subjects[0].otherVersion(other)
		if err != nil {
			return known, err
		}
		o.subjects = append(o.subjects, s)
	}
	return known, nil
}

// cutFile cuts FILE:FUNCTION; it tells whether that is a file at all.
func cutFile(arg string) (file, function string, ok bool) {
	if at := strings.LastIndexByte(arg, ':'); at > 1 && !strings.ContainsAny(arg[at:], `/\.`) && isFile(arg[:at]) {
		return arg[:at], arg[at+1:], true
	}
	return arg, "", isFile(arg)
}

// fileSubject is the plugin of a file, with the manifest beside it.
func fileSubject(file string) (subject, error) {
	s := subject{label: file, name: fileName(file)}
	if script(file) {
		s.dir, s.name = filepath.Dir(file), stem(file)
		return s, nil
	}
	var err error
	s.source, err = readPlugin(file)
	return s, err
}

// otherVersion is another version of the plugin, with the manifest beside it, else with the plugin's.
func (s subject) otherVersion(file string) (subject, error) {
	other, err := fileSubject(file)
	if err != nil || other.dir != "" {
		return other, err
	}
	other.name = s.name
	if other.source.Manifest != nil {
		return other, nil
	}
	source := s.source
	if s.dir != "" {
		if source, err = host.ReadSource(s.dir, s.name, abi.DefaultLimits().Module, builtin.Extensions()...); err != nil {
			return other, err
		}
	}
	if source.Manifest != nil {
		m := *source.Manifest
		m.Wasm = nil
		other.source.Manifest, other.source.Base = &m, source.Base
	}
	return other, nil
}

// benchInput is the input of each call.
func (a *app) benchInput(c *cli.Context) ([]byte, error) {
	if c.IsSet("arg") || c.IsSet("args") {
		if c.String("input") != "" {
			return nil, usagef("the input is either a file (-i) or arguments (--arg, --args)")
		}
		args, err := readArgs(c.String("args"), c.StringSlice("arg"))
		if err != nil {
			return nil, err
		}
		return json.Marshal(args)
	}
	if c.String("input") == "" {
		return nil, nil
	}
	return a.readInput(c.Context, c.String("input"))
}

// open makes a host with the subject as its only plugin. The caller closes it.
func (s subject) open(ctx context.Context, cfg host.Config) (*host.Host, error) {
	if s.dir != "" {
		cfg.Dir, cfg.Only = s.dir, []string{s.name}
		return host.New(ctx, cfg)
	}
	cfg.Dir = ""
	h, err := host.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if _, err := h.Swap(ctx, s.name, s.source); err != nil {
		_ = h.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return h, nil
}
