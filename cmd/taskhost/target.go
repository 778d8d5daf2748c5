package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// target is where the results go.
type target struct {
	dir string
	ext string // empty: by content

	mu    sync.Mutex
	taken map[string]string // input by output, both as they were written
}

// newTarget checks what can be checked before any result is there: no two inputs may claim the same output.
func newTarget(dir, ext string, files []string) (*target, error) {
	if ext != "" && !strings.HasPrefix(ext, ".") {
		ext = "." + ext
	}
	if strings.ContainsAny(ext, `/\`) {
		return nil, usagef("--ext %s: write an extension such as html", ext)
	}
	if st, err := os.Stat(dir); err == nil && !st.IsDir() {
		return nil, usagef("--out %s is not a folder", dir)
	}
	claims := map[string]string{}
	for _, file := range files {
		name := filepath.Base(file)
		if ext != "" {
			name = stem(file) + ext
		}
		if before, ok := claims[name]; ok {
			return nil, usagef("%s and %s would both become %s; run them in two batches with an --out of their own",
				before, file, filepath.Join(dir, name))
		}
		claims[name] = file
	}
	return &target{dir: dir, ext: ext, taken: map[string]string{}}, nil
}

func stem(file string) string {
	base := filepath.Base(file)
	if s := strings.TrimSuffix(base, filepath.Ext(base)); s != "" {
		return s
	}
	return base
}

// name is the file for the result of an input file.
func (t *target) name(file string, output []byte) string {
	ext := t.ext
	if ext == "" {
		ext = extensionFor(output, filepath.Ext(file))
	}
	return filepath.Join(t.dir, stem(file)+ext)
}

// take claims the name of a result for an input file. No result may take the place of another one, or of its input.
func (t *target) take(name, file string) error {
	t.mu.Lock()
	before, ok := t.taken[name]
	t.taken[name] = file
	t.mu.Unlock()
	if ok {
		return fmt.Errorf("the result would replace %s, that of %s; choose another --out or --ext", name, before)
	}
	if in, err := os.Stat(file); err == nil {
		if out, err := os.Stat(name); err == nil && os.SameFile(in, out) {
			return fmt.Errorf("the result would replace the input %s; choose another --out or --ext", name)
		}
	}
	return nil
}

// write writes the result for an input file, as a whole, and returns its name. It never writes over an input or another result.
func (t *target) write(file string, output []byte) (string, error) {
	name := t.name(file, output)
	if err := t.take(name, file); err != nil {
		return "", err
	}
	return name, writeFile(name, output)
}

// settle writes the output of a task that completed earlier, unless it is in its place: then there is nothing to do.
func (t *target) settle(file string, output []byte) (name string, there bool, err error) {
	name = t.name(file, output)
	if st, err := os.Stat(name); err == nil && st.Mode().IsRegular() && st.Size() == int64(len(output)) {
		have, err := os.ReadFile(name)
		if err == nil && string(have) == string(output) {
			return name, true, t.take(name, file)
		}
	}
	name, err = t.write(file, output)
	return name, false, err
}

// tidy removes what an earlier run that was killed left of the results that it was writing.
func (t *target) tidy(files []string) error {
	entries, err := os.ReadDir(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fileError("read the folder", err)
	}
	ours := map[string]bool{}
	for _, file := range files {
		ours[stem(file)] = true
	}
	for _, e := range entries {
		if m := unfinished.FindStringSubmatch(e.Name()); m != nil && ours[stem(m[1])] {
			if err := os.Remove(filepath.Join(t.dir, e.Name())); err != nil {
				return fileError("remove", err)
			}
		}
	}
	return nil
}
