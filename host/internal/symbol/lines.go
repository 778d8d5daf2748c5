package symbol

import (
	"debug/dwarf"
	"encoding/binary"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// Bounds on what is read of a module's debug information.
const (
	maxSections = 256 << 20 // bytes
	maxUnits    = 100_000
	maxInlined  = 16 // frames at one place
	maxOrigins  = 8  // steps from an inlined function to what has its name
	// MaxTime bounds the work of Open, and each At.
	MaxTime = 2 * time.Second
)

// Lines finds places of a module's code in its source. It is for one goroutine at a time.
type Lines struct {
	data  *dwarf.Data
	units []dwarf.Offset // of the first entry of each
	until time.Time      // when the call under way gives up
}

// Open reads the sections of a decoded module. It returns nil when there are none, or none that can be read. The result shares memory with
// the module.
func Open(m *wasm.Module) (l *Lines) {
	defer func() {
		if recover() != nil { // debug/dwarf trusts some of what it reads
			l = nil
		}
	}()
	sections := map[string][]byte{}
	size := 0
	for _, c := range m.Customs {
		if name, ok := strings.CutPrefix(c.Name, ".debug_"); ok && sections[name] == nil {
			sections[name] = c.Data
			size += len(c.Data)
		}
	}
	if len(sections["info"]) == 0 || len(sections["line"]) == 0 || size > maxSections {
		return nil
	}
	l = &Lines{until: time.Now().Add(MaxTime)}
	l.units = units(sections["info"])
	data, err := dwarf.New(sections["abbrev"], nil, nil, sections["info"], sections["line"], nil, sections["ranges"], sections["str"])
	if err != nil {
		return nil
	}
	for _, name := range []string{"addr", "line_str", "str_offsets", "rnglists"} {
		if s := sections[name]; s != nil && data.AddSection(".debug_"+name, s) != nil {
			return nil
		}
	}
	l.data = data
	return l
}

// HasLines tells whether a module has debug information that Open reads.
func HasLines(m *wasm.Module) bool {
	return len(m.Custom(".debug_info")) > 0 && len(m.Custom(".debug_line")) > 0
}

// units finds where the units of .debug_info begin, so that one can be read without those before it.
func units(info []byte) []dwarf.Offset {
	var list []dwarf.Offset
	for at := 0; at+12 <= len(info) && len(list) < maxUnits; {
		n := int64(binary.LittleEndian.Uint32(info[at:]))
		version := binary.LittleEndian.Uint16(info[at+4:])
		header := 11
		if version >= 5 {
			header = 12
		}
		if n >= 0xfffffff0 { // the 64-bit format, which no compiler of Wasm writes
			break
		}
		if version < 5 || info[at+6] == 1 { // else it has types alone
			list = append(list, dwarf.Offset(at+header))
		}
		at += 4 + int(n)
	}
	return list
}

func (l *Lines) late() bool { return time.Now().After(l.until) }

// At is what is known of an offset into the code section, the innermost inlined function first, the function that the code belongs to
// last; nothing if nothing is known.
func (l *Lines) At(offset uint32) (frames []Frame) {
	defer func() {
		if recover() != nil {
			frames = nil
		}
	}()
	l.until = time.Now().Add(MaxTime)
	pc := uint64(offset)
	for _, at := range l.units {
		if l.late() {
			return nil
		}
		r := l.data.Reader()
		r.Seek(at)
		unit, err := r.Next()
		if err != nil || unit == nil || unit.Tag != dwarf.TagCompileUnit || !l.holds(unit, pc) {
			continue
		}
		return l.within(r, unit, pc)
	}
	return nil
}

// holds tells whether an entry's code has the offset. Code that the linker left out begins at 0 or at the last addresses.
func (l *Lines) holds(e *dwarf.Entry, pc uint64) bool {
	ranges, err := l.data.Ranges(e)
	if err != nil {
		return false
	}
	for _, r := range ranges {
		if !dead(r[0]) && r[0] <= pc && pc < r[1] {
			return true
		}
	}
	return false
}

func dead(address uint64) bool { return address == 0 || address >= 1<<32-2 }

// within finds the frames at pc in a unit, whose first entry r has just read.
func (l *Lines) within(r *dwarf.Reader, unit *dwarf.Entry, pc uint64) []Frame {
	base, _ := unit.Val(dwarf.AttrCompDir).(string)
	lines, err := l.data.LineReader(unit)
	if err != nil || lines == nil {
		return nil
	}
	place := l.row(lines, pc, base)
	chain := l.chain(r, pc)
	if len(chain) == 0 {
		if place.File == "" {
			return nil
		}
		return []Frame{place}
	}
	files := lines.Files()
	frames := make([]Frame, 0, len(chain))
	for _, e := range slices.Backward(chain) {
		place.Func = l.name(e)
		frames = append(frames, place)
		place = Frame{}
		if i, ok := e.Val(dwarf.AttrCallFile).(int64); ok && i >= 0 && i < int64(len(files)) && files[i] != nil {
			place.File = shorten(files[i].Name, base)
		}
		if line, ok := e.Val(dwarf.AttrCallLine).(int64); ok && line > 0 && line < 1<<30 {
			place.Line = int(line)
		}
	}
	return frames
}

// row is the place of pc in the unit's line table. Its sequences need not be in order.
func (l *Lines) row(lines *dwarf.LineReader, pc uint64, base string) (f Frame) {
	var before, e dwarf.LineEntry
	open := false // before is of the same sequence
	for n := 0; lines.Next(&e) == nil; n++ {
		if n%4096 == 0 && l.late() {
			return f
		}
		if open && before.Address <= pc && pc < e.Address {
			if before.File != nil {
				f.File = shorten(before.File.Name, base)
			}
			f.Line = max(before.Line, 0)
			return f
		}
		switch {
		case e.EndSequence:
			open = false
		case !open && dead(e.Address): // of code that is not there: its rows ascend from here
			for lines.Next(&e) == nil && !e.EndSequence {
			}
		default:
			before, open = e, true
		}
	}
	return f
}

// chain is the function that has pc, and the functions inlined there, each inside of the one before it.
func (l *Lines) chain(r *dwarf.Reader, pc uint64) (chain []*dwarf.Entry) {
	floor := 0 // the depth at which the function stands
	for depth, n := 1, 0; depth > 0; n++ {
		if n%1024 == 0 && l.late() {
			return chain
		}
		e, err := r.Next()
		if err != nil || e == nil {
			return chain
		}
		descend := e.Children
		switch e.Tag {
		case 0: // the end of a list of children
			if depth--; len(chain) > 0 && depth <= floor {
				return chain
			}
			continue
		case dwarf.TagSubprogram, dwarf.TagInlinedSubroutine:
			if !l.holds(e, pc) {
				descend = false
				break
			}
			if chain = append(chain, e); len(chain) == 1 {
				floor = depth
			}
			if len(chain) == maxInlined || floor == depth && !e.Children {
				return chain
			}
		case dwarf.TagNamespace, dwarf.TagClassType, dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagEnumerationType, dwarf.TagModule:
			descend = e.Children && len(chain) == 0
		case dwarf.TagLexDwarfBlock:
			descend = e.Children && len(chain) > 0 && l.holds(e, pc)
		default:
			descend = false
		}
		switch {
		case descend:
			depth++
		case e.Children:
			r.SkipChildren()
		}
	}
	return chain
}

// name is the name of a function, which may stand at what it was made from.
func (l *Lines) name(e *dwarf.Entry) string {
	short := ""
	for range maxOrigins {
		if s, ok := e.Val(dwarf.AttrLinkageName).(string); ok && s != "" {
			return Demangle(s)
		}
		if s, ok := e.Val(dwarf.AttrName).(string); ok && short == "" {
			short = s
		}
		at, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			if at, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset); !ok {
				break
			}
		}
		r := l.data.Reader()
		r.Seek(at)
		next, err := r.Next()
		if err != nil || next == nil {
			break
		}
		e = next
	}
	return Clean(short)
}

// shorten takes from a file's path what says nothing of the plugin: the folder that it was compiled in, and where a toolchain has its
// library.
func shorten(file, base string) string {
	file = strings.ReplaceAll(file, `\`, "/")
	if base = strings.TrimRight(strings.ReplaceAll(base, `\`, "/"), "/"); base != "" {
		file = strings.TrimPrefix(file, base+"/")
	}
	if rest, ok := strings.CutPrefix(file, "/rustc/"); ok {
		if _, inside, ok := strings.Cut(rest, "/"); ok {
			file = inside
		}
	}
	return Clean(path.Clean(file))
}
