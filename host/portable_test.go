package host_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/host/internal/wasmtest"
)

// newPortable makes a host that puts memories back as on a system that does not tell which pages were written.
func newPortable(t testing.TB) *host.Host {
	t.Helper()
	h := newHost(t, host.Config{})
	if err := h.MakePortable(); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestPristineIsFreshWithoutTheSystemsHelp(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(server.Close)
	comparePlugins(t, sides{newPortable(t), newHost(t, host.Config{})}, server.URL, 5)
}

func TestIsolationWithoutTheSystemsHelp(t *testing.T) { checkIsolation(t, newPortable(t)) }

func TestMemoryIsPutBackWithoutTheSystemsHelp(t *testing.T) { checkMemoryIsPutBack(t, newPortable(t)) }

func TestTranslatedPluginsWithoutTheSystemsHelp(t *testing.T) {
	on := sides{newPortable(t), newHost(t, host.Config{})}
	for seed := range uint64(15) {
		compareTranslated(t, on, wasmtest.Restorable(wasmtest.Bytes(seed)))
	}
}
