package host

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/instrument"
)

func guestFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../build/testdata/" + name + ".wasm")
	if err != nil {
		t.Fatalf("%v; run make plugins first", err)
	}
	return b
}

// TestRefusedPluginIsTriedAgain: a plugin whose granted folder is missing is loaded when the folder has come, though no file of the
// plugin has changed.
func TestRefusedPluginIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"upper.wasm": guestFile(t, "upper-c"),
		"upper.json": []byte(`{"allowed_paths": {"data": "/data"}}`),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := New(t.Context(), Config{CacheDir: "../build/cache/taskhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	f := &folder{host: h, dir: dir, slots: make(chan struct{}, 1)}
	f.load(t.Context())
	e := f.seen["upper"]
	if info, err := h.Inspect("upper"); err != nil || info.State != StateRefused || e.again.IsZero() {
		t.Fatalf("state %s, again at %v, %v", info.State, e.again, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	e.again = time.Now().Add(-time.Second)
	f.look(t.Context())
	for e.busy.Load() {
		runtime.Gosched()
	}
	if info, err := h.Inspect("upper"); err != nil || info.State != StateReady || !e.again.IsZero() {
		t.Errorf("state %s, again at %v, %v", info.State, e.again, err)
	}
}

// TestBusyGuestGivesWay: a guest that computes leaves through yield, time and again, the more often the slower it is.
func TestBusyGuestGivesWay(t *testing.T) {
	h, err := New(t.Context(), Config{CacheDir: "../build/cache/taskhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	if _, err := h.Swap(t.Context(), "spin", Source{Wasm: guestFile(t, "hostile/spin")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Run(ctx, abi.Call{Plugin: "spin", Function: "nested"}, nil); abi.CodeOf(err) != abi.CodeTimeout {
		t.Fatal(err)
	}
	for i := range h.plugins["spin"].current.pool.all {
		if i.nextTurn == 0 || i.resumed == 0 {
			t.Error("it never gave way")
		}
		c := i.modules[0].control
		if c.SetSlice(instrument.DefaultSlice); c.Slice() != instrument.DefaultSlice {
			t.Fatal(c.Slice())
		}
		for _, step := range []struct {
			took time.Duration
			want int64
		}{
			{100 * time.Microsecond, 1 << 16}, {time.Microsecond, 1 << 16}, {time.Millisecond, 6553}, {100 * time.Microsecond, 6553},
			{10 * time.Microsecond, 13106}, {10 * time.Second, minSlice}, {10 * time.Second, minSlice}, {0, 2 * minSlice},
		} {
			if i.pace(step.took); c.Slice() != step.want {
				t.Errorf("after a slice that took %v the next has %d ticks, want %d", step.took, c.Slice(), step.want)
			}
		}
	}
}

// TestHold: what is done to a plugin that is held is done before its files are loaded.
func TestHold(t *testing.T) {
	h, err := New(t.Context(), Config{CacheDir: "off"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	f := &folder{host: h, dir: t.TempDir(), slots: make(chan struct{}, 1)}
	release := h.Hold("p")
	other := h.Hold("q") // does not wait
	other()
	done := make(chan struct{})
	go func() {
		f.loadPlugin(t.Context(), "p", &entry{})
		close(done)
	}()
	for { // until it waits
		runtime.Gosched()
		h.holds.mu.Lock()
		users := h.holds.of["p"].users
		h.holds.mu.Unlock()
		if users == 2 {
			break
		}
	}
	if len(h.Plugins()) != 0 {
		t.Error("the files were loaded")
	}
	release()
	<-done
	if p, err := h.Inspect("p"); err != nil || p.State != StateRefused { // there is no file
		t.Errorf("%+v, %v", p, err)
	}
	if len(h.holds.of) != 0 {
		t.Error("a lock is left")
	}
}
