// Package project knows the folders that hold the sources of a plugin: what one is called, what it is written in, and how it is built.
//
// A folder says so in taskhost.json; one without is guessed from its files. What is built goes into its folder build, which is a plugin
// folder. The compilers are those of the language, found in PATH; what they print is passed on as it is.
package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// File is the name of the file that describes a project.
const File = "taskhost.json"

// BuildDir is the folder in a project that Build writes into. It is a plugin folder, and can be removed at any time.
const BuildDir = "build"

// maxFile bounds the file that describes a project.
const maxFile = 64 << 10

// Lang is the language of a project.
type Lang string

// The languages that Build knows the tools of.
const (
	Go             Lang = "go"
	Rust           Lang = "rust"
	C              Lang = "c" // C++ too
	AssemblyScript Lang = "as"
	JavaScript     Lang = "js"
)

// Langs lists the languages in the order in which they are shown.
func Langs() []Lang { return []Lang{Go, Rust, C, AssemblyScript, JavaScript} }

// Project is a folder with the sources of one plugin.
type Project struct {
	Dir     string   // the folder
	Name    string   // the plugin's name
	Lang    Lang     // what it is written in; empty when Command builds it
	Command []string // the project's own build command; nil: the tools of the language
	Output  string   // what Command writes, relative to Dir: a module or a script
	Cache   string   // a folder for what projects share, such as the compiled SDK for Rust; empty: each keeps its own, in BuildDir
	Tools   *Tools   // compilers that are kept loaded; nil: each build loads its own
	Debug   bool     // Build keeps names and lines for the stacks of traps, and trades size for time
}

// description is the form of File.
type description struct {
	Name   string   `json:"name"`
	Lang   Lang     `json:"lang"`
	Build  []string `json:"build"`
	Output string   `json:"output"`
}

// Load finds out about the project in dir. An error with the code [abi.CodeInvalid] says what is wrong with the folder, and one with
// [abi.CodeNotFound] that it is not there, or holds nothing that is known.
func Load(dir string) (*Project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "%s: %w", dir, err)
	}
	st, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, abi.Errorf(abi.CodeNotFound, "there is no folder %s; taskhost new NAME makes one", dir)
	case err != nil:
		return nil, abi.Errorf(abi.CodeInvalid, "%w", err)
	case !st.IsDir():
		return nil, abi.Errorf(abi.CodeInvalid, "%s is not a folder; name the one that holds the sources", dir)
	}
	d, err := describe(filepath.Join(dir, File))
	if err != nil {
		return nil, err
	}
	p := &Project{Dir: abs, Name: d.Name, Lang: d.Lang, Command: d.Build, Output: d.Output}
	if p.Lang == "" && p.Command == nil {
		if p.Lang = guess(abs); p.Lang == "" {
			return nil, abi.Errorf(abi.CodeNotFound, "%s holds no sources that are known: write %s, such as {\"name\": \"shout\", \"lang\": \"c\"}, "+
				"or make a folder with taskhost new NAME", dir, File)
		}
	}
	if user, err := os.UserCacheDir(); err == nil {
		p.Cache = filepath.Join(user, "taskhost", "sdk")
	}
	if p.Name == "" {
		p.Name = filepath.Base(abs)
		if script := onlyScript(abs); p.Lang == JavaScript && script != "" {
			p.Name = script
		}
	}
	return p, p.check(filepath.Join(dir, File))
}

// describe reads the file that describes a project; there need not be one.
func describe(file string) (description, error) {
	var d description
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, abi.Errorf(abi.CodeInvalid, "%w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return d, abi.Errorf(abi.CodeInvalid, "%w", err)
	}
	if len(data) > maxFile {
		return d, abi.Errorf(abi.CodeInvalid, "%s is larger than %d bytes", file, maxFile)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return d, abi.Errorf(abi.CodeInvalid, "%s: %w; the keys are name, lang, build and output", file, err)
	}
	return d, nil
}

// check says what is wrong with a project, if anything is. file is the one that describes it.
func (p *Project) check(file string) error {
	switch {
	case !abi.ValidName(p.Name):
		return abi.Errorf(abi.CodeInvalid, "%q is no name for a plugin, which is letters, digits, dot, underscore and dash: "+
			"write another as \"name\" into %s", p.Name, file)
	case p.Command != nil && (len(p.Command) == 0 || p.Command[0] == ""):
		return abi.Errorf(abi.CodeInvalid, "%s: \"build\" is a command and its arguments: [\"make\", \"plugin\"]", file)
	case p.Command != nil && !filepath.IsLocal(p.Output):
		return abi.Errorf(abi.CodeInvalid, "%s: with \"build\", \"output\" names the file in the folder that the command writes", file)
	case p.Command != nil && p.ext() == "":
		return abi.Errorf(abi.CodeInvalid, "%s: \"output\" is %s; it must end in .wasm, %s", file, p.Output,
			strings.Join(scripts[:len(scripts)-1], ", ")+" or "+scripts[len(scripts)-1])
	case p.Command == nil && p.Output != "":
		return abi.Errorf(abi.CodeInvalid, "%s: \"output\" belongs to a \"build\" command; without one the plugin is built into %s", file, BuildDir)
	case p.Command == nil && !slices.Contains(Langs(), p.Lang):
		return abi.Errorf(abi.CodeInvalid, "%s: there is no \"lang\" %q; there are %s. For any other, give the command that builds it as \"build\" "+
			"and the file that it writes as \"output\"", file, p.Lang, langNames())
	}
	return nil
}

func langNames() string {
	var names []string
	for _, l := range Langs() {
		names = append(names, string(l))
	}
	return strings.Join(names, ", ")
}

// ext is the extension of the plugin's file.
func (p *Project) ext() string {
	if p.Command != nil {
		if ext := filepath.Ext(p.Output); ext == ".wasm" || slices.Contains(scripts, ext) {
			return ext
		}
		return ""
	}
	if p.Lang == JavaScript {
		for _, ext := range scripts {
			if _, err := os.Stat(filepath.Join(p.Dir, p.Name+ext)); err == nil {
				return ext
			}
		}
		return scripts[0]
	}
	return ".wasm"
}

// scripts are the endings of files in JavaScript and TypeScript.
var scripts = []string{".js", ".mjs", ".ts", ".mts"}

// Ignored tells whether a folder or file, by its name alone, is none of the sources: what tools write, and what begins with a dot.
func Ignored(name string) bool {
	switch name {
	case BuildDir, "node_modules", "target":
		return true
	}
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~")
}

// guess finds the language by the files that a folder of it has.
func guess(dir string) Lang {
	has := func(patterns ...string) bool {
		for _, p := range patterns {
			if found, _ := filepath.Glob(filepath.Join(escape(dir), p)); len(found) > 0 {
				return true
			}
		}
		return false
	}
	switch {
	case has("go.mod"):
		return Go
	case has("Cargo.toml"):
		return Rust
	case has("package.json") && has("assembly/*.ts", "*.ts"):
		return AssemblyScript
	case has("src/*.c", "src/*.cpp", "src/*.cc", "*.c", "*.cpp", "*.cc"):
		return C
	case has("*.js", "*.mjs", "*.ts", "*.mts"):
		return JavaScript
	}
	return ""
}

// onlyScript is the name of the one script in dir, without its extension; empty when there are several.
func onlyScript(dir string) string {
	var found []string
	for _, ext := range scripts {
		files, _ := filepath.Glob(filepath.Join(escape(dir), "*"+ext))
		for _, file := range files {
			if name := strings.TrimSuffix(filepath.Base(file), ext); !strings.HasSuffix(name, ".d") { // types for an editor
				found = append(found, name)
			}
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// escape makes a path one that a pattern may begin with.
func escape(path string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(path)
}
