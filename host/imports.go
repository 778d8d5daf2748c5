package host

import (
	"fmt"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/symbol"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// importText names an import in a sentence about its module.
func importText(imp *wasm.Import) string {
	if hostFunctions(imp.Module) == nil {
		return fmt.Sprintf("imports %q of module %q, ", symbol.Clean(imp.Name), symbol.Clean(imp.Module))
	}
	return fmt.Sprintf("imports %q of %s, ", symbol.Clean(imp.Name), imp.Module)
}

// importProblem says why nobody provides an import of none of the plugin's modules, and what to do about it, in words that go on after
// importText; empty if the host provides it.
func importProblem(mod *wasm.Module, imp *wasm.Import) string {
	known := hostFunctions(imp.Module)
	switch {
	case known == nil:
		return "which nobody provides: " + importAdvice(imp)
	case imp.Kind != wasm.KindFunc:
		return fmt.Sprintf("which has no %s: it has functions alone", imp.Kind)
	case !slices.Contains(known, imp.Name):
		return "which has no such function: " + importAdvice(imp)
	}
	have, want := hostSignatures()[imp.Module+"."+imp.Name], mod.Types[imp.TypeIndex].String()
	if imp.Module == abi.ModuleWASI {
		have = wasiSignatures[imp.Name]
	}
	if have == want {
		return ""
	}
	problem := fmt.Sprintf("with the signature %s; it has %s", clip(want, maxSignature), have)
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
	if near := didYouMean(imp.Module, []string{abi.ModuleEnv, abi.ModuleUser, abi.ModuleWASI}); near != "" {
		return strings.TrimSuffix(strings.TrimPrefix(near, " ("), ")")
	}
	return fmt.Sprintf("there are %s, %s, %s and the modules that the manifest's wasm list names; what is never called can be listed in taskhost.stub_imports", abi.ModuleEnv, abi.ModuleUser, abi.ModuleWASI)
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
