package host

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// Source is what a version is made from.
type Source struct {
	// Wasm is the module; empty if the manifest lists the modules, or there is a script.
	Wasm []byte
	// Script is the text of a script, and File the name of its file, without a folder: its extension tells which interpreter runs it.
	Script []byte
	File   string
	// Manifest may be nil. Its relative paths are relative to Base.
	Manifest *abi.Manifest
	// Base is the folder that relative paths start from. Default: the working directory.
	Base string
	// Path is the file that it came from, for messages; it may be empty.
	Path string
}

// ReadSource reads the files of a plugin in a folder, NAME.wasm and NAME.json, of which one may be missing, as a host does that watches
// the folder; or instead of the module a script, which has one of the extensions. limit bounds each module. Errors are those of a file that
// is refused; that of a plugin without files wraps fs.ErrNotExist.
func ReadSource(dir, name string, limit int64, scripts ...string) (Source, error) {
	if !abi.ValidName(name) {
		return Source{}, invalidName(name)
	}
	return readSource(dir, name, limit, scripts)
}

// Digest names the version that the source makes, and reads the modules that its manifest lists. limit bounds each module.
func (s Source) Digest(limit int64) (abi.Digest, error) {
	r, err := s.resolve(limit)
	if err != nil {
		return "", err
	}
	return r.digest, nil
}

// module is one module of a version, by the name under which the others import from it. The main module is the last.
type module struct {
	name string
	wasm []byte

	file  *os.File // where wasm is when it is not in memory, see Host.stash; the garbage collector closes it
	bytes int64    // its size
}

const mainModule = "main"

// resolved is a source with all of its modules read and checked.
type resolved struct {
	modules  []module // main last
	manifest abi.Manifest
	base     string
	path     string
	script   []byte // of a plugin without modules; nil: it has modules
	file     string // the name of the script's file
	digest   abi.Digest
	files    []string // the files that it was read from
}

func (r *resolved) extension() string { return filepath.Ext(r.file) }

func (r *resolved) size() (n int64) {
	n = int64(len(r.script))
	for _, m := range r.modules {
		if n += int64(len(m.wasm)); m.wasm == nil {
			n += m.bytes
		}
	}
	return n
}

// readSource reads NAME.wasm or NAME and the extension of a script, and NAME.json.
func readSource(dir, name string, limit int64, scripts []string) (Source, error) {
	src := Source{Base: dir}
	file := filepath.Join(dir, name+".json")
	data, err := readFile(file, manifestLimit(limit))
	switch {
	case err == nil:
		src.Path = file
		if src.Manifest, err = ParseManifest(filepath.Base(file), data); err != nil {
			return src, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		src.Path = file
		if abi.CodeOf(err) == abi.CodeModuleLimit {
			err = abi.Errorf(abi.CodeRefused, "%s.json: the manifest is too large: put its modules into files", name)
		}
		return src, err
	}
	listed := src.Manifest != nil && len(src.Manifest.Wasm) > 0
	found, err := codeFile(dir, name, scripts, listed)
	if err != nil || listed {
		return src, err
	}
	src.Path = filepath.Join(dir, found)
	data, err = readFile(src.Path, limit)
	if found != name+".wasm" {
		src.Script, src.File = data, found
		return src, err
	}
	src.Wasm = data
	if errors.Is(err, fs.ErrNotExist) {
		err = abi.Errorf(abi.CodeInvalid, "%s.json: wasm: lists no module, and there is no %s.wasm beside it", name, name)
	}
	return src, err
}

// codeFile finds the file that has a plugin's code: the module, unless there is a script. Of two files none is chosen, and a script goes
// with no list of modules.
func codeFile(dir, name string, scripts []string, listed bool) (string, error) {
	var found []string
	for _, ext := range append([]string{".wasm"}, scripts...) {
		if _, err := os.Stat(filepath.Join(dir, name+ext)); err == nil && !(listed && ext == ".wasm") {
			found = append(found, name+ext)
		}
	}
	switch {
	case len(found) > 1:
		return "", abi.Errorf(abi.CodeInvalid, "%s and %s cannot both be the plugin %s: remove one, or give it another name", found[0], found[1], name)
	case len(found) == 1 && listed:
		return "", abi.Errorf(abi.CodeInvalid, "%s.json: wasm: lists modules, and there is the script %s: give one of them another name", name, found[0])
	case len(found) == 0:
		return name + ".wasm", nil
	}
	return found[0], nil
}

// resolve reads the modules that the manifest names and checks sizes and hashes.
func (s Source) resolve(limit int64) (*resolved, error) {
	r := &resolved{base: s.Base, path: s.Path}
	if s.Manifest != nil {
		r.manifest = *s.Manifest
		if key, problem := checkManifest(s.Manifest); key != "" {
			return nil, abi.Errorf(abi.CodeInvalid, "manifest: %s: %s", key, problem)
		}
	}
	if s.File != "" {
		if err := r.takeScript(s, limit); err != nil {
			return nil, err
		}
	} else if len(r.manifest.Wasm) == 0 {
		if int64(len(s.Wasm)) > limit {
			return nil, moduleTooLarge(s.Path, int64(len(s.Wasm)), limit)
		}
		r.modules = []module{{name: mainModule, wasm: s.Wasm}}
		r.files = []string{s.Path}
	} else if err := r.readModules(limit); err != nil {
		return nil, err
	}
	r.digest = r.makeDigest()
	r.manifest.Wasm = nil
	return r, nil
}

func (r *resolved) readModules(limit int64) error {
	list := r.manifest.Wasm
	main := len(list) - 1
	for i, w := range list {
		m := module{name: w.Name, wasm: w.Data}
		if w.Name == mainModule {
			main = i
		}
		if w.Path != "" {
			file := w.Path
			if !filepath.IsAbs(file) {
				file = filepath.Join(r.base, file)
			}
			var err error
			if m.wasm, err = readFile(file, limit); err != nil {
				return abi.Errorf(abi.CodeOf(err), "manifest: wasm[%d]: %w", i, err)
			}
			r.files = append(r.files, file)
		} else if int64(len(w.Data)) > limit {
			return moduleTooLarge(fmt.Sprintf("wasm[%d]", i), int64(len(w.Data)), limit)
		}
		if sum := sha256.Sum256(m.wasm); w.Hash != "" && !strings.EqualFold(w.Hash, hex.EncodeToString(sum[:])) {
			return abi.Errorf(abi.CodeRefused, "manifest: wasm[%d]: the module's sha256 is %x, the manifest wants %s", i, sum, w.Hash)
		}
		r.modules = append(r.modules, m)
	}
	m := r.modules[main]
	m.name = mainModule
	r.modules = append(slices.Delete(r.modules, main, main+1), m)
	return nil
}

// makeDigest names the version: the module's own sha256 if nothing else decides what it does.
func (r *resolved) makeDigest() abi.Digest {
	if r.script != nil {
		return r.scriptDigest()
	}
	sums := make([][sha256.Size]byte, len(r.modules))
	for i, m := range r.modules {
		sums[i] = sha256.Sum256(m.wasm)
	}
	bare := r.manifest
	bare.Wasm = nil
	meta, err := json.Marshal(bare) // maps are written in the order of their keys
	if err != nil || len(r.modules) == 1 && string(meta) == "{}" {
		return abi.Digest("sha256:" + hex.EncodeToString(sums[len(sums)-1][:]))
	}
	h := sha256.New()
	h.Write(meta)
	for i, m := range r.modules {
		fmt.Fprintf(h, "\x00%s\x00", m.name)
		h.Write(sums[i][:])
	}
	return abi.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// readFile reads a regular file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() { // to open a pipe would wait for its writer
		return nil, abi.Errorf(abi.CodeRefused, "%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, abi.Errorf(abi.CodeRefused, "%w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, abi.Errorf(abi.CodeRefused, "%w", err)
	case !st.Mode().IsRegular():
		return nil, abi.Errorf(abi.CodeRefused, "%s is not a regular file", path)
	case st.Size() > limit:
		return nil, moduleTooLarge(path, st.Size(), limit)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, abi.Errorf(abi.CodeRefused, "%w", err)
	case int64(len(data)) > limit:
		return nil, moduleTooLarge(path, int64(len(data)), limit)
	}
	return data, nil
}

func moduleTooLarge(path string, size, limit int64) error {
	return abi.Errorf(abi.CodeModuleLimit, "%s has %d bytes, more than the limit of %d; raise Limits.Module of the host if you trust it",
		path, size, limit)
}

// overlay lays over on base; neither is changed.
func overlay(base, over map[string]string) map[string]string {
	if len(over) == 0 {
		return base
	}
	m := maps.Clone(base)
	if m == nil {
		m = map[string]string{}
	}
	maps.Copy(m, over)
	return m
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
