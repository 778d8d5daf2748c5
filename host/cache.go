package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tetratelabs/wazero"
)

// compileModule compiles a module, or takes it from the cache. A cache that is damaged is emptied, and one that cannot be written to
// is done without: neither keeps a module from being compiled.
//
// Equal modules are compiled one after the other: wazero 1.12 shows a module that it took from its cache of files to others before it
// can be called (engine.getCompiledModule).
func (h *Host) compileModule(ctx context.Context, wasm []byte) (wazero.CompiledModule, error) {
	sum := sha256.Sum256(wasm)
	defer h.compiling.lock(string(sum[:]))()
	c, err := h.compileOnce(ctx, wasm)
	var damaged *compilerPanic
	var file *fs.PathError
	switch {
	case err == nil || h.cache == nil || ctx.Err() != nil:
		return c, err
	case errors.As(err, &damaged), strings.Contains(err.Error(), "compilationcache:"):
		h.cfg.Logger.Warn("the compilation cache is damaged and is emptied", "dir", h.cfg.CacheDir, "error", err)
		emptyCache(h.cfg.CacheDir)
	case errors.As(err, &file): // what was compiled is there, in memory
		h.cfg.Logger.Warn("the compilation cache cannot be used", "dir", h.cfg.CacheDir, "error", err)
	default:
		return c, err
	}
	return h.compileOnce(ctx, wasm)
}

// compilerPanic is a panic of the engine's compiler, or of its reader of the cache.
type compilerPanic struct{ value any }

func (p *compilerPanic) Error() string { return fmt.Sprintf("the compiler failed: %v", p.value) }

func (h *Host) compileOnce(ctx context.Context, wasm []byte) (c wazero.CompiledModule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &compilerPanic{r}
		}
	}()
	return h.runtime.CompileModule(ctx, wasm)
}

// emptyCache removes the compiled modules. Others who use the cache compile anew.
func emptyCache(dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
	if err != nil {
		return
	}
	for _, f := range files {
		_ = os.Remove(f)
	}
}
