package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/builtin"
	"github.com/taskhost/taskhost/manager"
)

// options are the flags that several commands share.
type options struct {
	dir      string
	json     bool
	progress progressMode
	config   map[string]map[string]string
	timeout  time.Duration
	listen   string
	data     string // the folder that keeps the tasks; empty: none
	detach   bool   // submit and end
}

// commonFlags are the flags of every command that loads plugins.
func (a *app) commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "plugins", Aliases: []string{"p"}, Usage: "plugin folder `DIR` (default: $TASKHOST_PLUGINS, else ./plugins)"},
		&cli.BoolFlag{Name: "json", Usage: "print JSON on stdout, for machines", DisableDefaultText: true},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, DisableDefaultText: true,
			Usage: "details of errors, what the task cost, and log lines at level info; -vv: debug"},
	}
}

// taskFlags are the flags of every command that runs tasks.
func (a *app) taskFlags() []cli.Flag {
	return append(a.commonFlags(),
		&cli.StringFlag{Name: "progress", Value: "auto", Usage: "progress on stderr: `MODE` is auto (bars on a terminal), bar, plain or none"},
		setFlag(),
		&cli.StringFlag{Name: "listen", Usage: "serve /metrics and /healthz on `ADDR` while the command runs"},
	)
}

// runFlags are the flags of every command that submits tasks and waits for them.
func (a *app) runFlags(more ...cli.Flag) []cli.Flag {
	flags := append(a.taskFlags(), dataFlag(),
		timeoutFlag())
	return slices.Concat(flags, retryFlags(), queueFlags(), startFlags(), more)
}

func timeoutFlag() cli.Flag {
	return &cli.DurationFlag{Name: "timeout", Usage: "`TIME` that a task may take, such as 90s or 5m", DefaultText: "no limit but the plugin's"}
}

func setFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "set", Usage: "set a plugin's config, `PLUGIN.KEY=VALUE`; may be repeated"}
}

// options reads the shared flags. steps are those of the task, where the command line gives them.
func (a *app) options(c *cli.Context, steps ...string) (options, error) {
	o := options{json: c.Bool("json"), timeout: c.Duration("timeout"), listen: c.String("listen"), data: a.dataDir(c), detach: c.Bool("detach")}
	if err := checkData(c, o.data); err != nil {
		return o, err
	}
	if c.IsSet("timeout") && o.timeout <= 0 {
		return o, usagef("--timeout %v: it must be more than 0", o.timeout)
	}
	var err error
	if !o.detach { // else the plugins are the business of whoever runs the task
		if o.dir, err = a.pluginDir(c); err != nil {
			return o, err
		}
	}
	if mode := c.String("progress"); mode != "" {
		if o.progress, err = a.progressMode(mode); err != nil {
			return o, err
		}
	}
	if o.detach {
		o.config, err = readSettings(c.StringSlice("set"), amongSteps(steps))
	} else {
		o.config, err = readSettings(c.StringSlice("set"), inFolder(o.dir))
	}
	return o, err
}

// pluginDir is the folder that -p, the environment or the default names. It must be there.
func (a *app) pluginDir(c *cli.Context) (string, error) {
	dir, from := c.String("plugins"), "-p"
	if dir == "" {
		dir, from = a.getenv("TASKHOST_PLUGINS"), "$TASKHOST_PLUGINS"
	}
	if dir == "" {
		dir, from = "plugins", "the default"
	}
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", usagef("there is no plugin folder %s (from %s): name one with -p DIR or $TASKHOST_PLUGINS, or make it and put .wasm files in", dir, from)
	case err != nil:
		return "", usagef("plugin folder %s (from %s): %v", dir, from, errors.Unwrap(err))
	case !st.IsDir():
		return "", usagef("%s (from %s) is not a folder; -p takes the folder that holds the .wasm files", dir, from)
	}
	return dir, nil
}

// plugins is where the plugins are that --set may name.
type plugins struct {
	has   func(name string) bool
	where string
}

// inFolder are the plugins of a folder.
func inFolder(dir string) plugins {
	return plugins{where: "in " + dir + "; see taskhost plugins", has: func(name string) bool {
		for _, ext := range append([]string{".wasm", ".json"}, builtin.Extensions()...) {
			if _, err := os.Stat(filepath.Join(dir, name+ext)); err == nil {
				return true
			}
		}
		return false
	}}
}

// amongSteps are the plugins of a task's steps.
func amongSteps(steps []string) plugins {
	names := stepPlugins(steps)
	return plugins{where: "among the steps", has: func(name string) bool { return slices.Contains(names, name) }}
}

// readSettings reads --set PLUGIN.KEY=VALUE. Names of plugins and keys may hold dots: the longest name that there is counts.
func readSettings(settings []string, known plugins) (map[string]map[string]string, error) {
	config := map[string]map[string]string{}
	for _, s := range settings {
		left, value, ok := strings.Cut(s, "=")
		if !ok || !strings.Contains(left, ".") {
			return nil, usagef("--set %s: write PLUGIN.KEY=VALUE", s)
		}
		plugin, key := known.split(left)
		switch {
		case plugin == "":
			name, _, _ := strings.Cut(left, ".")
			return nil, abi.Errorf(abi.CodeNotFound, "--set %s: there is no plugin %s %s", s, name, known.where)
		case key == "":
			return nil, usagef("--set %s: there is no key; write %s.KEY=VALUE", s, plugin)
		}
		if config[plugin] == nil {
			config[plugin] = map[string]string{}
		}
		config[plugin][key] = value
	}
	return config, nil
}

func (p plugins) split(left string) (plugin, key string) {
	for i := len(left) - 1; i > 0; i-- {
		if left[i] == '.' && abi.ValidName(left[:i]) && p.has(left[:i]) {
			return left[:i], left[i+1:]
		}
	}
	return "", ""
}

// configure puts the settings of a task that outlasts the command into its steps.
func configure(s *manager.Spec, config map[string]map[string]string) {
	for i := range s.Steps {
		for _, plugin := range stepPlugins([]string{s.Steps[i].Plugin}) {
			s.Steps[i].Config = config[plugin]
		}
	}
}
