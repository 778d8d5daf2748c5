package host

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// folder is the plugin folder. It is looked at again and again, which sees every way in which a file can change on every file
// system; see "Why is the folder polled?" in RATIONALE.md.
type folder struct {
	host  *Host
	dir   string
	seen  map[string]*entry
	names map[string]bool // invalid names that were reported
	lost  bool            // the folder could not be read the last time
	slots chan struct{}   // one token for each plugin that is being loaded
}

// entry is what is known of the files of one plugin. While it is busy, it belongs to the goroutine that loads the plugin.
type entry struct {
	busy   atomic.Bool
	stamp  string    // of the files as they were at the last look
	loaded string    // of the files as they were loaded or refused
	extra  []string  // other files that the manifest names
	again  time.Time // when to try once more what was refused; zero: not before a file changes
	gone   bool      // no file was there at the last look
}

// load loads the folder for the first time, several plugins at once.
func (f *folder) load(ctx context.Context) {
	f.seen = map[string]*entry{}
	f.names = map[string]bool{}
	f.slots = make(chan struct{}, max(4, runtime.GOMAXPROCS(0)))
	// Interpreters in the folder make more of its files plugins, once they are loaded.
	const passes = 4 // and the rest at the next look
	for pass, more := 0, true; more && pass < passes; pass++ {
		more = false
		names, err := f.list()
		if err != nil {
			f.host.cfg.Logger.Error("plugin folder cannot be read", "dir", f.dir, "error", err)
			return
		}
		var group sync.WaitGroup
		for name, files := range names {
			e := f.seen[name]
			if e == nil {
				e = &entry{}
				f.seen[name] = e
			}
			if e.stamp = f.stamp(files, e); e.stamp != e.loaded {
				more = true
				group.Go(func() { f.loadPlugin(ctx, name, e) })
			}
		}
		group.Wait()
	}
}

// watch looks at the folder until ctx is done.
func (f *folder) watch(ctx context.Context) {
	tick := time.NewTicker(f.host.cfg.WatchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.look(ctx)
		}
	}
}

// look compares the folder with what is loaded. What changed is loaded when it was the same for two looks, so that a file that is
// being written, or that is removed for a moment before its successor comes, is left alone.
func (f *folder) look(ctx context.Context) {
	names, err := f.list()
	if err != nil {
		if !f.lost {
			f.host.cfg.Logger.Error("plugin folder cannot be read; the plugins stay as they are", "dir", f.dir, "error", err)
		}
		f.lost = true
		return
	}
	f.lost = false
	for name := range names {
		if f.seen[name] == nil {
			f.seen[name] = &entry{}
		}
	}
	for name, e := range f.seen {
		if ctx.Err() != nil {
			return
		}
		if e.busy.Load() {
			continue
		}
		files := names[name]
		if files == nil {
			if e.gone {
				delete(f.seen, name)
				f.host.remove(name)
				f.host.cfg.Logger.Info("plugin removed", "plugin", name)
			}
			e.gone = true
			continue
		}
		e.gone = false
		stamp := f.stamp(files, e)
		changed := stamp == e.stamp && (stamp != e.loaded || !e.again.IsZero() && time.Now().After(e.again))
		e.stamp = stamp
		if changed { // a plugin that takes long to start holds up no other
			e.busy.Store(true)
			f.host.workers.Go(func() {
				f.loadPlugin(ctx, name, e)
				e.busy.Store(false)
			})
		}
	}
}

// loadPlugin loads the files of one plugin as they are now.
func (f *folder) loadPlugin(ctx context.Context, name string, e *entry) {
	defer f.host.holds.lock(name)()
	f.slots <- struct{}{}
	defer func() { <-f.slots }()
	if f.host.begin() != nil {
		return
	}
	defer f.host.calls.Done()
	began := time.Now()
	// The files are described before they are read: what changes while they are read differs from this at the next look.
	scripts := f.host.ScriptExtensions()
	before := f.describe(pluginFiles(f.dir, name, scripts))
	src, err := readSource(f.dir, name, f.host.cfg.Limits.Module, scripts)
	e.extra = f.manifestFiles(src)
	e.loaded = before + f.describe(e.extra)
	e.stamp = e.loaded
	var r *resolved
	if err == nil {
		r, err = src.resolve(f.host.cfg.Limits.Module)
	}
	if err == nil {
		err = f.host.load(ctx, name, r)
	}
	if ctx.Err() != nil {
		return
	}
	e.again = time.Time{}
	if err != nil {
		if abi.CodeOf(err) == abi.CodeUnavailable || missing(err) { // what was missing may come
			e.again = time.Now().Add(retryRefused)
		}
		f.host.refuse(name, src.Path, err)
		f.host.cfg.Logger.Error("plugin refused", "plugin", name, "path", src.Path, "code", abi.CodeOf(err), "error", err)
		return
	}
	f.host.cfg.Logger.Info("plugin loaded", "plugin", name, "version", r.digest.Short(), "took", time.Since(began).Round(time.Millisecond))
}

// retryRefused is when a plugin is tried again that was refused for a reason outside its files, such as a granted folder that is not there.
const retryRefused = 5 * time.Second

// manifestFiles are the files that a manifest names, to be watched too.
func (f *folder) manifestFiles(src Source) (files []string) {
	if src.Manifest == nil {
		return nil
	}
	for _, w := range src.Manifest.Wasm {
		if w.Path == "" {
			continue
		}
		file := w.Path
		if !filepath.IsAbs(file) {
			file = filepath.Join(src.Base, file)
		}
		files = append(files, file)
	}
	return files
}

// maxPlugins bounds how many plugins a folder has.
const maxPlugins = 10_000

// list finds the plugins in the folder: their names, and the files that they are made of, in the order of pluginFiles. Hidden files and
// those with other extensions are passed over. A .wasm file that a manifest of another name lists is a plugin of its own all the same.
func (f *folder) list() (map[string][]string, error) {
	files, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	scripts := f.host.ScriptExtensions()
	names := map[string][]string{}
	for _, file := range files {
		ext := filepath.Ext(file.Name())
		name := strings.TrimSuffix(file.Name(), ext)
		if ext != ".wasm" && ext != ".json" && !slices.Contains(scripts, ext) || strings.HasPrefix(name, ".") || declares(name, ext) {
			continue
		}
		if !abi.ValidName(name) || names[name] == nil && len(names) >= maxPlugins {
			f.report(file.Name(), name, len(names))
			continue
		}
		names[name] = append(names[name], filepath.Join(f.dir, file.Name()))
	}
	if len(f.host.cfg.Only) > 0 {
		f.choose(names)
	}
	for name, files := range names {
		if len(files) > 1 {
			names[name] = slices.DeleteFunc(pluginFiles(f.dir, name, scripts), func(file string) bool { return !slices.Contains(files, file) })
		}
	}
	return names, nil
}

// choose leaves those of Config.Only, and the interpreters, if there is one among these that is no plugin without.
func (f *folder) choose(names map[string][]string) {
	only := f.host.cfg.Only
	missing := slices.ContainsFunc(only, func(name string) bool {
		return !slices.ContainsFunc(names[name], func(file string) bool { return filepath.Ext(file) != ".json" })
	})
	maps.DeleteFunc(names, func(name string, _ []string) bool {
		return !slices.Contains(only, name) && f.seen[name] == nil && !(missing && f.interprets(name))
	})
}

// interprets tells whether the manifest of a plugin makes it an interpreter.
func (f *folder) interprets(name string) bool {
	file := filepath.Join(f.dir, name+".json")
	data, err := readFile(file, manifestLimit(f.host.cfg.Limits.Module))
	if err != nil {
		return false
	}
	m, err := ParseManifest(file, data)
	return err == nil && m.Taskhost != nil && len(m.Taskhost.Interprets) > 0
}

// declares tells of files such as upper.d.ts, which have types for an editor and are no scripts.
func declares(name, ext string) bool {
	return strings.HasSuffix(name, ".d") && (ext == ".ts" || ext == ".mts")
}

// report warns once of a file that cannot be a plugin.
func (f *folder) report(file, name string, count int) {
	if f.names[file] || len(f.names) >= maxPlugins {
		return
	}
	f.names[file] = true
	err := invalidName(name)
	if count >= maxPlugins {
		err = abi.Errorf(abi.CodeRefused, "there are more than %d plugins in the folder", maxPlugins)
	}
	f.host.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, "file is not a plugin", slog.String("file", file), slog.Any("error", err))
}

// stamp describes the files of a plugin so that every change shows.
func (f *folder) stamp(files []string, e *entry) string {
	return f.describe(files) + f.describe(e.extra)
}

// describe tells which of the files there are, and of each the inode, the size and the times; of a script also what runs it.
func (f *folder) describe(files []string) string {
	var b strings.Builder
	for _, file := range files {
		st, err := os.Stat(file)
		if missing(err) {
			continue
		}
		if err != nil {
			fmt.Fprintf(&b, "%s: unreadable\n", file)
			continue
		}
		fmt.Fprintf(&b, "%s: %d %d %d %s %s\n", file, st.Size(), st.ModTime().UnixNano(), st.Mode(), fileIdentity(st), f.host.runnerStamp(file))
	}
	return b.String()
}
