// Package builtin has the interpreters that the command brings along: JavaScript, by QuickJS.
package builtin

import (
	"embed"
	"slices"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// The module is not in the repository: make interpreters puts it there.
//
//go:embed all:interpreters
var files embed.FS

// extensions are those of scripts in JavaScript, and in TypeScript, whose types are taken out.
var extensions = []string{".js", ".mjs", ".mts", ".ts"}

// Extensions are the endings of the files that are scripts, sorted. The caller owns the slice.
func Extensions() []string { return slices.Clone(extensions) }

// Interpreters are those that a host is made with. What they are loaded from is part of the program.
func Interpreters() []host.Interpreter {
	return []host.Interpreter{{Name: "js", Extensions: Extensions(), Load: loadJS}}
}

func loadJS() (host.Source, error) {
	wasm, err := files.ReadFile("interpreters/js.wasm")
	if err != nil {
		return host.Source{}, abi.Errorf(abi.CodeRefused, "this taskhost was built without JavaScript, for want of clang: have make build it where there is one, "+
			"or put js.wasm and js.json of another build into the plugin folder")
	}
	text, err := files.ReadFile("interpreters/js.json")
	if err != nil {
		return host.Source{}, abi.Errorf(abi.CodeInternal, "the manifest of the interpreter: %w", err)
	}
	m, err := host.ParseManifest("js.json", text)
	return host.Source{Wasm: wasm, Path: "js.wasm", Manifest: m}, err
}
