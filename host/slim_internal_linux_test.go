package host

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/taskhost/taskhost/abi"
)

// TestLoadedPluginsAreSlim looks at what a large plugin keeps in memory once it is loaded, lets it run while its code is put into a file
// once more, and goes back to a version whose module is in a file.
func TestLoadedPluginsAreSlim(t *testing.T) {
	h, err := New(t.Context(), Config{CacheDir: "../build/cache/taskhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	rust := guestFile(t, "upper-rust")
	if _, err := h.Swap(t.Context(), "p", Source{Wasm: guestFile(t, "upper-go")}); err != nil {
		t.Fatal(err)
	}
	v := h.plugins["p"].current
	i := v.pool.idle[0]
	code := machineCode(i.main().ExportedFunction(v.functions[0]))
	if len(code) < 1<<20 {
		t.Fatalf("%d bytes of machine code: the engine is another one, see slim_linux.go", len(code))
	}
	if line := mappingOf(t, code); !strings.Contains(line, "r-xp") || !strings.Contains(line, ".unnamed-") {
		t.Errorf("the code is in memory: %s", line)
	}
	if bodies := reflect.ValueOf(v.modules[0].compiled).Elem().FieldByName("module").Elem().FieldByName("CodeSection"); bodies.Len() < 100 || bodies.Index(0).FieldByName("Body").Len() > 0 {
		t.Errorf("the bodies of %d functions are in memory", bodies.Len())
	}
	data := reflect.ValueOf(v.modules[0].compiled).Elem().FieldByName("module").Elem().FieldByName("DataSection")
	for n := range data.Len() {
		if segment := data.Index(n); segment.FieldByName("Init").Len() > 0 && !segment.FieldByName("Passive").Bool() {
			t.Errorf("%d bytes that memories began with are in memory", segment.FieldByName("Init").Len())
		}
	}
	if data.Len() == 0 {
		t.Error("the module has no data: the engine is another one, see slim_linux.go")
	}
	if m := v.source.modules[0]; m.wasm != nil || m.file == nil || v.source.size() < 1<<20 {
		t.Errorf("the module is in memory, or has no size: %d", v.source.size())
	}

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if res, err := h.Run(t.Context(), abi.Call{Plugin: "p", Input: []byte("hello")}, nil); err != nil || string(res.Output) != "HELLO" {
					t.Errorf("%q, %v", res.Output, err)
				}
			}
		})
	}
	for range 10 {
		if err := h.pageOut(code); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()

	if _, err := h.Swap(t.Context(), "p", Source{Wasm: rust}); err != nil {
		t.Fatal(err)
	}
	back, err := h.Rollback(t.Context(), "p")
	if err != nil || back.Digest != v.source.digest || back.Size != v.source.size() {
		t.Errorf("%+v, %v", back, err)
	}
	if res, err := h.Run(t.Context(), abi.Call{Plugin: "p", Input: []byte("again")}, nil); err != nil || string(res.Output) != "AGAIN" {
		t.Errorf("%q, %v", res.Output, err)
	}
	if m := h.plugins["p"].current.source.modules[0]; m.wasm != nil {
		t.Error("after the rollback the module is in memory")
	}
}

// TestMemoryStaysWhenItCannotBeMapped holds that memory is as before after a mapping that fails, and has the file's content after one that
// does not.
func TestMemoryStaysWhenItCannotBeMapped(t *testing.T) {
	size := 4 * os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(memory) }()
	copy(memory, "memory")
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, append([]byte("a file"), make([]byte, size)...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flag int
		ok   bool
		want string
	}{{os.O_WRONLY, false, "memory"}, {os.O_RDONLY, true, "a file"}} {
		f, err := os.OpenFile(path, c.flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := mapOver(f, memory); (err == nil) != c.ok || !strings.HasPrefix(string(memory), c.want) {
			t.Errorf("%v, %q", err, memory[:8])
		}
		_ = f.Close()
	}
	if !remote(unix.NFS_SUPER_MAGIC) || !remote(unix.FUSE_SUPER_MAGIC) || remote(unix.EXT4_SUPER_MAGIC) || remote(unix.TMPFS_MAGIC) {
		t.Error("a type of file system is taken for another one")
	}
}

// TestCodeThatStaysIsToldOnce has a folder of the cache in which no file can be made.
func TestCodeThatStaysIsToldOnce(t *testing.T) {
	var out bytes.Buffer
	h, err := New(t.Context(), Config{CacheDir: "../build/cache/taskhost", Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	h.cfg.CacheDir = filepath.Join(t.TempDir(), "none")
	for _, name := range []string{"p", "q"} {
		if _, err := h.Swap(t.Context(), name, Source{Wasm: guestFile(t, "upper-go")}); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(out.String(), "stays in memory"); n != 1 {
		t.Errorf("told %d times:\n%s", n, out.String())
	}
	if res, err := h.Run(t.Context(), abi.Call{Plugin: "q", Input: []byte("hello")}, nil); err != nil || string(res.Output) != "HELLO" {
		t.Errorf("%q, %v", res.Output, err)
	}
}

// mappingOf is the line of /proc/self/maps about where code is.
func mappingOf(t *testing.T, code []byte) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	start := fmt.Sprintf("%x-", uintptr(unsafe.Pointer(&code[0])))
	for line := range strings.Lines(string(maps)) {
		if strings.HasPrefix(line, start) {
			return line
		}
	}
	return "no mapping at " + start
}
