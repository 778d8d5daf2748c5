package monitor_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/monitor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guests are the plugins that a test runs: by name, the file in build/testdata/guests and the manifest.
type guests map[string]struct {
	file     string
	manifest abi.Manifest
}

// newHost makes a host that tells the monitor, with plugins that `make plugins` builds.
func newHost(t testing.TB, m *monitor.Monitor, g guests) *host.Host {
	t.Helper()
	h, err := host.New(t.Context(), host.Config{OnEvent: m.HostEvent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for name, p := range g {
		wasm, err := os.ReadFile(filepath.Join("..", "build", "testdata", "guests", p.file))
		if err != nil {
			t.Fatalf("%v: run make plugins", err)
		}
		if _, err := h.Swap(t.Context(), name, host.Source{Wasm: wasm, Manifest: &p.manifest}); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// newManager makes a manager that runs, and stops when the test ends.
func newManager(t testing.TB, r manager.Runner, cfg manager.Config) *manager.Manager {
	t.Helper()
	m, err := manager.New(r, cfg)
	if err == nil {
		err = m.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = m.Stop(ctx)
	})
	return m
}
