package host

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero/api"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/kernel"
	"github.com/taskhost/taskhost/host/internal/symbol"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// Bounds on the stacks that errors show.
const (
	innerFrames  = 24 // the innermost frames that are shown
	outerFrames  = 8  // and the outermost
	maxCycle     = 4  // functions that call each other in turn and are folded
	minRepeat    = 4  // rounds of a cycle from which on it is folded
	maxStackText = 9 << 9
)

// stackText is the guest's stack when a call of f failed with an error of the engine's, one frame a line, the innermost first; empty if
// there is none.
func (i *instance) stackText(f api.Function, err error) string {
	names, more := engineFrames(err.Error())
	lines := i.nativeLines(f, names)
	if lines == nil {
		for _, name := range names {
			if !strings.HasPrefix(name, "taskhost.") { // the pass's
				lines = append(lines, symbol.Demangle(name))
			}
		}
		if more {
			lines = append(lines, "… and perhaps more")
		}
	}
	return joinLines(foldRuntime(lines), maxStackText)
}

// engineFrames are the names in the text of an error of the engine's; more says that there are others.
func engineFrames(text string) (names []string, more bool) {
	_, list, ok := strings.Cut(text, "wasm stack trace:\n\t")
	if !ok {
		return nil, false
	}
	list, _, _ = strings.Cut(list, "\n\nGo runtime stack trace:")
	for line := range strings.SplitSeq(list, "\n\t") {
		switch m := engineFrame.FindStringSubmatch(line); {
		case m != nil:
			names = append(names, strings.TrimPrefix(m[1], "."))
		case strings.HasPrefix(line, "..."):
			more = true
		}
	}
	return names, more
}

// engineFrame matches a function with its signature.
var engineFrame = regexp.MustCompile(`^(.*?)\([a-z0-9,]*\)(?: [a-z0-9]+| \([a-z0-9,]+\))?$`)

// nativeLines are the lines of the stack as the machine code tells them; nil if it does not. Names are the engine's for the innermost.
func (i *instance) nativeLines(f api.Function, names []string) []string {
	if f == nil {
		return nil
	}
	pcs := nativeStack(f)
	s := &i.v.symbols
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(pcs) == 0 || !s.read(i) {
		return nil
	}
	ids := make([]uint64, len(pcs)) // of functions; 0: not the plugin's
	own := false
	for n, pc := range pcs {
		if at, ok := s.site(pc); ok {
			ids[n] = uint64(at.module+1)<<32 | uint64(at.function)
			own = true
		}
	}
	if !own {
		return nil
	}
	spans := fold(ids)
	left := 0
	if cut := len(spans) - innerFrames - outerFrames; cut > 0 {
		for _, sp := range spans[innerFrames : innerFrames+cut] {
			left += sp.frames + sp.more
		}
		spans = slices.Delete(slices.Clone(spans), innerFrames, innerFrames+cut)
	}
	var sites []site
	for _, sp := range spans {
		for _, pc := range pcs[sp.from : sp.from+sp.frames] {
			if at, ok := s.site(pc); ok {
				sites = append(sites, at)
			}
		}
	}
	found, err := s.resolve(i.v, sites)
	if err != nil {
		return nil
	}
	var lines []string
	for n, sp := range spans {
		if left > 0 && n == innerFrames {
			lines = append(lines, fmt.Sprintf("… %s more", thousands(left)))
		}
		for k := sp.from; k < sp.from+sp.frames; k++ {
			at, ok := s.site(pcs[k])
			switch {
			case ok:
				for _, frame := range found[at] {
					lines = append(lines, frameText(frame))
				}
			case k < len(names) && (k+1 == len(pcs) || ids[k+1] != 0): // the function of the host that the guest called, not what that called
				lines = append(lines, hostFunction(names[k])+" (of taskhost)")
			}
		}
		if sp.more > 0 {
			var of []string
			for _, pc := range pcs[sp.from : sp.from+sp.cycle] {
				if at, ok := s.site(pc); ok && len(found[at]) > 0 {
					of = append(of, found[at][len(found[at])-1].Func)
				}
			}
			lines = append(lines, fmt.Sprintf("… %s more of %s", thousands(sp.more), strings.Join(of, ", ")))
		}
	}
	return lines
}

// span is a part of a stack: so many frames that are shown, and how many others follow that repeat the last cycle of them.
type span struct{ from, frames, cycle, more int }

// fold finds recursion: rounds of the same few functions.
func fold(ids []uint64) []span {
	var spans []span
	for i := 0; i < len(ids); {
		cycle, rounds := 0, 0
		for c := 1; c <= maxCycle && i+c <= len(ids); c++ {
			n := c
			for i+n < len(ids) && ids[i+n] == ids[i+n-c] {
				n++
			}
			if n/c >= minRepeat {
				cycle, rounds = c, n/c
				break
			}
		}
		if cycle == 0 {
			spans = append(spans, span{from: i, frames: 1})
			i++
			continue
		}
		spans = append(spans, span{i, 2 * cycle, cycle, (rounds - 2) * cycle}) // the innermost round may be elsewhere than all others
		i += rounds * cycle
	}
	return spans
}

// hostFunction is the name by which guests know a function of the host, from the engine's.
func hostFunction(name string) string {
	if n, err := strconv.ParseUint(strings.TrimPrefix(name, "$"), 10, 32); err == nil { // the kernel's have no names
		if known, ok := kernelExports()[uint32(n)]; ok {
			name = abi.ModuleEnv + "." + known
		}
	}
	return symbol.Clean(name)
}

// kernelExports are the names of the kernel's functions by their indices.
var kernelExports = sync.OnceValue(func() map[uint32]string {
	names := map[uint32]string{}
	if k, err := wasm.Decode(kernel.Wasm); err == nil {
		for _, e := range k.Exports {
			if e.Kind == wasm.KindFunc {
				names[e.Index] = e.Name
			}
		}
	}
	return names
})

func frameText(f symbol.Frame) string {
	name := f.Func
	if name == "" {
		name = "?"
	}
	switch {
	case f.File == "":
		return name
	case f.Line == 0:
		return fmt.Sprintf("%s (%s)", name, f.File)
	}
	return fmt.Sprintf("%s (%s:%d)", name, f.File, f.Line)
}

// foldRuntime shortens what a language's runtime adds around the author's functions.
func foldRuntime(lines []string) []string {
	var out []string
	for i := 0; i < len(lines); {
		n := i
		for n < len(lines) && ofRuntime(lines[n]) {
			n++
		}
		switch {
		case n-i > 2 && n-i < len(lines):
			out = append(out, fmt.Sprintf("… %d of the language's runtime", n-i))
			i = n
		default:
			n = max(n, i+1)
			out = append(out, lines[i:n]...)
			i = n
		}
	}
	return out
}

// ofRuntime tells whether a frame is one of those that say nothing: how Rust comes to panic, and how Go comes to its functions.
func ofRuntime(line string) bool {
	for _, prefix := range []string{"core::panicking::", "std::panicking::", "std::sys::", "std::sys_common::", "std::rt::", "core::ops::function::", "rust_panic",
		"__rust", "rust_begin_unwind", "panic_abort::", "std::alloc::", "runtime.", "wasm_pc_f_loop", "_rt0_wasm", "wasm_export_"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// thousands is n with a comma after each three digits.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// joinLines is the lines as one text of at most n bytes; what does not fit is left out as whole lines.
func joinLines(lines []string, n int) string {
	var b strings.Builder
	for _, line := range lines {
		if b.Len()+len(line)+1 > n-len("…\n") {
			b.WriteString("…\n")
			break
		}
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}
