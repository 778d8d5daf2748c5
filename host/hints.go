package host

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// hints are what a version was seen to do that its author may want to change: each one sentence, with what to do. Any goroutine may use it.
type hints struct {
	leaks, silent atomic.Bool // told

	mu   sync.Mutex
	list []string
}

func (h *hints) add(format string, args ...any) string {
	text := clip(fmt.Sprintf(format, args...), maxHint)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, text)
	return text
}

// all is a copy.
func (h *hints) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.list)
}

const (
	maxReasons  = 3               // why a module is not pristine
	maxHint     = 500             // bytes of one
	muchDebug   = 1 << 20         // bytes of debug information that are worth a hint
	silentAfter = 5 * time.Second // that long a call may go on without a word
	goSeed      = 64              // bytes that Go's runtime draws at most, for hash keys and math/rand
)

// warn adds a hint and tells the log.
func (v *version) warn(function, format string, args ...any) {
	text := v.hints.add(format, args...)
	v.host.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, "hint", slog.String("plugin", v.name), slog.String("function", function),
		slog.String("version", v.source.digest.Short()), slog.String("hint", text))
}

// hintAtStart looks at what the version's modules are, and what its first instance did while it started. full has the modules' bytes.
func (v *version) hintAtStart(full *resolved, first *instance) {
	if v.isolation == abi.IsolationPristine && !v.sandbox.restore {
		v.hints.add("%s", notPristine(v.modules, len(v.mounts) > 0))
	}
	if v.sandbox.restore && first.drew > 0 && !(first.drew <= goSeed && seedUnused(v.toolchain, full)) {
		v.hints.add("it drew random bytes while it started, and each task begins from that state: what it makes of them, such as seeds and hash keys, " +
			"repeats in each task; draw them when a task needs them, or set taskhost.isolation to fresh in the manifest")
	}
	if v.debug > muchDebug {
		v.hints.add("%s", debugHint(v.toolchain, v.debug, full.size()))
	}
}

// notPristine says why each call of a plugin gets an instance of its own, though an instance that is put back was wanted.
func notPristine(modules []compiled, folders bool) string {
	const then = "each call starts an instance of its own, which takes longer than to put one back, since "
	if folders {
		return then + "it has folders, whose open files cannot be put back; take allowed_paths out of the manifest if calls have to be short"
	}
	var why []string
	for _, m := range modules {
		for k, r := range m.pass.Reasons {
			if len(why) == maxReasons {
				break
			}
			if k == 0 {
				r = moduleWord(m.name) + " " + r
			}
			why = append(why, r)
		}
	}
	return then + strings.Join(why, ", ") +
		"; build it without that, or set taskhost.isolation to reuse in the manifest if its calls may see what others left"
}

// debugHint is for a plugin with much debug information.
func debugHint(toolchain string, debug, size int64) string {
	how := "strip it with wasm-strip or wasm-opt --strip-debug"
	switch {
	case strings.HasPrefix(toolchain, "Go"):
		how = "build it with -ldflags=-s"
	case strings.Contains(toolchain, "Rust"):
		how = "set strip = true in the profile of Cargo.toml"
	case strings.Contains(toolchain, "clang"):
		how = "link it with -Wl,--strip-debug"
	}
	return fmt.Sprintf("%.1f of its %.1f MiB are debug information, which is good for stack traces and costs time to load: %s when you ship it",
		float64(debug)/(1<<20), float64(size)/(1<<20), how)
}

// debugSize is how many bytes of a module are names and debug information.
func debugSize(m *wasm.Module) (n int64) {
	for i := range m.Customs {
		if c := &m.Customs[i]; c.Name == "name" || strings.HasPrefix(c.Name, ".debug_") {
			n += int64(len(c.Data))
		}
	}
	return n
}

// seedUnused tells whether a Go program has nothing that shows a seed: neither of the math/rand packages. Its runtime draws one at start,
// whatever the program does.
func seedUnused(toolchain string, r *resolved) bool {
	return strings.HasPrefix(toolchain, "Go ") && len(r.modules) == 1 &&
		!bytes.Contains(r.modules[0].wasm, []byte("math/rand.")) && !bytes.Contains(r.modules[0].wasm, []byte("math/rand/v2."))
}

// hintAtEnd looks at a call that is over, i being its instance. It must cost next to nothing.
func (v *version) hintAtEnd(i *instance, call *abi.Call, took time.Duration) {
	if took >= silentAfter && !i.spoke && v.form != FormWASI && !v.hints.silent.Swap(true) {
		v.warn(call.Function, "a call of %s took %v and never reported progress, so nobody could see how far it was; report it in the loop that takes the time",
			call.Function, took.Round(100*time.Millisecond))
	}
	if v.sandbox.keep && i.growth.leaks(i.pages(), len(call.Input)) && !v.hints.leaks.Swap(true) {
		v.warn(call.Function, "its memory grew in call after call, to %d MiB after %d calls of one instance, and with the isolation reuse nothing takes it back; "+
			"free what a call allocates, or take the isolation pristine", i.pages()>>4, i.growth.calls)
	}
}
