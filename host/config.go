package host

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Config is what a Host is made with. The zero value works: an empty host whose plugins come by [Host.Swap].
// New copies it and fills in the defaults.
type Config struct {
	// Dir is the plugin folder: every NAME.wasm in it, every NAME.json that lists its modules, and every NAME.EXT that an interpreter runs is
	// the plugin NAME.
	// New loads it and then watches it. Empty: no folder. It may be a symbolic link, also one that is switched later.
	Dir string

	// Only names the plugins of the folder that are loaded and watched. Those that are scripts bring the interpreters in the folder along.
	// Default: all.
	Only []string

	// CacheDir is the folder of compiled modules, private to the user. Default: "taskhost" in os.UserCacheDir;
	// "off": compile anew in every process. The cache holds machine code: whoever can write to it can run code.
	CacheDir string

	// WatchInterval is how often the folder is looked at. A change is loaded once the file has been the same for two looks.
	// Default: 250 ms. Negative: the folder is loaded once and not watched.
	WatchInterval time.Duration

	// Limits are the limits of plugins whose manifest sets none; fields that are zero get abi.DefaultLimits.
	Limits abi.Limits

	// MaxMemory bounds the memories of all instances together, idle ones included, in bytes: their sizes, which is more than the system
	// has given them. A call that finds no room waits for it; idle instances make room first. Default: 4 GiB.
	MaxMemory int64

	// MaxInstances bounds how many calls of one plugin run at once, for plugins whose manifest does not say;
	// more calls wait. Default: 4 for each core the process may use.
	MaxInstances int

	// IdleTimeout is how long an instance that nobody needs is kept. Default: 1 minute.
	IdleTimeout time.Duration

	// KeepVersions is how many versions of a plugin that are no longer current are kept for Rollback. Default: 3.
	KeepVersions int

	// PluginConfig is laid over the config of manifests: plugin, key, value.
	PluginConfig map[string]map[string]string

	// Isolation, when set, is that of all plugins, whatever their manifests say: for measuring one against the other.
	Isolation abi.Isolation

	// Interpreters run scripts. Default: none, so that only plugins that are interpreters themselves do.
	Interpreters []Interpreter

	// Logger gets the host's messages and those of the guests. Default: they are discarded.
	// Its level decides what guests see as the log level.
	Logger *slog.Logger

	// OnEvent, when set, is called for every event, by the goroutine that caused it, and must return quickly.
	OnEvent func(Event)
}

// withDefaults returns the config with its zeros filled, or an error that says what is wrong.
func (c Config) withDefaults() (Config, error) {
	if c.Dir != "" {
		abs, err := filepath.Abs(c.Dir)
		if err != nil {
			return c, abi.Errorf(abi.CodeInvalid, "host.Config.Dir %q: %w", c.Dir, err)
		}
		if st, err := os.Stat(abs); err != nil {
			return c, abi.Errorf(abi.CodeInvalid, "plugin folder %s: %w; create it, or name another one", c.Dir, err)
		} else if !st.IsDir() {
			return c, abi.Errorf(abi.CodeInvalid, "plugin folder %s is not a folder", c.Dir)
		}
		c.Dir = abs
	}
	if c.CacheDir == "" {
		if base, err := os.UserCacheDir(); err == nil {
			c.CacheDir = filepath.Join(base, "taskhost")
		} else {
			c.CacheDir = cacheOff
		}
	}
	if c.WatchInterval == 0 {
		c.WatchInterval = 250 * time.Millisecond
	}
	if c.MaxMemory == 0 {
		c.MaxMemory = 4 << 30
	}
	if c.MaxInstances == 0 {
		c.MaxInstances = 4 * runtime.GOMAXPROCS(0)
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = time.Minute
	}
	if c.KeepVersions == 0 {
		c.KeepVersions = 3
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.MaxMemory < 2*pageSize:
		return c, abi.Errorf(abi.CodeInvalid, "host.Config.MaxMemory is %d; it must be at least %d, or 0 for the default", c.MaxMemory, 2*pageSize)
	case c.MaxInstances < 0:
		return c, abi.Errorf(abi.CodeInvalid, "host.Config.MaxInstances is %d; it must be positive, or 0 for the default", c.MaxInstances)
	case c.IdleTimeout < 0:
		return c, abi.Errorf(abi.CodeInvalid, "host.Config.IdleTimeout is %v; it must be positive, or 0 for the default", c.IdleTimeout)
	case c.KeepVersions < 0:
		return c, abi.Errorf(abi.CodeInvalid, "host.Config.KeepVersions is %d; it must be positive, or 0 for the default", c.KeepVersions)
	case isolationProblem(c.Isolation) != "":
		return c, abi.Errorf(abi.CodeInvalid, "host.Config.Isolation: %s", isolationProblem(c.Isolation))
	}
	for n := range c.Interpreters {
		if problem := c.Interpreters[n].check(); problem != "" {
			return c, abi.Errorf(abi.CodeInvalid, "host.Config.Interpreters[%d]: %s", n, problem)
		}
	}
	c.Interpreters = slices.Clone(c.Interpreters)
	var err error
	c.Limits, err = limitsWithDefaults(c.Limits)
	return c, err
}

// cacheOff as Config.CacheDir switches the compilation cache off.
const cacheOff = "off"

const (
	pageSize = 64 << 10
	minStack = 64 << 10
	maxStack = 256 << 20 // wazero's own bound is at 400 MB
)

func limitsWithDefaults(l abi.Limits) (abi.Limits, error) {
	d := abi.DefaultLimits()
	for _, f := range []struct {
		name  string
		v     *int64
		def   int64
		least int64
	}{
		{"Memory", &l.Memory, d.Memory, pageSize},
		{"KernelMemory", &l.KernelMemory, d.KernelMemory, pageSize},
		{"Output", &l.Output, d.Output, 1},
		{"Log", &l.Log, d.Log, 1},
		{"Stack", &l.Stack, d.Stack, minStack},
		{"RunTime", (*int64)(&l.RunTime), int64(d.RunTime), 1},
		{"Module", &l.Module, d.Module, 8},
		{"HTTPResponse", &l.HTTPResponse, d.HTTPResponse, 1},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < f.least {
			return l, abi.Errorf(abi.CodeInvalid, "host.Config.Limits.%s is %d; it must be at least %d, or 0 for the default", f.name, *f.v, f.least)
		}
	}
	if l.Vars == 0 {
		l.Vars = d.Vars
	}
	if l.Fuel < 0 {
		return l, abi.Errorf(abi.CodeInvalid, "host.Config.Limits.Fuel is %d; it must be positive, or 0 for no limit", l.Fuel)
	}
	if l.Stack > maxStack {
		return l, abi.Errorf(abi.CodeInvalid, "host.Config.Limits.Stack is %d; it must be at most %d", l.Stack, int64(maxStack))
	}
	if l.Memory > 4<<30 || l.KernelMemory > 4<<30 {
		return l, abi.Errorf(abi.CodeInvalid, "host.Config.Limits: a Wasm memory has at most 4 GiB")
	}
	return l, nil
}
