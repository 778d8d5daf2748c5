package host_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// testCache is the compilation cache of this package's tests, for one run.
var testCache string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "taskhost-test-cache")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testCache = dir
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("net/http/httptest.(*Server).goServe.func1")); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines leaked:", err)
			code = 1
		}
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
