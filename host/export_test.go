package host

import (
	"github.com/taskhost/taskhost/host/internal/linmem"
)

// MemoryInUse is what the memories of all instances have taken of Config.MaxMemory, in bytes.
func (h *Host) MemoryInUse() int64 { return h.budget.used.Load() }

// HostSignatures are the types of the functions that guests can import, by module.name.
func HostSignatures() map[string]string { return hostSignatures() }

// MakePortable lets a host without plugins keep memories as on a system that does not tell which pages were written.
func (h *Host) MakePortable() error {
	err := h.memory.Close()
	h.memory = linmem.Portable()
	return err
}

// Words are the names of functions for guests in Go, Rust, C and AssemblyScript, of those that have any.
func Words() map[string]string {
	words := map[string]string{}
	for name, w := range guestWords {
		if w.goName != "" {
			words[name] = w.goName + " " + w.rust + " " + w.c + " " + w.as
		}
	}
	return words
}

// WASIMismatch compares the table of WASI's functions with those of the engine, and says how they differ.
func (h *Host) WASIMismatch() (diff []string) {
	have := h.bareWASI.ExportedFunctionDefinitions()
	for name, d := range have {
		if t := funcType(d).String(); wasiSignatures[name] != t {
			diff = append(diff, name+" is "+t)
		}
	}
	for name := range wasiSignatures {
		if have[name] == nil {
			diff = append(diff, name+" is gone")
		}
	}
	return diff
}

// ImportProblems tells what is wrong with each import of a module, which is all that a plugin has.
func ImportProblems(bin []byte) ([]string, error) {
	mod, err := decode(module{name: mainModule, wasm: bin})
	if err != nil {
		return nil, err
	}
	var list []string
	for i := range mod.Imports {
		p := importProblem(mod, &mod.Imports[i])
		if p != "" {
			p = importText(&mod.Imports[i]) + p
		}
		list = append(list, p)
	}
	return list, nil
}
