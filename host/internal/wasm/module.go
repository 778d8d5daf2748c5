// Package wasm reads and writes the binary format of core WebAssembly modules, as far as wazero accepts it.
//
// [Decode] checks the structure of a module and every index it contains, but not the types of instructions: that is
// left to the engine. It takes linear time, never panics, and refuses what it does not understand with an [*Error]
// that names section and offset. What it returns shares memory with the binary, which must not change afterwards.
package wasm

// Module is a decoded module. Index spaces count imports first.
type Module struct {
	Types     []FuncType
	Imports   []Import
	Funcs     []uint32 // type index of each function the module defines
	Tables    []Table
	Memories  []Limits
	Tags      []uint32 // type index of each tag the module defines
	Globals   []Global
	Exports   []Export
	Start     *uint32
	Elements  []Element
	DataCount *uint32
	Codes     []Code
	Datas     []Data
	Customs   []Custom

	// CodeStart is the offset of the code section's content in the binary that was read: debug information counts from there.
	CodeStart int

	imported [5]int // number of imports of each kind
}

// ImportCount is the number of imports of one kind: the first index the module defines itself.
func (m *Module) ImportCount(k Kind) int {
	if int(k) >= len(m.imported) {
		return 0
	}
	return m.imported[k]
}

// FuncCount is the number of functions, imports included.
func (m *Module) FuncCount() int { return m.imported[KindFunc] + len(m.Funcs) }

// TableCount is the number of tables, imports included.
func (m *Module) TableCount() int { return m.imported[KindTable] + len(m.Tables) }

// GlobalCount is the number of globals, imports included.
func (m *Module) GlobalCount() int { return m.imported[KindGlobal] + len(m.Globals) }

// TagCount is the number of tags, imports included.
func (m *Module) TagCount() int { return m.imported[KindTag] + len(m.Tags) }

// FuncType is the type of the function with the given index, imports included. It panics when there is none.
func (m *Module) FuncType(index uint32) *FuncType {
	n := uint32(m.imported[KindFunc])
	if index >= n {
		return &m.Types[m.Funcs[index-n]]
	}
	for i := range m.Imports {
		if m.Imports[i].Kind != KindFunc {
			continue
		}
		if index == 0 {
			return &m.Types[m.Imports[i].TypeIndex]
		}
		index--
	}
	panic("wasm: no such function")
}

// Memory is the module's memory; ok is false when it has none.
func (m *Module) Memory() (l Limits, imported, ok bool) {
	if len(m.Memories) > 0 {
		return m.Memories[0], false, true
	}
	for i := range m.Imports {
		if m.Imports[i].Kind == KindMemory {
			return m.Imports[i].Memory, true, true
		}
	}
	return Limits{}, false, false
}

// Export looks an export up by its name.
func (m *Module) Export(name string) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}

// Custom is the content of the first custom section of that name, or nil.
func (m *Module) Custom(name string) []byte {
	for i := range m.Customs {
		if m.Customs[i].Name == name {
			return m.Customs[i].Data
		}
	}
	return nil
}
