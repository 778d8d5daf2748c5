package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/audit"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/builtin"
	"github.com/taskhost/taskhost/internal/config"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/internal/plugindir"
	"github.com/taskhost/taskhost/internal/systemd"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
	"github.com/taskhost/taskhost/monitor"
)

// service is a server: everything that taskhost serve starts, and stops in the opposite order.
type service struct {
	app     *app
	log     *serveLog
	systemd systemd.Notifier
	state   atomic.Int32

	mu  sync.Mutex // guards cfg
	cfg *config.Loaded

	tokens    *auth.File
	auth      *auth.Authenticator
	audit     *audit.Log
	certs     *certificates // nil: no TLS
	listeners []net.Listener
	http      *http.Server
	handler   atomic.Pointer[http.Handler] // nil as long as it starts
	serving   sync.WaitGroup
	requests  atomic.Int64 // that are being answered
	failed    chan error   // a listener that does not listen any more

	tracing  *monitor.Tracing // nil: no traces
	registry *prometheus.Registry
	monitor  *monitor.Monitor
	store    *sqlitestore.Store
	plugins  *plugindir.Dir
	host     *host.Host
	loaded   atomic.Pointer[host.Host] // the same, once it is there, for those who may ask before
	events   *httpapi.Events
	tasks    *manager.Manager
	api      *httpapi.API
	ready    *readyCheck
	trim     trimmer
}

func newService(a *app, cfg *config.Loaded) *service {
	s := &service{
		app: a, cfg: cfg, log: newServeLog(a.console, cfg.LogLevel, cfg.LogFormat), systemd: systemd.NewNotifier(a.getenv), failed: make(chan error, 1),
	}
	s.ready = &readyCheck{state: s.state.Load, store: func(ctx context.Context) error {
		_, err := s.tasks.Stats(ctx)
		return err
	}}
	return s
}

// config is the configuration that counts now.
func (s *service) config() *config.Loaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg
}

// start opens the sockets, answers there that it starts, and then starts everything else.
func (s *service) start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.openFolder, s.openTokens, s.openMonitor, s.listen, s.openStore, s.openHost, s.openTasks, s.openAPI} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	s.state.Store(serverReady)
	trim() // what loading plugins took
	s.tell()
	s.record(ctx, "server.start", "", nil)
	return s.notify(systemd.Ready)
}

// openFolder makes the data folder, and opens the audit log in it.
func (s *service) openFolder(context.Context) (err error) {
	if err := os.MkdirAll(s.cfg.Data, 0o700); err != nil {
		return usagef("the data folder: %v", fileError("make", err))
	}
	path := s.cfg.AuditFile
	if path == "" {
		path = filepath.Join(s.cfg.Data, "audit.jsonl")
	}
	s.audit, err = audit.Open(audit.Config{Path: path, MaxBytes: s.cfg.AuditMaxBytes, MaxFiles: s.cfg.AuditMaxFiles, Logger: s.log.Logger})
	if err != nil {
		return usagef("%v", err)
	}
	return nil
}

// openTokens reads the tokens.
func (s *service) openTokens(context.Context) (err error) {
	path := tokensFile(&s.cfg.Config)
	if s.tokens, err = auth.OpenFile(path, s.log.Logger); err != nil {
		return usagef("%v", err)
	}
	if s.cfg.Tokens != "" && !s.tokens.Required() {
		return usagef("there is no token in %s: make one with \"taskhost token create --role admin --name NAME --tokens %s\"", path, path)
	}
	cfg := auth.Config{
		Tokens: s.tokens, TrustedProxies: s.cfg.TrustedProxies, OnEvent: s.authEvent,
		Open: []string{"/login", "/assets/", "/favicon.ico", "/healthz", "/readyz"},
	}
	if s.cfg.MetricsAuth == "none" {
		cfg.Open = append(cfg.Open, "/metrics")
	}
	s.auth = auth.New(cfg)
	return nil
}

// listen opens the sockets and serves on them.
func (s *service) listen(ctx context.Context) (err error) {
	if s.cfg.TLSCert != "" {
		if s.certs, err = loadCertificates(s.cfg.TLSCert, s.cfg.TLSKey, s.log.Logger); err != nil {
			return err
		}
	}
	if s.listeners, err = s.app.openListeners(ctx, s.cfg); err != nil {
		return err
	}
	if !s.tokens.Required() {
		if err := checkOpen(s.listeners, &s.cfg.Config); err != nil {
			return err
		}
	}
	limits := s.limits()
	s.http = httpapi.HTTPServer(s.guard(s.monitor.HTTP(s.auth.Handler(monitor.Route(http.HandlerFunc(s.serveHTTP))))), limits, s.log.Logger)
	if s.certs != nil {
		s.http.TLSConfig = s.certs.config()
	}
	for _, l := range s.listeners {
		encrypted := s.certs != nil && l.Addr().Network() != "unix"
		l = httpapi.Listener(l, limits)
		s.serving.Go(func() {
			var err error
			if encrypted {
				err = s.http.ServeTLS(l, "", "")
			} else {
				err = s.http.Serve(l)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				select {
				case s.failed <- fmt.Errorf("serve on %s: %w", l.Addr(), err):
				default:
				}
			}
		})
	}
	return nil
}

func (s *service) limits() httpapi.Limits {
	return httpapi.Limits{
		MaxInput: s.cfg.MaxInput, MaxUpload: s.cfg.MaxUpload, MaxConns: s.cfg.MaxConnections, MaxStreams: s.cfg.MaxStreams, MaxWaiting: s.cfg.MaxWaiting,
	}
}

func (s *service) openStore(ctx context.Context) (err error) {
	s.store, err = openStore(ctx, s.cfg.Data, true)
	return err
}

// scripts are the endings of the files that are scripts, for the host if it is there.
func (s *service) scripts() []string {
	if h := s.loaded.Load(); h != nil {
		return h.ScriptExtensions()
	}
	return builtin.Extensions()
}

// openHost loads the plugins.
func (s *service) openHost(ctx context.Context) (err error) {
	if s.plugins, err = plugindir.Open(plugindir.Config{Path: s.cfg.Plugins, MaxModule: s.cfg.Limits.Module, Scripts: s.scripts, Logger: s.log.Logger}); err != nil {
		return usagef("%v", err)
	}
	s.events = httpapi.NewEvents(httpapi.EventsConfig{})
	cfg := s.app.hostConfig(s.cfg.Plugins)
	switch {
	case s.cfg.Cache != "":
		cfg.CacheDir = s.cfg.Cache
	case cfg.CacheDir == "off": // the user has no folder for it
		cfg.CacheDir = filepath.Join(s.cfg.Data, "cache")
	}
	cfg.WatchInterval = 0
	cfg.Limits, cfg.MaxMemory, cfg.MaxInstances, cfg.PluginConfig = s.cfg.Limits, s.cfg.MaxMemory, s.cfg.MaxInstances, s.cfg.PluginConfig
	cfg.Logger = s.log.Logger
	cfg.OnEvent = func(e host.Event) {
		s.monitor.HostEvent(e)
		s.plugins.HostEvent(e)
		s.events.HostEvent(e)
	}
	if s.host, err = host.New(ctx, cfg); err != nil {
		return err
	}
	s.loaded.Store(s.host)
	for plugin := range s.cfg.PluginConfig {
		if _, err := s.host.Inspect(plugin); err != nil {
			s.log.Warn("plugin_config has settings of a plugin that is not there", "plugin", plugin)
		}
	}
	return nil
}

// openTasks starts the manager.
func (s *service) openTasks(ctx context.Context) (err error) {
	cfg := manager.Config{
		Store: s.monitor.Store(s.store), KeepOnStop: true, TraceParent: s.tracing.TraceParent,
		MaxConcurrent: s.cfg.Concurrency, MaxQueue: s.cfg.MaxQueue, MaxQueueBytes: s.cfg.QueueBytes, MaxInput: s.cfg.MaxInput, Timeout: s.cfg.Timeout,
		MaxFinished: s.cfg.KeepTasks, MaxFinishedBytes: s.cfg.KeepBytes, MaxFinishedAge: s.cfg.KeepAge,
		OnEvent: func(e manager.Event) {
			s.trim.events.Add(1)
			s.monitor.TaskEvent(e)
			s.events.TaskEvent(e)
		},
	}
	if cfg.MaxConcurrent == 0 {
		cfg.MaxConcurrent = runtime.NumCPU()
	}
	if s.tasks, err = manager.New(s.host, cfg); err != nil {
		return err
	}
	s.monitor.Watch(monitor.Sources{Tasks: s.tasks, StoreFile: filepath.Join(s.cfg.Data, dataFile)})
	return s.tasks.Start(context.WithoutCancel(ctx))
}

// tell says where the server listens, and how to go on.
func (s *service) tell() {
	var url string
	for _, l := range s.listeners {
		if one := urlOf(l, s.certs != nil); url == "" || s.certs == nil {
			url = one
		}
		s.say("serving on " + urlOf(l, s.certs != nil))
	}
	s.say(fmt.Sprintf("plugins in %s, tasks in %s; Ctrl-C stops it", s.cfg.Plugins, s.cfg.Data))
	if !s.tokens.Required() {
		s.say("there are no tokens: every program on this machine is an admin; \"taskhost token create --role admin --name NAME" + tokensArgument(&s.cfg.Config) + "\" changes that")
	} else if s.certs == nil {
		for _, l := range s.listeners {
			if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && len(s.cfg.TrustedProxies) == 0 {
				s.log.Warn("tokens travel unencrypted: set tls.cert and tls.key, or put a proxy with TLS before it", "address", tcp.String())
			}
		}
	}
}

// say tells the person at the terminal something, or the log that machines read.
func (s *service) say(text string) {
	if s.log.json {
		s.log.Info(text)
		return
	}
	s.app.console.printf("taskhost: %s\n", text)
}

// notify tells systemd.
func (s *service) notify(state string) error {
	if err := s.systemd.Notify(state); err != nil {
		s.log.Warn("systemd does not listen", "error", err)
	}
	return nil
}

// run waits until the server is to stop. Meanwhile it reads the configuration again when a hangup comes, and keeps systemd's watchdog quiet.
func (s *service) run(ctx context.Context, hangups <-chan os.Signal, load func() (*config.Loaded, error)) error {
	var watchdog <-chan time.Time
	if every := systemd.WatchdogInterval(s.app.getenv); every > 0 {
		t := time.NewTicker(max(every/2, time.Millisecond))
		defer t.Stop()
		watchdog = t.C
	}
	idle := time.NewTicker(idleAfter)
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-idle.C:
			s.trim.look()
		case err := <-s.failed:
			return err
		case <-hangups:
			s.reload(ctx, load)
		case <-watchdog:
			if err := s.ready.check(ctx); err != nil {
				s.log.Error("the watchdog is not kept quiet", "error", err)
				continue
			}
			_ = s.notify(systemd.Watchdog)
		}
	}
}

// lastAnswers is how long answers that are under way may take when the tasks have stopped.
const lastAnswers = 3 * time.Second

// lastHandlers is how long handlers may take that were cut off, before what they use is closed.
const lastHandlers = 2 * time.Second

// stop ends everything: no new connections, running tasks have the drain time, then the rest.
func (s *service) stop() error {
	s.state.Store(serverStopping)
	drain := s.config().DrainTimeout
	_ = s.notify(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d", systemd.Stopping, (drain + 30*time.Second).Microseconds()))
	closed := s.shutdown()
	var errs []error
	if s.tasks != nil {
		errs = append(errs, s.stopTasks(drain))
	}
	if s.events != nil {
		s.events.Close()
	}
	closed()
	if s.api != nil {
		s.api.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if s.host != nil {
		errs = append(errs, s.host.Close(ctx))
	}
	if s.plugins != nil {
		s.plugins.Close()
	}
	if s.store != nil {
		errs = append(errs, s.store.Close(ctx))
	}
	if err := s.tracing.Shutdown(ctx); err != nil {
		s.log.Warn("the last traces were not sent", "error", err)
	}
	if s.audit != nil {
		if s.tasks != nil {
			s.record(ctx, "server.stop", "", errors.Join(errs...))
		}
		errs = append(errs, s.audit.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// shutdown closes the listeners. The function that it returns waits a moment for answers that are under way, and cuts off what is left.
func (s *service) shutdown() (wait func()) {
	if s.http == nil {
		closeListeners(s.listeners)
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.http.Shutdown(ctx)
	}()
	return func() {
		timer := time.AfterFunc(lastAnswers, cancel)
		<-done
		timer.Stop()
		cancel()
		_ = s.http.Close()
		s.serving.Wait()
		if n := s.answered(lastHandlers); n > 0 {
			s.log.Warn("requests are still being answered while the server stops", "requests", n)
		}
	}
}

// stopTasks lets running tasks end, as long as there is time.
func (s *service) stopTasks(drain time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	err := s.tasks.Stop(ctx)
	if err == nil {
		return nil
	}
	if stats, e := s.tasks.Stats(context.Background()); e != nil || stats.Busy > 0 {
		return err
	}
	s.say(errorLine(err)) // they run again when a server or a worker is on the folder
	return nil
}
