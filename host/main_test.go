package host_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// testCache is the compilation cache of the tests, of this and all other packages. It stays between runs: compiling takes minutes under
// the race detector, which runs the compiler ten times slower, and nothing of what is compiled depends on it.
const testCache = "../build/cache/taskhost"

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines leaked:", err)
			code = 1
		}
	}
	os.Exit(code)
}
