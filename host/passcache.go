package host

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/taskhost/taskhost/host/internal/instrument"
)

// passCache keeps rewritten modules on disk, beside the compiled ones: rewriting takes a tenth of the time of compiling, which is most of
// what is left when nothing is to be compiled. The zero passCache keeps nothing.
type passCache struct {
	dir   string
	build string // names this build of the program: another one may rewrite otherwise
}

// The age at which files of the caches are removed: those of passCache since they were last used, compiled modules since they were made.
const (
	maxPassAge     = 30 * 24 * time.Hour
	maxCompiledAge = 90 * 24 * time.Hour
)

// openPassCache opens the cache in the folder of the compilation cache, which is private and can be written to.
func openPassCache(dir string) passCache {
	exe, err := os.Executable()
	if err != nil {
		return passCache{}
	}
	st, err := os.Stat(exe)
	if err != nil {
		return passCache{}
	}
	c := passCache{filepath.Join(dir, "pass"), fmt.Sprintf("%s %d %d", exe, st.Size(), st.ModTime().UnixNano())}
	if os.MkdirAll(c.dir, 0o700) != nil {
		return passCache{}
	}
	removeOld(filepath.Join(c.dir, "*"), maxPassAge)
	removeOld(filepath.Join(dir, "wazero-*", "*"), maxCompiledAge)
	return c
}

// removeOld removes the files that match and are older than age.
func removeOld(pattern string, age time.Duration) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return
	}
	for _, f := range files {
		if st, err := os.Stat(f); err == nil && st.Mode().IsRegular() && time.Since(st.ModTime()) > age {
			_ = os.Remove(f)
		}
	}
}

// rewrite is instrument.Rewrite, or what it gave before for the same module and config. What is damaged is made anew.
func (c passCache) rewrite(wasm []byte, cfg instrument.Config) (*instrument.Result, error) {
	if c.dir == "" {
		return instrument.Rewrite(wasm, cfg)
	}
	key := sha256.New()
	fmt.Fprintf(key, "%s\x00%+v\x00", c.build, cfg)
	key.Write(wasm)
	file := filepath.Join(c.dir, hex.EncodeToString(key.Sum(nil)))
	if b, err := os.ReadFile(file); err == nil {
		if r, err := instrument.Decode(b); err == nil {
			c.used(file)
			return r, nil
		}
	}
	r, err := instrument.Rewrite(wasm, cfg)
	if err == nil {
		c.store(file, r)
	}
	return r, err
}

// used keeps a file from growing old; once a day is enough.
func (c passCache) used(file string) {
	now := time.Now()
	if st, err := os.Stat(file); err == nil && now.Sub(st.ModTime()) > 24*time.Hour {
		_ = os.Chtimes(file, now, now)
	}
}

// store writes the file as a whole; where it cannot, the next start rewrites again.
func (c passCache) store(file string, r *instrument.Result) {
	b, err := r.Encode()
	if err != nil {
		return
	}
	tmp, err := os.CreateTemp(c.dir, ".new-*")
	if err != nil {
		return
	}
	_, err = tmp.Write(b)
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
}
