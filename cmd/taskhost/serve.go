package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/internal/config"
)

func (a *app) serveCommand() *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "serve tasks over HTTP, with a web page, and run them",
		UsageText: "taskhost serve [-p DIR] [--data DIR] [--listen ADDR] [--config FILE] [FLAGS]",
		Description: "Every flag is also a key of the configuration file and an environment variable: --tls-cert is tls.cert, in the file also cert below tls, and\n" +
			"TASKHOST_TLS_CERT. A flag goes before the environment, that before the file. taskhost config show prints what counts.\n" +
			"Without tokens everybody is an admin, so it listens on loopback addresses alone; taskhost token create makes the first one.\n" +
			"Ctrl-C and SIGTERM stop it: tasks that run have --drain-timeout to end, and what is left goes back into the queue. SIGHUP reads the\n" +
			"configuration again.",
		Flags:  configFlags(),
		Action: a.serveAction,
	}
}

func (a *app) serveAction(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("serve takes no arguments; name the plugin folder with -p %s", args[0])
	}
	cfg, err := a.loadConfig(c)
	if err != nil {
		return err
	}
	if st, err := os.Stat(cfg.Plugins); err != nil || !st.IsDir() {
		return usagef("there is no plugin folder %s: name one with -p DIR, $TASKHOST_PLUGINS or the key plugins, or make it and put .wasm or .js files in", cfg.Plugins)
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	s := newService(a, cfg)
	err = s.start(c.Context)
	if err == nil {
		err = s.run(c.Context, hangups, func() (*config.Loaded, error) { return a.loadConfig(c) })
	}
	if errors.Is(err, context.Canceled) && c.Context.Err() != nil {
		err = nil // it was told to stop while it started
	}
	return cmp.Or(err, s.stop())
}
