// Package scaffold makes the folder that the author of a plugin begins with. It holds sources, a manifest, cases and a copy of the
// language's SDK, so that it can be built, tested and run at once, and put under version control as it is.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/taskhost/taskhost"
	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/project"
)

// Kind is what a new plugin is for.
type Kind string

const (
	// Processor is a plugin whose function process is a step: text in, text out.
	Processor Kind = "processor"
	// Agent is a plugin with an action: a JSON object of arguments in, a JSON object out.
	Agent Kind = "agent"
)

// Kinds lists the kinds.
func Kinds() []Kind { return []Kind{Processor, Agent} }

// Config says what to make. Every field is needed.
type Config struct {
	Name string // the plugin's name, see abi.ValidName
	Lang project.Lang
	Kind Kind
}

// suffix is that of the files in templates. The name before it may hold NAME, which is the plugin's.
//
// The files of a language are those of the folder of its name, and in it of the folder of the kind, and those of common.
const suffix = ".tmpl"

//go:embed all:templates
var templates embed.FS

// sdks says which files and folders of the repository go into a project's folder sdk, and what they are called there.
var sdks = map[project.Lang][][2]string{
	project.Go:             {{"LICENSE", "LICENSE"}, {"abi", "abi"}, {"sdk/go", "sdk/go"}},
	project.Rust:           {{"LICENSE", "LICENSE"}, {"sdk/rust", ""}},
	project.C:              {{"LICENSE", "LICENSE"}, {"sdk/c", ""}},
	project.AssemblyScript: {{"LICENSE", "LICENSE"}, {"sdk/assemblyscript", ""}},
}

// Make makes the folder dir, which must not be there yet, with a project in it. It returns the files that it wrote, relative to dir and in
// the order in which they are worth reading, those of the SDK as the one folder sdk. When it fails it leaves nothing behind.
func Make(dir string, cfg Config) (files []string, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	all, err := cfg.files()
	if err != nil {
		return nil, err
	}
	switch err := os.Mkdir(dir, 0o755); {
	case errors.Is(err, fs.ErrExist):
		return nil, abi.Errorf(abi.CodeConflict, "%s is there already; nothing was changed", dir)
	case errors.Is(err, fs.ErrNotExist):
		return nil, abi.Errorf(abi.CodeInvalid, "%s cannot be made: there is no folder %s", dir, filepath.Dir(dir))
	case err != nil:
		return nil, abi.Errorf(abi.CodeInvalid, "%w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir) // it was made above
		}
	}()
	for _, f := range all {
		to := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return nil, abi.Errorf(abi.CodeInvalid, "%w", err)
		}
		if err := os.WriteFile(to, f.content, 0o644); err != nil {
			return nil, abi.Errorf(abi.CodeInvalid, "%w", err)
		}
		if top, _, _ := strings.Cut(f.name, "/"); top == "sdk" {
			f.name = "sdk"
		}
		if !slices.Contains(files, f.name) {
			files = append(files, f.name)
		}
	}
	return files, nil
}

func (c Config) validate() error {
	switch {
	case !abi.ValidName(c.Name):
		return abi.Errorf(abi.CodeInvalid, "%q is no name for a plugin: it is at most %d letters, digits, dots, underscores and dashes, and "+
			"begins with a letter or digit", c.Name, abi.MaxName)
	case !slices.Contains(project.Langs(), c.Lang):
		return abi.Errorf(abi.CodeInvalid, "there is no language %q; there are %s", c.Lang, join(project.Langs()))
	case !slices.Contains(Kinds(), c.Kind):
		return abi.Errorf(abi.CodeInvalid, "there is no kind %q; there are %s", c.Kind, join(Kinds()))
	}
	return nil
}

func join[T ~string](words []T) string {
	var s []string
	for _, w := range words {
		s = append(s, string(w))
	}
	return strings.Join(s, ", ")
}

// file is one file to write.
type file struct {
	name    string // with slashes
	content []byte
}

// files are those of a project: its own first, then the SDK's.
func (c Config) files() ([]file, error) {
	var all []file
	for _, dir := range []string{string(c.Lang) + "/" + string(c.Kind), string(c.Lang), "common/" + string(c.Kind), "common"} {
		found, err := c.render(path.Join("templates", dir))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	for _, copied := range sdks[c.Lang] {
		found, err := sources(copied[0], path.Join("sdk", copied[1]))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// render fills the templates of a folder, and of those below it that are no folders of a kind.
func (c Config) render(dir string) ([]file, error) {
	if _, err := fs.Stat(templates, dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var files []file
	err := fs.WalkDir(templates, dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != dir && slices.Contains(Kinds(), Kind(d.Name())):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		content, err := c.fill(name)
		to := strings.TrimSuffix(strings.TrimPrefix(name, dir+"/"), suffix)
		files = append(files, file{strings.ReplaceAll(to, "NAME", c.Name), content})
		return err
	})
	return files, err
}

// fill is the content that a template makes.
func (c Config) fill(name string) ([]byte, error) {
	text, err := templates.ReadFile(name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(path.Base(name)).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("a template of taskhost itself: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, c); err != nil {
		return nil, fmt.Errorf("a template of taskhost itself: %w", err)
	}
	return b.Bytes(), nil
}

// Slug is the name as Go modules, crates and packages may have it: letters of either case, digits, dashes and underscores, with a letter first.
func (c Config) Slug() string {
	slug := strings.TrimRight(strings.ReplaceAll(c.Name, ".", "-"), "-_")
	if slug[0] >= '0' && slug[0] <= '9' {
		slug = "p" + slug
	}
	return slug
}

// Package is the name as npm packages may have it.
func (c Config) Package() string { return strings.ToLower(c.Slug()) }

// Language is the language's name for a person.
func (c Config) Language() string {
	return map[project.Lang]string{
		project.Go: "Go", project.Rust: "Rust", project.C: "C", project.AssemblyScript: "AssemblyScript", project.JavaScript: "JavaScript",
	}[c.Lang]
}

// Source is the file that the author will change first.
func (c Config) Source() string {
	return map[project.Lang]string{
		project.Go: "main.go", project.Rust: "src/lib.rs", project.C: "src/" + c.Name + ".c", project.AssemblyScript: "assembly/index.ts",
		project.JavaScript: c.Name + ".js",
	}[c.Lang]
}

// Ext is the extension of the built plugin.
func (c Config) Ext() string {
	if c.Lang == project.JavaScript {
		return "js"
	}
	return "wasm"
}

// sources are a file or folder of the repository under another name, without tests.
func sources(from, to string) ([]file, error) {
	var files []file
	err := fs.WalkDir(taskhost.Sources, from, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		content, err := taskhost.Sources.ReadFile(name)
		files = append(files, file{to + strings.TrimPrefix(name, from), content})
		return err
	})
	return files, err
}
