package instrument_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// FuzzRewrite looks for a panic, for a module the engine accepts that is rewritten into one it does not accept, and
// the reverse.
func FuzzRewrite(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join(specDir(f), "*", "testdata", "*.wasm"))
	for i, file := range append(files, "testdata/guest.wasm") {
		if i%29 != 0 && i != len(files) {
			continue
		}
		bin, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(bin) < 4096 {
			f.Add(bin)
		}
	}
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(1000).WithCoreFeatures(
		api.CoreFeaturesV2|experimental.CoreFeaturesExtendedConst|experimental.CoreFeaturesTailCall|
			experimental.CoreFeaturesExceptionHandling|experimental.CoreFeaturesThreads|
			experimental.CoreFeaturesTypedFunctionReferences))
	f.Fuzz(func(t *testing.T, bin []byte) {
		res, err := instrument.Rewrite(bin, instrument.Config{})
		if err != nil {
			return // not for the engine: it allocates what a count says before it looks for the items
		}
		before, errBefore := r.CompileModule(ctx, bin)
		after, errAfter := r.CompileModule(ctx, res.Wasm)
		if (errBefore == nil) != (errAfter == nil) {
			t.Fatalf("original %v, instrumented %v", errBefore, errAfter)
		}
		if errBefore == nil {
			before.Close(ctx)
			after.Close(ctx)
		}
	})
}
