// Package plugindir changes the files of a plugin folder, and keeps those of earlier versions in a hidden folder inside it, so that a
// plugin can be rolled back to them also after a restart.
//
// The hidden folder is .versions, which a host that watches the plugin folder passes over. It has a folder for each plugin, and in it one
// for each version, named by its digest, with the files plugin.wasm and plugin.json, of which one may be missing, or instead of the module a
// script, such as plugin.js. A version is kept when it is put here, and when a host has loaded it from files that were dropped in.
package plugindir

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// Config is how a folder is opened. Every zero field but Path means its default.
type Config struct {
	// Path is the plugin folder.
	Path string
	// Keep is how many versions of a plugin are kept, the current one included. Default: 5.
	Keep int
	// MaxModule bounds a module file, in bytes, as host.Config.Limits.Module does. Default: 64 MiB.
	MaxModule int64
	// Scripts gives the endings of the files that are scripts for the host, such as ".js": it may learn new ones. Default: there are none.
	Scripts func() []string
	// Logger is told what could not be kept. Default: nobody is.
	Logger *slog.Logger
}

// Dir is a plugin folder. Its methods are safe for concurrent use; one process at a time may have it open. The versions of a plugin whose
// manifest lists modules by their paths are not kept, since those files are not a part of it.
type Dir struct {
	cfg Config

	mu       sync.Mutex // guards changing
	changing map[string]*change
	files    sync.RWMutex // of what is in the folder itself, for as long as files are read or written; a change holds it last

	eventsMu sync.Mutex
	loaded   map[string]host.Event    // what was loaded and is to be kept
	removed  map[string]chan struct{} // closed when the host has removed the plugin
	closed   bool
	kick     chan struct{} // has room for one
	done     chan struct{}
}

// change is the lock of the changes of one plugin: one at a time, for as long as that takes, and beside those of others.
type change struct {
	mu    sync.Mutex
	users int // those that hold it or wait for it
}

// change begins a change of a plugin; the caller calls done.
func (d *Dir) change(name string) (done func()) {
	d.mu.Lock()
	c := d.changing[name]
	if c == nil {
		c = &change{}
		d.changing[name] = c
	}
	c.users++
	d.mu.Unlock()
	c.mu.Lock()
	return func() {
		c.mu.Unlock()
		d.mu.Lock()
		defer d.mu.Unlock()
		if c.users--; c.users == 0 {
			delete(d.changing, name)
		}
	}
}

// Files are the files of one version. A nil one is missing.
type Files struct {
	Wasm      []byte
	Script    []byte // instead of Wasm
	Extension string // of the script's file, such as ".js"; empty: there is none
	Manifest  []byte
}

// HasCode tells whether there is a module or a script.
func (f Files) HasCode() bool { return f.Wasm != nil || f.Script != nil }

// code is the file that is no manifest.
func (f Files) code() (extension string, data []byte) {
	if f.Script != nil {
		return f.Extension, f.Script
	}
	return ".wasm", f.Wasm
}

// Source is what a host makes a version of a plugin from. base is the folder that the manifest's paths are relative to.
func (f Files) Source(name, base string) (host.Source, error) {
	src := host.Source{Wasm: f.Wasm, Base: base}
	extension, _ := f.code()
	if f.Script != nil {
		src.Script, src.File = f.Script, name+extension
	}
	if base != "" {
		src.Path = filepath.Join(base, name+extension)
	}
	if f.Manifest != nil {
		m, err := host.ParseManifest(name+".json", f.Manifest)
		if err != nil {
			return src, err
		}
		src.Manifest = m
	}
	return src, nil
}

// Version is one version that is kept.
type Version struct {
	Digest abi.Digest
	Time   time.Time // when it became current, by being put or loaded
	Size   int64     // of its module or script
}

const (
	hidden   = ".versions"
	baseName = "plugin"
	goneName = ".gone-" // with the name of a plugin: its versions, which are being removed
	nextFile = "next"   // names the version whose files are being put into the plugin folder
)

// Open opens a folder, which must be there, and finishes what an earlier process had begun. The caller must call Close.
func Open(cfg Config) (*Dir, error) {
	cfg.Keep = cmp.Or(cfg.Keep, 5)
	cfg.MaxModule = cmp.Or(cfg.MaxModule, 64<<20)
	if cfg.Scripts == nil {
		cfg.Scripts = func() []string { return nil }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	st, err := os.Stat(cfg.Path)
	switch {
	case err != nil:
		return nil, abi.Errorf(abi.CodeInvalid, "the plugin folder: %w", err)
	case !st.IsDir():
		return nil, abi.Errorf(abi.CodeInvalid, "%s is not a folder", cfg.Path)
	case cfg.Keep < 1:
		return nil, abi.Errorf(abi.CodeInvalid, "Keep is %d; at least the current version is kept", cfg.Keep)
	}
	d := &Dir{
		cfg: cfg, changing: map[string]*change{}, loaded: map[string]host.Event{}, removed: map[string]chan struct{}{},
		kick: make(chan struct{}, 1), done: make(chan struct{}),
	}
	d.finish()
	go d.work()
	return d, nil
}

// Close waits until what was loaded is kept.
func (d *Dir) Close() {
	d.eventsMu.Lock()
	if !d.closed {
		d.closed = true
		close(d.kick)
	}
	d.eventsMu.Unlock()
	<-d.done
}

// HostEvent takes in an event of the host that watches the folder; it goes into host.Config.OnEvent.
func (d *Dir) HostEvent(e host.Event) {
	d.eventsMu.Lock()
	defer d.eventsMu.Unlock()
	switch e.Kind {
	case host.EventLoad:
		if d.closed {
			return
		}
		d.loaded[e.Plugin] = e
		select {
		case d.kick <- struct{}{}:
		default:
		}
	case host.EventRemove:
		if gone := d.removed[e.Plugin]; gone != nil {
			close(gone)
			delete(d.removed, e.Plugin)
		}
	}
}

// work keeps versions that were loaded.
func (d *Dir) work() {
	defer close(d.done)
	for {
		_, open := <-d.kick
		d.eventsMu.Lock()
		loaded := d.loaded
		d.loaded = map[string]host.Event{}
		d.eventsMu.Unlock()
		for name, e := range loaded {
			if err := d.keep(name, e.Version, e.Previous != ""); err != nil {
				d.cfg.Logger.Warn("a version of a plugin is not kept", "plugin", name, "version", e.Version.Short(), "error", err)
			}
		}
		if !open {
			return
		}
	}
}

// keep keeps the version that the files of a plugin make, if it is the one with the digest. touch makes it the newest if it was kept before.
func (d *Dir) keep(name string, digest abi.Digest, touch bool) error {
	defer d.change(name)()
	dir, err := d.versionDir(name, digest)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		if touch {
			now := time.Now()
			return os.Chtimes(dir, now, now)
		}
		return nil
	}
	if err := d.keepFiles(name, digest); err != nil {
		return err
	}
	return d.prune(name, digest)
}

// keepFiles keeps the version that the files of a plugin make, if it is the one with the digest, or whichever it is without one.
func (d *Dir) keepFiles(name string, digest abi.Digest) error {
	if !d.has(name) { // it came by Swap, or is gone again
		return nil
	}
	src, err := host.ReadSource(d.cfg.Path, name, d.cfg.MaxModule, d.cfg.Scripts()...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || listsPaths(src.Manifest) {
		return err
	}
	found, err := src.Digest(d.cfg.MaxModule)
	if err != nil || digest != "" && found != digest {
		return err
	}
	dir, err := d.versionDir(name, found)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	files, err := d.current(name)
	if err != nil {
		return err
	}
	return d.store(name, found, files)
}

// listsPaths reports whether a manifest lists modules that are other files.
func listsPaths(m *abi.Manifest) bool {
	return m != nil && slices.ContainsFunc(m.Wasm, func(w abi.ManifestWasm) bool { return w.Path != "" })
}

// Current reads the files of a plugin as they are in the folder. Without any the error is CodeNotFound.
func (d *Dir) Current(name string) (Files, error) {
	d.files.RLock()
	defer d.files.RUnlock()
	if !abi.ValidName(name) {
		return Files{}, abi.Errorf(abi.CodeInvalid, "%.128q cannot name a plugin", name)
	}
	return d.current(name)
}

func (d *Dir) current(name string) (Files, error) {
	f, err := d.readFiles(d.cfg.Path, name, d.cfg.Scripts())
	if err == nil && !f.HasCode() && f.Manifest == nil {
		err = abi.Errorf(abi.CodeNotFound, "the plugin %s has no file in %s", name, d.cfg.Path)
	}
	return f, err
}

// extensions are those of the files that a plugin may have in the folder, that of the manifest first.
func (d *Dir) extensions() []string { return append([]string{".json", ".wasm"}, d.cfg.Scripts()...) }

// has reports whether the folder has a file of a plugin.
func (d *Dir) has(name string) bool {
	for _, extension := range d.extensions() {
		if _, err := os.Lstat(d.file(name, extension)); err == nil {
			return true
		}
	}
	return false
}

func (d *Dir) file(name, extension string) string { return filepath.Join(d.cfg.Path, name+extension) }

// readFiles reads the files of a version: the manifest, and the module or the first of the scripts that there is.
func (d *Dir) readFiles(dir, name string, scripts []string) (f Files, err error) {
	base := filepath.Join(dir, name)
	if f.Wasm, err = d.read(base+".wasm", d.cfg.MaxModule); err != nil {
		return f, err
	}
	for _, extension := range scripts {
		if f.HasCode() {
			break
		}
		if f.Script, err = d.read(base+extension, d.cfg.MaxModule); err != nil {
			return f, err
		}
		if f.Script != nil {
			f.Extension = extension
		}
	}
	f.Manifest, err = d.read(base+".json", 2*d.cfg.MaxModule+1<<20) // it may have modules in base64
	return f, err
}

// scriptOf is the extension of the script that a version which is kept has, in a list; an empty list: it has none.
func scriptOf(dir string) []string {
	found, err := filepath.Glob(filepath.Join(escape(dir), baseName+".*"))
	if err != nil {
		return nil
	}
	var list []string
	for _, file := range found {
		if extension := filepath.Ext(file); extension != ".wasm" && extension != ".json" {
			list = append(list, extension)
		}
	}
	return list
}

// escape is a path in which no character stands for others in a pattern.
func escape(path string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(path)
}

// read reads a regular file; one that is not there is nil.
func (d *Dir) read(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, unavailable(err)
	case !st.Mode().IsRegular():
		return nil, abi.Errorf(abi.CodeRefused, "%s is not a regular file", path)
	case st.Size() > limit:
		return nil, abi.Errorf(abi.CodeModuleLimit, "%s has %d bytes, more than the %d that are allowed", path, st.Size(), limit)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, unavailable(err)
	}
	return data, nil
}

func unavailable(err error) error {
	return abi.Errorf(abi.CodeUnavailable, "the plugin folder: %w", err)
}

// Put keeps a version, and makes its files those of the plugin: activate, which may be nil, is called when the version is on the disk and
// nothing else is changed yet; when it fails, nothing is, and the version is not kept.
func (d *Dir) Put(name string, digest abi.Digest, f Files, activate func() error) error {
	defer d.change(name)()
	dir, err := d.versionDir(name, digest)
	if err != nil {
		return err
	}
	d.keepBefore(name)
	tmp := ""
	if _, err := os.Stat(dir); err != nil {
		if tmp, err = prepare(dir, f); err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
	}
	if activate != nil {
		if err := activate(); err != nil {
			return err
		}
	}
	if tmp != "" {
		if err := commit(tmp, dir); err != nil {
			return err
		}
	}
	now := time.Now()
	_ = os.Chtimes(dir, now, now)
	if err := d.restore(name, digest); err != nil {
		return err
	}
	return d.prune(name, digest)
}

// keepBefore keeps the version that is to be replaced, if what was loaded is not kept yet.
func (d *Dir) keepBefore(name string) {
	if err := d.keepFiles(name, ""); err != nil {
		d.cfg.Logger.Warn("a version of a plugin is not kept", "plugin", name, "error", err)
	}
}

// Restore makes the files of a version that is kept those of the plugin again; activate is called before anything is changed, with the
// files, and nothing is when it fails. A version that is not kept is CodeNotFound.
func (d *Dir) Restore(name string, digest abi.Digest, activate func(Files) error) error {
	defer d.change(name)()
	dir, err := d.versionDir(name, digest)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err != nil {
		return abi.Errorf(abi.CodeNotFound, "the version %s of the plugin %s is not kept", digest.Short(), name)
	}
	f, err := d.readFiles(dir, baseName, scriptOf(dir))
	if err != nil {
		return err
	}
	d.keepBefore(name)
	if err := activate(f); err != nil {
		return err
	}
	return d.restore(name, digest)
}

// Versions lists the versions of a plugin that are kept, the one that became current last first. It does not wait for changes: a version
// is there or not, as a whole.
func (d *Dir) Versions(name string) ([]Version, error) {
	if !abi.ValidName(name) {
		return nil, nil
	}
	entries, err := os.ReadDir(filepath.Join(d.cfg.Path, hidden, name))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, unavailable(err)
	}
	var list []Version
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || !isDigest(e.Name()) {
			continue
		}
		v := Version{Digest: abi.Digest(digestPrefix + e.Name()), Time: info.ModTime()}
		dir := filepath.Join(d.cfg.Path, hidden, name, e.Name())
		for _, extension := range append([]string{".json", ".wasm"}, scriptOf(dir)...) {
			if st, err := os.Stat(filepath.Join(dir, baseName+extension)); err == nil {
				v.Size = st.Size()
			}
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b Version) int {
		return cmp.Or(b.Time.Compare(a.Time), strings.Compare(string(a.Digest), string(b.Digest)))
	})
	return list, nil
}

// Remove removes the files of a plugin and its versions. The host notices when it looks at the folder: gone is closed then. A plugin
// without files is CodeNotFound.
func (d *Dir) Remove(name string) (gone <-chan struct{}, err error) {
	defer d.change(name)()
	if _, err := d.current(name); abi.CodeOf(err) == abi.CodeNotFound {
		return nil, err
	}
	d.eventsMu.Lock()
	c := d.removed[name]
	if c == nil {
		c = make(chan struct{})
		d.removed[name] = c
	}
	d.eventsMu.Unlock()
	d.files.Lock()
	defer d.files.Unlock()
	for _, extension := range d.extensions() {
		if err := os.Remove(d.file(name, extension)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, unavailable(err)
		}
	}
	folder := filepath.Join(d.cfg.Path, hidden, name)
	return c, unavailableOr(discard(folder, filepath.Join(filepath.Dir(folder), goneName+name)))
}

// Path is the plugin folder.
func (d *Dir) Path() string { return d.cfg.Path }

// File is the file of a plugin's module, whether it is there or not.
func (d *Dir) File(name string) string { return d.file(name, ".wasm") }
