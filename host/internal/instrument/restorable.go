package instrument

import (
	"fmt"
	"slices"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// restorable collects what makes an instance of a module impossible to put back by its memory and globals alone.
type restorable struct {
	m    *wasm.Module
	said []string

	usesDatas bool // by their numbers
}

func (s *restorable) say(format string, args ...any) {
	if r := fmt.Sprintf(format, args...); !slices.Contains(s.said, r) {
		s.said = append(s.said, r)
	}
}

func (s *restorable) reasons() []string { return s.said }

func (s *restorable) module(m *wasm.Module) {
	s.m = m
	for i := range m.Imports {
		imp := &m.Imports[i]
		switch {
		case imp.Kind == wasm.KindMemory, imp.Kind == wasm.KindTable:
			s.say("imports the %s %s.%s", imp.Kind, imp.Module, imp.Name)
		case imp.Kind == wasm.KindGlobal && imp.Global.Mutable:
			s.say("imports the mutable global %s.%s", imp.Module, imp.Name)
		}
	}
	for _, g := range m.Globals {
		if g.Mutable && (g.Type == wasm.V128 || g.Type.IsRef()) {
			s.say("has a mutable global of type %s, which the engine cannot set from outside", g.Type)
		}
	}
}

var mutating = map[wasm.Op]string{
	wasm.OpTableSet: "table.set", wasm.OpTableGrow: "table.grow", wasm.OpTableFill: "table.fill",
	wasm.OpTableCopy: "table.copy", wasm.OpTableInit: "table.init",
	wasm.OpDataDrop: "data.drop", wasm.OpElemDrop: "elem.drop",
}

// join adds what another one has found.
func (s *restorable) join(o *restorable) {
	for _, r := range o.said {
		s.say("%s", r)
	}
	s.usesDatas = s.usesDatas || o.usesDatas
}

// function looks at the body of one function.
func (s *restorable) function(f *function) {
	for k := range f.nodes {
		op := f.nodes[k].op
		if op != wasm.OpTableSet && op < wasm.OpMemoryInit {
			continue
		}
		if op == wasm.OpMemoryInit || op == wasm.OpDataDrop {
			s.usesDatas = true
		}
		if name, ok := mutating[op]; ok {
			s.say("changes tables or segments at run time (%s)", name)
		}
	}
}
