package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// script is what a version has that an interpreter runs.
type script struct {
	file    string
	text    []byte
	names   []string // of its functions, in the interpreter's order
	numbers []uint64 // in that order, of the version's functions
}

// number finds the version's functions among those of the script.
func (s *script) number(functions []string) {
	for _, name := range functions {
		s.numbers = append(s.numbers, uint64(slices.Index(s.names, name)))
	}
}

// Bounds on the functions of a script.
const (
	maxScriptFunctions = 1000
	maxScriptNames     = maxScriptFunctions * (abi.MaxName + 1) // bytes
)

// takeScript checks the script of a source.
func (r *resolved) takeScript(s Source, limit int64) error {
	switch {
	case len(s.Wasm) > 0 || len(r.manifest.Wasm) > 0:
		return abi.Errorf(abi.CodeInvalid, "there are modules beside the script %s: a plugin is one or the other", s.File)
	case filepath.Base(s.File) != s.File || filepath.Ext(s.File) == "" || len(s.File) > 2*abi.MaxName:
		return abi.Errorf(abi.CodeInvalid, "%q does not name the file of a script: want a name with an extension, and no folder", clip(s.File, abi.MaxName))
	case r.manifest.Taskhost != nil && len(r.manifest.Taskhost.Interprets) > 0:
		return abi.Errorf(abi.CodeInvalid, "manifest: taskhost.interprets: a script cannot be an interpreter")
	case int64(len(s.Script)) > limit:
		return moduleTooLarge(s.File, int64(len(s.Script)), limit)
	}
	r.script, r.file = s.Script, s.File
	if r.script == nil {
		r.script = []byte{}
	}
	r.files = []string{s.Path}
	return nil
}

// scriptDigest names the version of a script: the text, the language, and the manifest decide what it does.
func (r *resolved) scriptDigest() abi.Digest {
	meta, _ := json.Marshal(r.manifest) // maps are written in the order of their keys
	h := sha256.New()
	fmt.Fprintf(h, "script\x00%s\x00%s\x00", r.extension(), meta)
	h.Write(r.script)
	return abi.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// takeRunner makes the version one of an interpreter's, with the modules of that.
func (v *version) takeRunner(ctx context.Context) error {
	r := v.source
	var err error
	if v.runner, err = v.host.interpreterFor(r.extension()); err != nil {
		return err
	}
	v.script = &script{file: r.file, text: r.script}
	v.shape = v.runner.shape
	v.form, v.toolchain, v.imports, v.debug = FormScript, v.runner.label(), nil, 0
	v.limits.Stack = v.runner.stack(&r.manifest, v.limits.Stack)
	if v.memory > v.limits.Memory {
		return memoryToStart(v.memory, v.limits.Memory)
	}
	v.modules, err = v.runner.modules(ctx, v.limits.Stack)
	return err
}

// stack is how much stack a script gets: what its manifest says, else what the interpreter's does, since that is who uses it, else the host's limit.
func (t *interpreter) stack(script *abi.Manifest, limit int64) int64 {
	own, runner := script.Taskhost, t.source.manifest.Taskhost
	if (own != nil && own.MaxStackBytes > 0) || runner == nil || runner.MaxStackBytes == 0 {
		return limit
	}
	return runner.MaxStackBytes
}

// loadScript has the interpreter load the version's script.
func (i *instance) loadScript() error {
	s := i.v.script
	load := i.main().ExportedFunction(abi.FuncScriptLoad)
	if load == nil {
		return abi.Errorf(abi.CodeInternal, "the interpreter's %s is gone", abi.FuncScriptLoad)
	}
	if err := i.kernel.Begin(&i.ctx, append([]byte(s.file), s.text...)); err != nil {
		return err
	}
	i.result[0] = uint64(len(s.file))
	if err := load.CallWithStack(&i.ctx, i.result[:]); err != nil {
		i.failed = load
		return err
	}
	view, n, msg, failed := i.kernel.Outcome(maxScriptNames)
	if code := uint32(i.result[0]); code != 0 || failed {
		e := i.reported(code, msg)
		e.Code = abi.CodeRefused
		return e
	}
	if n > maxScriptNames {
		return abi.Errorf(abi.CodeRefused, "the names of its functions have %d bytes, more than %d", n, maxScriptNames)
	}
	names, err := scriptFunctions(string(view))
	if err != nil {
		return err
	}
	if s.names != nil && !slices.Equal(names, s.names) {
		return abi.Errorf(abi.CodeFailed, "its functions are %s this time, and were %s the first time: they must not differ from start to start",
			listed(names), listed(s.names))
	}
	i.scriptNames = names
	return nil
}

// scriptFunctions reads what an interpreter says of a script's functions.
func scriptFunctions(text string) ([]string, error) {
	names := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	seen := map[string]bool{}
	for _, name := range names {
		switch {
		case text == "":
			return nil, abi.Errorf(abi.CodeRefused, "it exports no function that can be called")
		case len(names) > maxScriptFunctions:
			return nil, abi.Errorf(abi.CodeRefused, "it has %d functions, more than %d", len(names), maxScriptFunctions)
		case name == "" || len(name) > abi.MaxName || strings.ContainsFunc(name, unprintable) || strings.Contains(name, "\uFFFD"):
			return nil, abi.Errorf(abi.CodeRefused, "%q cannot name a function: want at most %d bytes, all printable", clip(name, abi.MaxName), abi.MaxName)
		case seen[name]:
			return nil, abi.Errorf(abi.CodeRefused, "its interpreter lists the function %s twice", name)
		}
		seen[name] = true
	}
	return names, nil
}

func unprintable(r rune) bool { return printable(r) < 0 }

// scriptFailure splits what an interpreter says of a failure: what failed, and where in the script that was.
func scriptFailure(msg string) (message, place string) {
	message, place, _ = strings.Cut(strings.TrimRight(msg, "\n"), "\n")
	return message, place
}
