package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/builtin"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
	"github.com/taskhost/taskhost/monitor"
)

// session is a host, a manager and what watches them, for the time of one command.
type session struct {
	app     *app
	host    *host.Host
	tasks   *manager.Manager
	store   *sqlitestore.Store // of the data folder; nil: there is none
	display display
	server  *server
	ready   atomic.Bool
	grace   time.Duration // for tasks that still run when the session closes

	all bool     // everything that happens is shown
	own sync.Map // ids of the tasks that are shown
}

// slots says how many tasks a session runs at once, which plugins they need, and whether these may be replaced meanwhile. A session on
// a data folder needs all plugins, for the tasks that wait there.
type slots struct {
	concurrent int
	steps      []string
	watch      bool
	all        bool                                        // all tasks are shown, not only those that the session submits
	before     func(ctx context.Context, s *session) error // called when tasks can be read, before any is worked off
}

// open loads the plugins and starts a manager. The display gets every event of a task. Close the session in any case but an error.
func (a *app) open(ctx context.Context, o options, n slots, d display) (*session, error) {
	s := &session{app: a, display: d, grace: 5 * time.Second, all: n.all}
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
	if o.data != "" {
		if s.store, err = openStore(ctx, o.data, true); err != nil {
			return err
		}
	}
	cfg := s.app.hostConfig(o.dir)
	cfg.Logger, cfg.OnEvent = log, mon.HostEvent
	if s.store == nil {
		cfg.Only = stepPlugins(n.steps)
	}
	if s.store == nil || n.all { // else the settings are those of the tasks
		cfg.PluginConfig = o.config
	}
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
	if s.tasks, err = manager.New(s.host, s.config(n, mon)); err != nil {
		return err
	}
	mon.Watch(monitor.Sources{Tasks: s.tasks})
	if n.before != nil {
		if err := n.before(ctx, s); err != nil {
			return err
		}
	}
	s.ready.Store(true)
	return s.tasks.Start(context.WithoutCancel(ctx))
}

// config is that of the manager.
func (s *session) config(n slots, mon *monitor.Monitor) manager.Config {
	const all = 4 << 30 // a guest's memory ends there; what a plugin takes is the host's limit
	cfg := manager.Config{
		MaxConcurrent: n.concurrent,
		MaxInput:      all,
		MaxQueueBytes: all,
		MaxFinished:   1000, // a result is handed on at once
		OnEvent: func(e manager.Event) {
			mon.TaskEvent(e)
			s.event(e)
		},
	}
	if s.store != nil {
		cfg.Store, cfg.KeepOnStop = s.store, true
		cfg.MaxFinished, cfg.MaxFinishedBytes, cfg.MaxFinishedAge = keepTasks, keepBytes, keepAge
	}
	return cfg
}

// event shows what happens to the tasks that the session submitted, or to all.
func (s *session) event(e manager.Event) {
	switch {
	case e.Kind == manager.EventError && s.store != nil:
		s.app.console.printf("taskhost: %s\n", errorLine(e.Error))
		return
	case e.Kind == manager.EventSubmit:
		s.show(e.Task.ID)
	}
	if _, own := s.own.Load(e.Task.ID); own || s.all {
		s.display.event(e)
	}
	if e.Kind == manager.EventFinish {
		s.own.Delete(e.Task.ID)
	}
}

// show has the events of a task shown.
func (s *session) show(id string) {
	if !s.all {
		s.own.Store(id, nil)
	}
}

// watch makes the monitor, and serves it on an address if there is one.
func (s *session) watch(ctx context.Context, addr string, log *slog.Logger) (*monitor.Monitor, error) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cfg := monitor.Config{Registerer: reg, Health: s.health, Version: version}
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

// hostConfig is what all hosts of the command line have in common: a folder that is loaded once, the interpreters that come with the command,
// and the compilation cache in the user's cache folder if there can be one.
func (a *app) hostConfig(dir string) host.Config {
	cfg := host.Config{Dir: dir, WatchInterval: -1, CacheDir: "off", Interpreters: builtin.Interpreters()}
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
	began := time.Now()
	var err error
	if spec.After, err = findTasks(ctx, s.tasks, spec.After); err != nil {
		return manager.Task{}, err
	}
	t, err := s.tasks.Submit(ctx, spec)
	if err != nil {
		return t, submitError(err)
	}
	if t.CreatedAt.Before(began) { // another task that holds the unique key: whoever submitted it counts on it
		s.show(t.ID)
		return s.tasks.Result(ctx, t.ID)
	}
	return s.wait(ctx, t.ID)
}

// wait waits for a task to end. When ctx ends before, it cancels the task and waits until it has stopped.
func (s *session) wait(ctx context.Context, id string) (manager.Task, error) {
	done, err := s.tasks.Result(ctx, id)
	if err == nil || done.Status.Final() || ctx.Err() == nil {
		return done, err
	}
	background := context.WithoutCancel(ctx)
	if err := s.tasks.Cancel(background, id); err != nil {
		return done, err
	}
	return s.tasks.Result(background, id)
}

// close stops everything that open started and gives the terminal back. Tasks of the session have ended by now; others, of a data
// folder, have some time to end, and are put back otherwise.
func (s *session) close() error {
	s.ready.Store(false)
	var errs []error
	if s.tasks != nil {
		errs = append(errs, s.stopTasks())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if s.host != nil {
		errs = append(errs, s.host.Close(ctx))
	}
	if s.store != nil {
		errs = append(errs, s.store.Close(ctx))
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

// stopTasks stops the manager. That tasks of a data folder were put back is as it should be.
func (s *session) stopTasks() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.grace)
	defer cancel()
	err := s.tasks.Stop(ctx)
	if err == nil || s.store == nil {
		return err
	}
	if stats, e := s.tasks.Stats(context.Background()); e != nil || stats.Busy > 0 {
		return err
	}
	if s.app.verbose > 0 || s.all {
		s.app.console.printf("taskhost: %s\n", errorLine(err))
	}
	return nil
}
