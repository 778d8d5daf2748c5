//go:build unix

package host_test

import (
	"os"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// TestCacheOfAnotherUserIsRefused: whoever owns the cache can put machine code into it.
func TestCacheOfAnotherUserIsRefused(t *testing.T) {
	dir := "/usr" // belongs to root
	if os.Geteuid() == 0 {
		dir = t.TempDir()
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	h, err := host.New(t.Context(), host.Config{CacheDir: dir})
	if err == nil {
		h.Close(t.Context())
	}
	if abi.CodeOf(err) != abi.CodeInvalid {
		t.Errorf("the cache in %s: %v", dir, err)
	}
}
