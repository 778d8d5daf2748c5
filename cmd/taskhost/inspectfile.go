package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/builtin"
)

// isFile tells whether an argument is the name of a file rather than of a plugin.
func isFile(arg string) bool {
	return strings.EqualFold(filepath.Ext(arg), ".wasm") || script(arg) || strings.ContainsAny(arg, `/\`)
}

// fileName is what a plugin of a file is called.
func fileName(file string) string {
	name := stem(file)
	if !abi.ValidName(name) {
		return "plugin"
	}
	return name
}

// script tells whether a file is a plugin that an interpreter runs.
func script(file string) bool { return slices.Contains(builtin.Extensions(), filepath.Ext(file)) }

// readPlugin reads a module's file and the manifest beside it. Of a file that is a manifest alone it reads the modules that it lists.
func readPlugin(file string) (host.Source, error) {
	limit := abi.DefaultLimits().Module
	if strings.EqualFold(filepath.Ext(file), ".json") {
		return host.ReadSource(filepath.Dir(file), stem(file), limit)
	}
	return host.ReadFile(file, limit)
}

// inspectFile tells what is in a file, and what comes of it when it is loaded. One that cannot be loaded is described as far as it can be
// read; the error is that there is no such file.
func (a *app) inspectFile(ctx context.Context, file string, top int) (host.PluginInfo, error) {
	name := fileName(file)
	if script(file) {
		return a.inspectScript(ctx, file)
	}
	src, err := readPlugin(file)
	if err != nil && len(src.Wasm) == 0 {
		return host.PluginInfo{}, err
	}
	p := host.Examine(src, top)
	p.Name, p.Path = name, file
	if err != nil {
		p.State, p.Error = host.StateRefused, err.Error()
	}
	if p.State == host.StateRefused {
		return p, nil
	}
	loaded, err := a.tryPlugin(ctx, name, src)
	switch {
	case err == nil:
		loaded.Modules, loaded.Path = p.Modules, file
		return loaded, nil
	case ctx.Err() != nil:
		return p, err
	}
	p.State, p.Error, p.Sandbox = host.StateRefused, abi.AsError(err).Message, ""
	return p, nil
}

// tryPlugin compiles and starts a plugin, and tells what the host knows of it then.
func (a *app) tryPlugin(ctx context.Context, name string, src host.Source) (p host.PluginInfo, err error) {
	err = a.withHost(ctx, "", nil, func(h *host.Host) error {
		if _, err := h.Swap(ctx, name, src); err != nil {
			return err
		}
		p, err = h.Inspect(name)
		return err
	})
	return p, err
}

// inspectScript tells what a folder's host makes of a script in it.
func (a *app) inspectScript(ctx context.Context, file string) (p host.PluginInfo, err error) {
	err = a.withHost(ctx, filepath.Dir(file), []string{stem(file)}, func(h *host.Host) error {
		p, err = h.Inspect(stem(file))
		return err
	})
	return p, err
}

// modules adds what a plugin's modules are made of. Where there are several, each begins with its name.
func (f *facts) modules(list []abi.ModuleInfo) {
	for _, m := range list {
		if len(list) > 1 {
			f.line("module", fmt.Sprintf("%s, %s", oneLine(m.Name), bytesText(m.Size)))
		}
		if len(list) > 1 { // else it is why the plugin was refused
			f.line("cannot read", oneLine(m.Error))
		}
		f.list("cannot call", uncallableLines(m))
		f.list("imports", f.importLines(m))
		f.line("memory", memoryText(m))
		f.list("tables", tableLines(m))
		f.list("sections", sectionLines(m))
		f.list("code", codeLines(m))
		f.line("debug", debugText(m))
		f.list("not pristine", lines(m.NotPristine))
	}
}

// uncallableLines are the exports that are no functions of the plugin, by why they are not.
func uncallableLines(m abi.ModuleInfo) []string {
	var why []string
	names := map[string][]string{}
	for _, e := range m.Exports {
		if e.Callable {
			continue
		}
		if !slices.Contains(why, e.Why) {
			why = append(why, e.Why)
		}
		names[e.Why] = append(names[e.Why], oneLine(e.Name))
	}
	var out []string
	for _, w := range why {
		out = append(out, hanging(strings.Join(names[w], ", ")+": "+w)...)
	}
	return out
}

// importLines are the imports by what becomes of them and where they come from: what is missing goes first.
func (f *facts) importLines(m abi.ModuleInfo) []string {
	type group struct {
		state       abi.ImportState
		module, why string
	}
	var groups []group
	names := map[group][]string{}
	for _, i := range m.Imports {
		g := group{i.State, i.Module, i.Why}
		if names[g] == nil {
			groups = append(groups, g)
		}
		if name := oneLine(i.Name); !slices.Contains(names[g], name) {
			names[g] = append(names[g], name)
		}
	}
	rank := func(g group) int {
		return slices.Index([]abi.ImportState{abi.ImportUnknown, abi.ImportStubbed, abi.ImportDenied, abi.ImportGranted}, g.state)
	}
	slices.SortStableFunc(groups, func(x, y group) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), strings.Compare(x.module, y.module))
	})
	colours := map[abi.ImportState]string{abi.ImportUnknown: red, abi.ImportStubbed: yellow, abi.ImportDenied: yellow, abi.ImportGranted: dim}
	var out []string
	for _, g := range groups {
		text := oneLine(g.module) + ": " + strings.Join(names[g], ", ")
		if g.why != "" {
			text += ": " + oneLine(g.why)
		}
		for i, line := range hanging(text) {
			state := strings.Repeat(" ", len("granted"))
			if i == 0 {
				state = f.app.paint(f.app.stdout, colours[g.state], fmt.Sprintf("%-7s", g.state))
			}
			out = append(out, state+" "+line)
		}
	}
	return out
}

func memoryText(m abi.ModuleInfo) string {
	if m.Memory == nil {
		return ""
	}
	text := bytesText(m.Memory.Min) + " at start, "
	if m.Memory.Max > 0 {
		text += "at most " + bytesText(m.Memory.Max) + " by its own declaration"
	} else {
		text += "no maximum of its own"
	}
	if m.Memory.Imported {
		text += ", imported"
	}
	if m.Memory.Shared {
		text += ", shared"
	}
	return text
}

func tableLines(m abi.ModuleInfo) (out []string) {
	for _, t := range m.Tables {
		text := fmt.Sprintf("%s, %d elements", t.Type, t.Min)
		if t.Max == 0 {
			text += " and more"
		} else if t.Max > t.Min {
			text += fmt.Sprintf(" to %d", t.Max)
		}
		out = append(out, text)
	}
	return out
}

// sectionLines are the sizes of a module's parts: those that are the program, then those that are for tools.
func sectionLines(m abi.ModuleInfo) (out []string) {
	for _, custom := range []bool{false, true} {
		var parts []string
		sum := int64(0)
		for _, s := range slices.SortedStableFunc(slices.Values(m.Sections), func(a, b abi.SectionInfo) int { return cmp.Compare(b.Size, a.Size) }) {
			if s.Custom != custom {
				continue
			}
			sum += s.Size
			parts = append(parts, oneLine(s.Name)+" "+bytesText(s.Size))
		}
		const most = 6
		if len(parts) > most {
			parts = append(parts[:most], fmt.Sprintf("and %d more", len(parts)-most))
		}
		if len(parts) > 0 {
			text := strings.Join(parts, ", ")
			if custom {
				text = fmt.Sprintf("custom %s: %s", bytesText(sum), text)
			}
			out = append(out, hanging(text)...)
		}
	}
	return out
}

// codeLines are the largest functions, and the sum of the others.
func codeLines(m abi.ModuleInfo) []string {
	if m.Functions == 0 {
		return nil
	}
	if m.CodeBytes == 0 { // the file ends before
		return []string{fmt.Sprintf("%d functions", m.Functions)}
	}
	out := []string{fmt.Sprintf("%s in %d functions", bytesText(m.CodeBytes), m.Functions)}
	rest := m.CodeBytes
	for _, c := range m.Code {
		rest -= c.Size
		out = append(out, fmt.Sprintf("%10s  %s", bytesText(c.Size), cut(oneLine(c.Name), 80)))
	}
	if others := m.Functions - len(m.Code); others > 0 && len(m.Code) > 0 {
		out = append(out, fmt.Sprintf("%10s  %d others", bytesText(rest), others))
	}
	return out
}

func debugText(m abi.ModuleInfo) string {
	switch {
	case m.Functions == 0:
		return ""
	case m.DWARF:
		return "names of functions, files and lines (DWARF)"
	case m.Names:
		return "names of functions, no files and lines"
	}
	return "none: traps show numbers of functions"
}

// hanging is text in lines that fit a terminal beside the names of facts.
func hanging(text string) []string {
	list := wrap(text, 96)
	for i := 1; i < len(list); i++ {
		list[i] = "  " + list[i]
	}
	return list
}

// wrap breaks text at spaces into lines of at most n runes, as far as its words let it.
func wrap(text string, n int) []string {
	var out []string
	line, length := "", 0
	for word := range strings.SplitSeq(text, " ") {
		k := len([]rune(word))
		if length > 0 && length+1+k > n {
			out = append(out, line)
			line, length = "", 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+word, length+k
	}
	return append(out, line)
}
