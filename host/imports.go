package host

import (
	"fmt"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/symbol"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// ImportInfo is one import of a module.
type ImportInfo struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Type   string `json:"type"` // of a function, such as (i32, i64) -> (i32); else what kind it is
	// Problem says in one line why nobody provides it and what to do about that; empty: somebody does.
	Problem string `json:"problem,omitempty"`
}

// Imports lists the imports of a module in their order, each with what is wrong with it. Provided are the other modules of the plugin, by
// the names that its manifest gives them. The error is CodeRefused for what is no module.
func Imports(bin []byte, provided ...string) ([]ImportInfo, error) {
	mod, err := decode(module{name: mainModule, wasm: bin})
	if err != nil {
		return nil, err
	}
	list := make([]ImportInfo, 0, len(mod.Imports))
	for i := range mod.Imports {
		imp := &mod.Imports[i]
		info := ImportInfo{Module: imp.Module, Name: imp.Name, Type: imp.Kind.String()}
		if imp.Kind == wasm.KindFunc {
			info.Type = mod.Types[imp.TypeIndex].String()
		}
		if !slices.Contains(provided, imp.Module) {
			info.Problem = importProblem(mod, imp)
		}
		list = append(list, info)
	}
	return list, nil
}

// importProblem says why an import is not provided, in words that go on after "it "; empty if the host provides it.
func importProblem(mod *wasm.Module, imp *wasm.Import) string {
	name := symbol.Clean(imp.Name)
	known := hostFunctions(imp.Module)
	switch {
	case known == nil:
		return fmt.Sprintf("imports %q of module %q, which nobody provides: %s", name, symbol.Clean(imp.Module), importAdvice(imp))
	case imp.Kind != wasm.KindFunc:
		return fmt.Sprintf("imports %q of %s as a %s, which has no such thing: it has functions alone", name, imp.Module, imp.Kind)
	case !slices.Contains(known, imp.Name):
		return fmt.Sprintf("imports %q of %s, which has no such function: %s", name, imp.Module, importAdvice(imp))
	}
	have, want := hostSignatures()[imp.Module+"."+imp.Name], mod.Types[imp.TypeIndex].String()
	if imp.Module == abi.ModuleWASI {
		have = wasiSignatures[imp.Name]
	}
	if have == want {
		return ""
	}
	problem := fmt.Sprintf("imports %q of %s with the signature %s; it has %s", name, imp.Module, clip(want, maxSignature), have)
	if w, ok := guestWords[imp.Name]; ok && imp.Module != abi.ModuleWASI {
		problem += ": " + w.String(imp.Name)
	}
	return problem
}

// maxSignature is how much is shown of a signature, in bytes.
const maxSignature = 120

// hostFunctions are the names of the functions of one of the host's modules, nil for any other.
func hostFunctions(module string) []string {
	switch module {
	case abi.ModuleEnv:
		return envFunctions
	case abi.ModuleUser:
		return userFunctions
	case abi.ModuleWASI:
		return wasiFunctions()
	}
	return nil
}

// importAdvice says what to do about an import that the host does not have.
func importAdvice(imp *wasm.Import) string {
	if a := elsewhere(imp); a != "" {
		return a
	}
	known := hostFunctions(imp.Module)
	if known == nil {
		for _, a := range advice {
			if a.matches(imp) {
				return a.text
			}
		}
		known = slices.Concat(userFunctions, envFunctions)
	}
	if near := didYouMean(imp.Name, known); near != "" {
		near = strings.TrimSuffix(strings.TrimPrefix(near, " ("), ")")
		if known := hostFunctions(imp.Module); known == nil {
			near += " That is in " + abi.ModuleEnv + " or " + abi.ModuleUser
		}
		return near
	}
	switch imp.Module {
	case abi.ModuleUser:
		return "functions of a program that embeds Extism are not here; taskhost has " + listed(userFunctions)
	case abi.ModuleWASI:
		return "it is no part of WASI preview 1: build it for wasm32-wasip1, without the extensions of another runtime"
	case abi.ModuleEnv:
		return "there are " + listed(envFunctions)
	case "env":
		return envAdvice(imp.Name)
	}
	return fmt.Sprintf("there are %s, %s, %s and the modules that the manifest's wasm list names", abi.ModuleEnv, abi.ModuleUser, abi.ModuleWASI)
}

// elsewhere says where a function is that the host has under another module, or with another beginning of its name.
func elsewhere(imp *wasm.Import) string {
	if imp.Kind != wasm.KindFunc {
		return ""
	}
	for _, name := range []string{imp.Name, strings.TrimPrefix(imp.Name, "extism_"), "taskhost_" + imp.Name} {
		module := ""
		switch {
		case slices.Contains(userFunctions, name):
			module = abi.ModuleUser
		case slices.Contains(envFunctions, name):
			module = abi.ModuleEnv
		case slices.Contains(wasiFunctions(), name) && imp.Module == "env":
			module = abi.ModuleWASI
		}
		if module == "" || name == "free" && imp.Module == "env" { // that is C's
			continue
		}
		text := fmt.Sprintf("it is %s of %s", name, module)
		if name == imp.Name {
			text = fmt.Sprintf("it is a function of %s", module)
		}
		if w, ok := guestWords[name]; ok {
			text += ": " + w.String(name)
		}
		return text
	}
	return ""
}

// envAdvice is for what a linker left open: compilers put functions without a definition into the module env.
func envAdvice(name string) string {
	if plain := symbol.Demangle(name); plain != name {
		return fmt.Sprintf("%s is declared and defined nowhere: link its definition; a function of the host has to be declared extern \"C\", with import_module and import_name", plain)
	}
	return "it is declared and defined nowhere: link its definition (without --allow-undefined the linker says where it is used), or name its module: " +
		"in C with the attributes import_module and import_name, in Rust with #[link(wasm_import_module)], in AssemblyScript with @external"
}
