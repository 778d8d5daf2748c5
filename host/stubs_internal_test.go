package host

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

// TestWASIFunctions checks that what we take for all of WASI's functions are those that the engine has: for others there may be stubs.
func TestWASIFunctions(t *testing.T) {
	h, err := New(t.Context(), Config{CacheDir: cacheOff})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	there := sortedKeys(h.runtime.Module(abi.ModuleWASI).ExportedFunctionDefinitions())
	if !slices.Equal(wasiFunctions(), there) {
		t.Errorf("we know of %q, the engine of %q", wasiFunctions(), there)
	}
}

// TestWildcard compares wildcard with a regular expression that means the same, on all short patterns and strings.
func TestWildcard(t *testing.T) {
	var words []string
	for _, letters := range []string{"ab*", "ab"} {
		level := []string{""}
		for range 4 {
			var next []string
			for _, w := range level {
				for _, l := range letters {
					next = append(next, w+string(l))
				}
			}
			words = append(words, level...)
			level = next
		}
		words = append(words, level...)
	}
	for _, pattern := range words {
		means := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		for _, s := range words {
			if got := wildcard(pattern, s); got != means.MatchString(s) {
				t.Fatalf("%q matches %q: %v", pattern, s, got)
			}
		}
	}
}
