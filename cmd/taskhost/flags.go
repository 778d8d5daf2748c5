package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
)

// options are the flags that several commands share.
type options struct {
	dir      string
	json     bool
	progress progressMode
	config   map[string]map[string]string
	timeout  time.Duration
	listen   string
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
		&cli.StringSliceFlag{Name: "set", Usage: "set a plugin's config, `PLUGIN.KEY=VALUE`; may be repeated"},
		&cli.DurationFlag{Name: "timeout", Usage: "`TIME` that a task may take, such as 90s or 5m", DefaultText: "no limit but the plugin's"},
		&cli.StringFlag{Name: "listen", Usage: "serve /metrics and /healthz on `ADDR` while the command runs"},
	)
}

// options reads the shared flags.
func (a *app) options(c *cli.Context) (options, error) {
	o := options{json: c.Bool("json"), timeout: c.Duration("timeout"), listen: c.String("listen")}
	var err error
	if o.dir, err = a.pluginDir(c); err != nil {
		return o, err
	}
	if c.IsSet("timeout") && o.timeout <= 0 {
		return o, usagef("--timeout %v: it must be more than 0", o.timeout)
	}
	if mode := c.String("progress"); mode != "" {
		if o.progress, err = a.progressMode(mode); err != nil {
			return o, err
		}
	}
	o.config, err = readSettings(o.dir, c.StringSlice("set"))
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

// readSettings reads --set PLUGIN.KEY=VALUE. Names of plugins and keys may hold dots: the longest name that is in the folder counts.
func readSettings(dir string, settings []string) (map[string]map[string]string, error) {
	config := map[string]map[string]string{}
	for _, s := range settings {
		left, value, ok := strings.Cut(s, "=")
		if !ok || !strings.Contains(left, ".") {
			return nil, usagef("--set %s: write PLUGIN.KEY=VALUE", s)
		}
		plugin, key := splitSetting(dir, left)
		switch {
		case plugin == "":
			name, _, _ := strings.Cut(left, ".")
			return nil, abi.Errorf(abi.CodeNotFound, "--set %s: there is no plugin %s in %s; see taskhost plugins", s, name, dir)
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

func splitSetting(dir, left string) (plugin, key string) {
	for i := len(left) - 1; i > 0; i-- {
		if left[i] != '.' || !abi.ValidName(left[:i]) {
			continue
		}
		for _, ext := range []string{".wasm", ".json"} {
			if _, err := os.Stat(filepath.Join(dir, left[:i]+ext)); err == nil {
				return left[:i], left[i+1:]
			}
		}
	}
	return "", ""
}
