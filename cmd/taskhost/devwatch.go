package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/cases"
	"github.com/taskhost/taskhost/internal/project"
)

// The pace at which the sources are looked at. Polling sees every kind of change on every file system, see RATIONALE.md.
const (
	devInterval = 30 * time.Millisecond
	devShare    = 20                     // a look may take one such part of the time at most, else there are fewer of them
	devPatience = 300 * time.Millisecond // ... but not fewer than this: a busy machine makes one look slow, and the next is not
)

// The bounds of what is watched.
const (
	maxDevFiles = 20_000
	maxDevHash  = 4 << 20 // a larger file is compared by its size and time alone
)

// devTree is what is watched: the files of a project, and the sample input if that is elsewhere.
type devTree struct {
	root  string
	input string                           // empty: none
	own   func(path string) (ignored bool) // what the build writes among the sources
	files map[string]devFile               // as they were at the last look
	spare map[string]devFile               // the map of the look before, to be used again
	since map[string]time.Time             // what has changed and was not told yet: when it was written
}

// devFile is what is known of a file.
type devFile struct {
	size int64
	time time.Time
	sum  [sha256.Size]byte // of its content; zero: it is large
}

// devChange is what has changed.
type devChange struct {
	files []string  // relative to the project, sorted
	saved time.Time // when the last of them was written
	build bool      // some belong to the sources; else they are what goes in
}

func newDevTree(root, input string, own func(string) bool) *devTree {
	return &devTree{root: root, input: input, own: own, files: map[string]devFile{}, spare: map[string]devFile{}, since: map[string]time.Time{}}
}

// look compares the files with what they were at the last look, and tells whether something changed. A file that was written anew with
// the same content has not changed: tools do that.
func (t *devTree) look() (changed bool, err error) {
	now := t.spare
	clear(now)
	take := func(path string, info fs.FileInfo) {
		was, known := t.files[path]
		is := devFile{size: info.Size(), time: info.ModTime(), sum: was.sum}
		if !known || is != was {
			is.sum = sum(path, is.size)
			if !known || is.sum != was.sum || is.size != was.size || is.size > maxDevHash {
				changed = true
				t.since[path] = is.time
			}
		}
		now[path] = is
	}
	err = filepath.WalkDir(t.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it is gone again
			return nil
		case err != nil:
			return err
		case path != t.root && project.Ignored(d.Name()):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case !d.Type().IsRegular() && d.Type()&fs.ModeSymlink == 0 || t.own(path):
			return nil
		case len(now) >= maxDevFiles:
			return abi.Errorf(abi.CodeInvalid, "%s holds more than %d files; dev is for the folder of one plugin", t.root, maxDevFiles)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			take(path, info)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if _, seen := now[t.input]; t.input != "" && !seen {
		if info, err := os.Stat(t.input); err == nil {
			take(t.input, info)
		}
	}
	for path := range t.files {
		if _, ok := now[path]; !ok {
			changed = true
			t.since[path] = time.Now()
		}
	}
	t.files, t.spare = now, t.files
	return changed, nil
}

func sum(path string, size int64) [sha256.Size]byte {
	if size > maxDevHash {
		return [sha256.Size]byte{}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(data)
}

// take is what has changed since it was called last.
func (t *devTree) take() devChange {
	var c devChange
	for path, at := range t.since {
		rel, err := filepath.Rel(t.root, path)
		if err != nil {
			rel = path
		}
		c.files = append(c.files, rel)
		if at.After(c.saved) {
			c.saved = at
		}
		c.build = c.build || path != t.input && !strings.HasPrefix(rel, cases.Dir+string(filepath.Separator))
	}
	slices.Sort(c.files)
	clear(t.since)
	return c
}

// watch looks at the files until ctx ends, and hands on what changed once it was the same for two looks. A change that nobody takes grows.
func (t *devTree) watch(ctx context.Context, changes chan<- devChange) error {
	timer := time.NewTimer(devInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		began := time.Now()
		changed, err := t.look()
		if err != nil {
			return err
		}
		pause := min(max(devInterval, devShare*time.Since(began)), devPatience)
		if !changed && len(t.since) > 0 {
			select {
			case changes <- t.take():
			case <-ctx.Done():
				return nil
			}
		}
		timer.Reset(pause)
	}
}
