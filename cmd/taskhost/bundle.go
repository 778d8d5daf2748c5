package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/httpapi"
)

// bundleFile is a file of a debug bundle.
type bundleFile struct {
	name  string
	write func(ctx context.Context, b *bytes.Buffer) error
}

// bundleFiles are what a debug bundle holds: what helps to understand a fault, and no secrets, inputs or outputs.
func (s *service) bundleFiles() []bundleFile {
	return []bundleFile{
		{"version.json", func(_ context.Context, b *bytes.Buffer) error { return encodeJSON(b, s.versionFacts()) }},
		{"build.txt", func(_ context.Context, b *bytes.Buffer) error {
			if info, ok := debug.ReadBuildInfo(); ok {
				b.WriteString(info.String())
			}
			return nil
		}},
		{"config.json", func(_ context.Context, b *bytes.Buffer) error { return encodeJSON(b, settingsJSON(s.config())) }},
		{"plugins.json", func(_ context.Context, b *bytes.Buffer) error { return encodeJSON(b, s.pluginFacts()) }},
		{"stats.json", func(ctx context.Context, b *bytes.Buffer) error {
			stats, err := s.tasks.Stats(ctx)
			if err != nil {
				return err
			}
			return encodeJSON(b, stats)
		}},
		{"queues.json", func(ctx context.Context, b *bytes.Buffer) error {
			queues, err := s.tasks.Queues(ctx)
			if err != nil {
				return err
			}
			return encodeJSON(b, queues)
		}},
		{"metrics.txt", func(ctx context.Context, b *bytes.Buffer) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/metrics", http.NoBody)
			if err == nil {
				s.monitor.Handler().ServeHTTP(&answer{b, http.Header{}}, r)
			}
			return err
		}},
		{"errors.log", func(_ context.Context, b *bytes.Buffer) error { _, err := s.log.ring.WriteTo(b); return err }},
		{"goroutines.txt", func(_ context.Context, b *bytes.Buffer) error {
			detail := 2
			if runtime.NumGoroutine() > 5000 { // each alone would take long
				detail = 1
			}
			return pprof.Lookup("goroutine").WriteTo(b, detail)
		}},
		{"heap.pprof", func(_ context.Context, b *bytes.Buffer) error { return pprof.Lookup("heap").WriteTo(b, 0) }},
	}
}

// pluginFacts are the plugins, without the values of their settings.
func (s *service) pluginFacts() []abi.PluginInfo {
	plugins := s.host.Plugins()
	for i := range plugins {
		for key := range plugins[i].Config { // a copy
			plugins[i].Config[key] = "(hidden)"
		}
	}
	return plugins
}

// versionFacts say what runs, where, since when.
func (s *service) versionFacts() map[string]any {
	facts := map[string]any{
		"taskhost": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH, "cpus": runtime.NumCPU(),
		"gomaxprocs": runtime.GOMAXPROCS(0), "goroutines": runtime.NumGoroutine(), "pid": os.Getpid(), "time": time.Now().UTC(), "tokens": s.tokens.Required(),
	}
	if err := s.ready.check(context.Background()); err != nil {
		facts["not_ready"] = err.Error()
	}
	return facts
}

// answer is an http.ResponseWriter into a buffer.
type answer struct {
	*bytes.Buffer
	header http.Header
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) WriteHeader(int)     {}

func encodeJSON(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeBundle writes the bundle into a buffer. What cannot be found out is said in its file.
func (s *service) writeBundle(ctx context.Context, now time.Time) (*bytes.Buffer, error) {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	tarred := tar.NewWriter(zipped)
	for _, f := range s.bundleFiles() {
		var b bytes.Buffer
		if err := f.write(ctx, &b); err != nil {
			fmt.Fprintf(&b, "\ncannot be found out: %v\n", err)
		}
		header := &tar.Header{Name: bundleName + "/" + f.name, Mode: 0o600, Size: int64(b.Len()), ModTime: now}
		if err := tarred.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := b.WriteTo(tarred); err != nil {
			return nil, err
		}
	}
	if err := tarred.Close(); err != nil {
		return nil, err
	}
	return &out, zipped.Close()
}

const bundleName = "taskhost-debug"

// serveBundle answers GET /v1/debug/bundle.
func (s *service) serveBundle(w http.ResponseWriter, r *http.Request) {
	b, err := s.writeBundle(r.Context(), time.Now())
	s.record(r.Context(), "debug.bundle", "", err)
	if err != nil {
		httpapi.WriteError(w, r, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", `attachment; filename="`+bundleName+`.tar.gz"`)
	w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
	_, _ = b.WriteTo(w)
}
