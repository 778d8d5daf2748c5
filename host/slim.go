package host

import (
	"io"
	"os"

	"github.com/taskhost/taskhost/abi"
)

// tempFile makes a file without a name in the folder of the cache, which is private. It lives as long as it is open or mapped.
func (h *Host) tempFile() (*os.File, error) {
	f, err := os.CreateTemp(h.cfg.CacheDir, ".unnamed-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// stash puts the modules of a source into files, which cost no memory: they are needed again when somebody goes back to this version.
// What cannot be put there stays in memory. Nobody else has the source yet.
func (h *Host) stash(r *resolved) {
	if h.cfg.CacheDir == cacheOff {
		return
	}
	for i := range r.modules {
		m := &r.modules[i]
		if m.file != nil || len(m.wasm) < 64<<10 {
			continue
		}
		f, err := h.tempFile()
		if err != nil {
			return
		}
		if _, err := f.Write(m.wasm); err != nil {
			_ = f.Close()
			return
		}
		m.file, m.bytes, m.wasm = f, int64(len(m.wasm)), nil
	}
}

// unstash returns a source with its modules in memory.
func (r *resolved) unstash() (*resolved, error) {
	full := *r
	full.modules = make([]module, len(r.modules))
	for i, m := range r.modules {
		if m.file != nil {
			m.wasm = make([]byte, m.bytes)
			if _, err := io.ReadFull(io.NewSectionReader(m.file, 0, m.bytes), m.wasm); err != nil {
				return nil, abi.Errorf(abi.CodeUnavailable, "the module's bytes cannot be read again: %w", err)
			}
		}
		full.modules[i] = m
	}
	return &full, nil
}
