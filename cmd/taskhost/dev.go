package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/cases"
	"github.com/taskhost/taskhost/internal/project"
)

func (a *app) devCommand() *cli.Command {
	return &cli.Command{
		Name: "dev", Usage: "build a plugin whenever a source is saved, and show what it makes of a sample",
		UsageText: "taskhost dev [FLAGS] [DIR]     DIR is the folder with the sources, by default this one",
		Description: "The sample is -i FILE, or --args and --arg, or the first case in DIR/cases, or a text of its own. A build that fails leaves the version before.\n" +
			"On a terminal q or Ctrl-C ends it, and r runs it again. See docs/dev-loop.md.",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print JSON on stdout, for machines", DisableDefaultText: true},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, DisableDefaultText: true, Usage: "-vv: log lines of the host, too"},
			&cli.StringFlag{Name: "input", Aliases: []string{"i"}, Usage: "the sample is what `FILE` holds; -: standard input"},
			&cli.StringFlag{Name: "case", Usage: "the sample is the case `NAME`"},
			&cli.StringFlag{Name: "function", Usage: "call the function `NAME` (default: that of the case, else the plugin's own default)"},
			setFlag(),
		}, agentFlags()...),
		Action: a.devAction,
	}
}

// dev is the loop: sources in, what the plugin makes of them out.
type dev struct {
	app    *app
	dir    string // of the project
	sample devSample
	probe  *cases.Probe
	view   *devView

	tools   project.Tools          // compilers that stay loaded
	project *project.Project       // as it was built last
	output  atomic.Pointer[string] // what its own build command writes among the sources; empty: none
	runs    int
	loaded  bool // a version is there
	info    host.PluginInfo
	last    []byte // the output before
	ran     bool   // there is one
	from    string // the input that gave it
}

// devSample is what the command line says of the sample.
type devSample struct {
	file     string // -i, absolute
	content  []byte // the sample itself: --args, or standard input
	label    string // ... and what it is called; empty: it is in file or a case
	name     string // --case
	function string
	settings []string // --set
}

func (a *app) devAction(c *cli.Context) error {
	sample, err := a.devSample(c)
	if err != nil {
		return err
	}
	p, err := loadProject(arguments(c))
	if p == nil {
		return err // else the manifest is wrong, which is a thing to mend while dev runs
	}
	if _, err := readSettings(sample.settings, devPlugins(p.Name)); err != nil {
		return err
	}
	probe, err := a.newProbe(c.Context)
	if err != nil {
		return err
	}
	defer func() { _ = probe.Close() }()
	d := &dev{app: a, dir: p.Dir, sample: sample, probe: probe, view: newDevView(a, c.Bool("json"))}
	keys, restore := a.keys()
	defer restore()
	if keys != nil {
		defer a.console.divert(d.view.out)()
	}
	return d.loop(c.Context, keys)
}

// devPlugins is where a plugin is that --set may name.
func devPlugins(name string) plugins {
	return plugins{where: "here, only " + name, has: func(n string) bool { return n == name }}
}

// devSample reads what the flags say of the sample.
func (a *app) devSample(c *cli.Context) (devSample, error) {
	s := devSample{name: c.String("case"), function: c.String("function"), settings: c.StringSlice("set")}
	withArgs := c.String("args") != "" || len(c.StringSlice("arg")) > 0
	file := c.String("input")
	if n := countTrue(withArgs, file != "", s.name != ""); n > 1 {
		return s, usagef("there is one sample: -i FILE, --args and --arg, or --case NAME")
	}
	switch {
	case withArgs:
		args, err := readArgs(c.String("args"), c.StringSlice("arg"))
		if err != nil {
			return s, err
		}
		if s.content, err = json.Marshal(args); err != nil {
			return s, err
		}
		s.label = "the arguments"
	case file == stdio:
		content, err := a.readInput(c.Context, file)
		if err != nil {
			return s, err
		}
		s.content, s.label = content, "standard input"
	case file != "":
		path, err := filepath.Abs(file)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return s, usagef("-i: %v", err)
		}
		s.file = path
	}
	return s, nil
}

func countTrue(values ...bool) int {
	n := 0
	for _, v := range values {
		if v {
			n++
		}
	}
	return n
}

// devText is the sample of a plugin that has no case.
const devText = "The quick brown fox jumps over the lazy dog.\nFalsches Üben von Xylophonmusik quält jeden größeren Zwerg.\n"

// devCall is a call of a sample.
type devCall struct {
	call    abi.Call
	label   string        // what goes in, for a person
	timeout time.Duration // 0: the plugin's own
	cases   []*cases.Case // all that there are
}

// call finds out what goes in now.
func (d *dev) call() (devCall, error) {
	name := d.project.Name
	x := devCall{call: abi.Call{Plugin: name, Config: map[string]string{}}, label: d.sample.label}
	list, err := cases.Load(filepath.Join(d.dir, cases.Dir))
	if err != nil && !errors.Is(err, cases.ErrNone) {
		return x, err
	}
	x.cases = list
	switch chosen := d.sample.choose(list); {
	case d.sample.label != "":
		x.call.Input = d.sample.content
	case d.sample.file != "":
		if x.call.Input, err = os.ReadFile(d.sample.file); err != nil {
			return x, abi.Errorf(abi.CodeInvalid, "%w", err)
		}
		x.label = shortPath(d.sample.file)
	case chosen != nil:
		x.call, x.label, x.timeout = chosen.Call(name), shortPath(chosen.Source()), chosen.Timeout()
	case d.sample.name != "":
		return x, abi.Errorf(abi.CodeNotFound, "there is no case %s in %s", d.sample.name, filepath.Join(shortPath(d.dir), cases.Dir))
	default:
		x.call.Input, x.label = []byte(devText), "a sample text"
	}
	if d.sample.function != "" {
		x.call.Function = d.sample.function
	}
	config, err := readSettings(d.sample.settings, devPlugins(name))
	if err != nil {
		return x, err
	}
	if x.call.Config == nil {
		x.call.Config = map[string]string{}
	}
	maps.Copy(x.call.Config, config[name])
	return x, nil
}

// choose finds the case that is the sample: the one that was named, else the first that must not fail.
func (s *devSample) choose(list []*cases.Case) *cases.Case {
	for _, k := range list {
		if s.name == k.Name || s.name == "" && k.Spec.Error == nil {
			return k
		}
	}
	return nil
}

// keys reads single keys from a terminal, until the process ends; nil: there is none. restore gives the terminal back.
func (a *app) keys() (keys <-chan byte, restore func()) {
	in, ok := a.stdin.(*os.File)
	if !ok || !isTerminal(in) || !isTerminal(a.stdout) || a.getenv("TERM") == "dumb" {
		return nil, func() {}
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, func() {}
	}
	pressed := make(chan byte)
	go func() { // a read from a terminal cannot be stopped: it is left to the end of the process
		buf := make([]byte, 1)
		for {
			if n, err := in.Read(buf); n == 0 || err != nil {
				return
			}
			pressed <- buf[0]
		}
	}()
	return pressed, func() { _ = term.Restore(int(in.Fd()), before) }
}

// loop builds, runs and shows until ctx ends or a key says so.
func (d *dev) loop(ctx context.Context, keys <-chan byte) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := d.load(); err != nil {
		return err
	}
	defer d.tools.Close()
	tree := newDevTree(d.dir, d.sample.file, func(path string) bool { return path == *d.output.Load() })
	if _, err := tree.look(); err != nil {
		return err
	}
	tree.take()
	changes, failed := make(chan devChange), make(chan error, 1)
	go func() { failed <- tree.watch(ctx, changes) }()
	now := d.begin(ctx, devChange{build: true})
	defer func() {
		now.end()
		d.view.close()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case key := <-keys:
			switch key {
			case 'q', 'Q', 3, 4: // Ctrl-C and Ctrl-D
				return nil
			case 'r', 'R', '\r', ' ':
				now.end()
				now = d.begin(ctx, devChange{build: now.unbuilt()})
			}
		case change := <-changes:
			now.end()
			change.build = change.build || now.unbuilt()
			now = d.begin(ctx, change)
		}
	}
}

// load reads what taskhost.json says now.
func (d *dev) load() error {
	p, err := project.Load(d.dir)
	if err != nil {
		return err
	}
	p.Debug = true // names and lines in the stacks of traps
	p.Tools = &d.tools
	d.project = p
	output := ""
	if p.Output != "" {
		output = filepath.Join(d.dir, p.Output)
	}
	d.output.Store(&output)
	return nil
}

// causeText says why a run came about.
func (c devChange) causeText() string {
	const shown = 3
	switch n := len(c.files); {
	case n == 0 && c.build:
		return "begins"
	case n == 0:
		return "once more"
	case n > shown:
		return fmt.Sprintf("%s and %d more changed", strings.Join(c.files[:shown], ", "), n-shown)
	}
	return strings.Join(c.files, ", ") + " changed"
}
