package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/monitor"
)

// session is a host, a manager and what watches them, for the time of one command.
type session struct {
	app     *app
	host    *host.Host
	tasks   *manager.Manager
	display display
	server  *server
	ready   atomic.Bool
}

// slots says how many tasks a session runs at once, which plugins they need, and whether these may be replaced meanwhile.
type slots struct {
	concurrent int
	steps      []string
	watch      bool
}

// open loads the plugins and starts a manager. The display gets every event of a task. Close the session in any case but an error.
func (a *app) open(ctx context.Context, o options, n slots, d display) (*session, error) {
	s := &session{app: a, display: d}
	if err := s.start(ctx, o, n); err != nil {
		_ = s.close() // the first error is the one to tell
		return nil, err
	}
	return s, nil
}

func (s *session) start(ctx context.Context, o options, n slots) error {
	log, speak := s.app.logger()
	mon, err := s.watch(ctx, o.listen, log)
	if err != nil {
		return err
	}
	cfg := s.app.hostConfig(o.dir)
	cfg.Only, cfg.PluginConfig, cfg.Logger, cfg.OnEvent = stepPlugins(n.steps), o.config, log, mon.HostEvent
	if n.watch {
		cfg.WatchInterval = 0
	}
	loaded := s.display.loading()
	s.host, err = host.New(ctx, cfg)
	loaded()
	speak() // a plugin that was refused is told of when a task needs it
	if err != nil {
		return err
	}
	const all = 4 << 30 // a guest's memory ends there; what a plugin takes is the host's limit
	s.tasks, err = manager.New(s.host, manager.Config{
		MaxConcurrent: n.concurrent,
		MaxInput:      all,
		MaxQueueBytes: all,
		MaxFinished:   1000, // a result is handed on at once
		OnEvent: func(e manager.Event) {
			mon.TaskEvent(e)
			s.display.event(e)
		},
	})
	if err != nil {
		return err
	}
	s.ready.Store(true)
	return s.tasks.Start(context.WithoutCancel(ctx))
}

// watch makes the monitor, and serves it on an address if there is one.
func (s *session) watch(ctx context.Context, addr string, log *slog.Logger) (*monitor.Monitor, error) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cfg := monitor.Config{Registerer: reg, Health: s.health}
	if s.app.verbose > 1 { // else an error is told once, at the end
		cfg.Logger = log
	}
	mon, err := monitor.New(cfg)
	if err != nil || addr == "" {
		return mon, err
	}
	if s.server, err = listen(ctx, addr, mon.Handler()); err != nil {
		return nil, err
	}
	s.app.console.printf("taskhost: metrics on http://%s/metrics\n", s.server.addr)
	return mon, nil
}

// health is what /healthz asks: tasks can run once the plugins are loaded, until the session closes.
func (s *session) health() error {
	if !s.ready.Load() {
		return errors.New("the plugins are being loaded, or the command is ending")
	}
	return nil
}

// hostConfig is what all hosts of the command line have in common: a folder that is loaded once, and the compilation cache in the
// user's cache folder if there can be one.
func (a *app) hostConfig(dir string) host.Config {
	cfg := host.Config{Dir: dir, WatchInterval: -1, CacheDir: "off"}
	if base, err := os.UserCacheDir(); err == nil {
		cache := filepath.Join(base, "taskhost")
		if os.MkdirAll(cache, 0o700) == nil {
			cfg.CacheDir = cache
		}
	}
	return cfg
}

// stepPlugins names the plugins of steps; a step that cannot be read is left to Submit.
func stepPlugins(steps []string) []string {
	var names []string
	for _, step := range steps {
		step, _, _ = strings.Cut(step, "/") // the id of an agent
		if plugin, _, err := abi.ParseStep(step); err == nil {
			names = append(names, plugin)
		}
	}
	return names
}

// run runs one task to its end. When ctx ends it cancels the task and waits until it has stopped.
func (s *session) run(ctx context.Context, spec manager.Spec) (manager.Task, error) {
	t, err := s.tasks.Submit(ctx, spec)
	if err != nil {
		if abi.CodeOf(err) == abi.CodeInvalid {
			err = usagef("%v", err)
		}
		return t, err
	}
	done, err := s.tasks.Result(ctx, t.ID)
	if err == nil || done.Status.Final() || ctx.Err() == nil {
		return done, err
	}
	background := context.WithoutCancel(ctx)
	if err := s.tasks.Cancel(background, t.ID); err != nil {
		return done, err
	}
	return s.tasks.Result(background, t.ID)
}

// close stops everything that open started and gives the terminal back. Tasks have ended by now.
func (s *session) close() error {
	s.ready.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var errs []error
	if s.tasks != nil {
		errs = append(errs, s.tasks.Stop(ctx))
	}
	if s.host != nil {
		errs = append(errs, s.host.Close(ctx))
	}
	if s.server != nil {
		errs = append(errs, s.server.close(ctx))
	}
	s.display.close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}
