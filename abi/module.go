package abi

// ModuleInfo is what one WebAssembly module of a plugin shows to somebody who reads it, without compiling or running it.
type ModuleInfo struct {
	Name        string          `json:"name"`                // by which the plugin's other modules import from it; "main" is the one whose functions are called
	Size        int64           `json:"size"`                // bytes
	Error       string          `json:"error,omitempty"`     // why it can be read no further; what comes before that place is here
	Toolchain   string          `json:"toolchain,omitempty"` // as its producers section tells
	Exports     []ExportInfo    `json:"exports,omitempty"`   // functions
	Imports     []ImportInfo    `json:"imports,omitempty"`
	Memory      *MemoryInfo     `json:"memory,omitempty"`
	Tables      []TableInfo     `json:"tables,omitempty"`
	Sections    []SectionInfo   `json:"sections,omitempty"`     // as they are in the file
	Code        []FunctionBytes `json:"code,omitempty"`         // the largest functions, the largest first
	Functions   int             `json:"functions"`              // that it defines
	CodeBytes   int64           `json:"code_bytes"`             // of all functions
	Names       bool            `json:"names"`                  // functions have names
	DWARF       bool            `json:"dwarf"`                  // code has files and lines
	NotPristine []string        `json:"not_pristine,omitempty"` // why its instances cannot be put back after a call
}

// ExportInfo is an exported function.
type ExportInfo struct {
	Name     string `json:"name"`
	Type     string `json:"type"` // (i32, i64) -> (i32)
	Callable bool   `json:"callable"`
	Why      string `json:"why,omitempty"` // it cannot be called
}

// ImportState is what becomes of an import.
type ImportState string

// The states of imports.
const (
	ImportGranted ImportState = "granted" // it is there
	ImportDenied  ImportState = "denied"  // it is there, and does nothing or fails, since the manifest does not grant what it needs
	ImportStubbed ImportState = "stubbed" // nobody provides it; the manifest's taskhost.stub_imports let the plugin load, and calling it fails
	ImportUnknown ImportState = "unknown" // nobody provides it: the plugin is refused
)

// ImportInfo is something that a module imports.
type ImportInfo struct {
	Module string      `json:"module"`
	Name   string      `json:"name"`
	Kind   string      `json:"kind"`           // func, table, memory, global or tag
	Type   string      `json:"type,omitempty"` // of a function
	State  ImportState `json:"state"`
	Why    string      `json:"why,omitempty"` // it is not granted, and what was meant or would help
}

// MemoryInfo is a module's linear memory, in bytes.
type MemoryInfo struct {
	Min      int64 `json:"min"`           // that it has when it starts
	Max      int64 `json:"max,omitempty"` // that it may have by its own declaration; 0: it declares none
	Imported bool  `json:"imported,omitempty"`
	Shared   bool  `json:"shared,omitempty"`
}

// TableInfo is a table of references, in elements.
type TableInfo struct {
	Type string `json:"type"`
	Min  int64  `json:"min"`
	Max  int64  `json:"max,omitempty"` // 0: it declares none
}

// SectionInfo is a section of a module's file.
type SectionInfo struct {
	Name   string `json:"name"`
	Custom bool   `json:"custom,omitempty"` // for tools, not part of the program
	Size   int64  `json:"size"`             // bytes
}

// FunctionBytes is how much code a function has.
type FunctionBytes struct {
	Name  string `json:"name"`  // as a person would write it; func[N] if it has none
	Index uint32 `json:"index"` // imports first
	Size  int64  `json:"size"`  // bytes
}
