package plugindir_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"go.uber.org/goleak"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/plugindir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, cfg plugindir.Config) *plugindir.Dir {
	t.Helper()
	if cfg.Logger == nil { // what goes well warns of nothing
		cfg.Logger = slog.New(slog.NewTextHandler(complaint{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	d, err := plugindir.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// complaint fails a test for everything that is written to it.
type complaint struct{ t *testing.T }

func (c complaint) Write(p []byte) (int, error) {
	c.t.Errorf("a warning: %s", p)
	return len(p), nil
}

// version makes the files of a version, which need not be a module here.
func version(n int) (abi.Digest, plugindir.Files) {
	wasm := fmt.Appendf(nil, "module %d", n)
	sum := sha256.Sum256(wasm)
	return abi.Digest("sha256:" + hex.EncodeToString(sum[:])), plugindir.Files{Wasm: wasm}
}

func TestOldVersionsGo(t *testing.T) {
	dir := t.TempDir()
	d := open(t, plugindir.Config{Path: dir, Keep: 3})
	var digests []abi.Digest
	for n := range 6 {
		digest, files := version(n)
		digests = append(digests, digest)
		if err := d.Put("p", digest, files, nil); err != nil {
			t.Fatal(err)
		}
	}
	list, err := d.Versions("p")
	if err != nil || len(list) != 3 || list[0].Digest != digests[5] || list[2].Digest != digests[3] || list[0].Size != 8 {
		t.Errorf("%+v %v", list, err)
	}
	if err := d.Restore("p", digests[0], nil); abi.CodeOf(err) != abi.CodeNotFound {
		t.Error(err)
	}
	if err := d.Restore("p", digests[3], func(plugindir.Files) error { return nil }); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(d.File("p")); err != nil || string(data) != "module 3" {
		t.Errorf("%q %v", data, err)
	}
}

// TestScripts has a plugin be a script and a module in turns.
func TestScripts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [b] *") // nothing in a path is a pattern
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d := open(t, plugindir.Config{Path: dir, Scripts: func() []string { return []string{".js", ".ts"} }})
	module, wasm := version(1)
	digestOf := func(f plugindir.Files) abi.Digest {
		t.Helper()
		src, err := f.Source("p", dir)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := src.Digest(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	script := plugindir.Files{Script: []byte("script"), Extension: ".js"}
	typed := plugindir.Files{Script: []byte("typed"), Extension: ".ts", Manifest: []byte("{}")}
	second, third := digestOf(script), digestOf(typed)
	for _, c := range []struct {
		digest abi.Digest
		files  plugindir.Files
	}{{module, wasm}, {second, script}, {third, typed}} {
		if err := d.Put("p", c.digest, c.files, nil); err != nil {
			t.Fatal(err)
		}
		if f, err := d.Current("p"); err != nil || !reflect.DeepEqual(f, c.files) {
			t.Errorf("%+v %v", f, err)
		}
	}
	if list, err := d.Versions("p"); err != nil || len(list) != 3 || list[1].Size != int64(len("script")) {
		t.Errorf("%+v %v", list, err)
	}
	for _, c := range []struct {
		digest abi.Digest
		files  plugindir.Files
	}{{second, script}, {module, wasm}, {third, typed}} {
		if err := d.Restore("p", c.digest, func(f plugindir.Files) error {
			if !reflect.DeepEqual(f, c.files) {
				t.Errorf("%+v", f)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if f, err := d.Current("p"); err != nil || !reflect.DeepEqual(f, c.files) {
			t.Errorf("%+v %v", f, err)
		}
	}
	if _, err := d.Remove("p"); err != nil {
		t.Error(err)
	}
	if _, err := d.Current("p"); abi.CodeOf(err) != abi.CodeNotFound {
		t.Error(err)
	}
}

func TestRefusedVersionChangesNothing(t *testing.T) {
	d := open(t, plugindir.Config{Path: t.TempDir()})
	first, files := version(1)
	if err := d.Put("p", first, files, nil); err != nil {
		t.Fatal(err)
	}
	second, files := version(2)
	no := errors.New("no")
	if err := d.Put("p", second, files, func() error { return no }); !errors.Is(err, no) {
		t.Error(err)
	}
	if list, err := d.Versions("p"); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	if f, err := d.Current("p"); err != nil || string(f.Wasm) != "module 1" || f.Manifest != nil {
		t.Errorf("%+v %v", f, err)
	}
}

// TestOthersDoNotWaitForAChange looks at a plugin, and changes another one, while a version is activated.
func TestOthersDoNotWaitForAChange(t *testing.T) {
	d := open(t, plugindir.Config{Path: t.TempDir()})
	first, files := version(1)
	if err := d.Put("p", first, files, nil); err != nil {
		t.Fatal(err)
	}
	look := func() error {
		if list, err := d.Versions("p"); err != nil || len(list) != 1 || list[0].Digest != first {
			t.Errorf("%+v %v", list, err)
		}
		if f, err := d.Current("p"); err != nil || string(f.Wasm) != "module 1" {
			t.Errorf("%+v %v", f, err)
		}
		digest, files := version(3)
		return d.Put("other", digest, files, nil)
	}
	second, files := version(2)
	if err := d.Put("p", second, files, look); err != nil {
		t.Fatal(err)
	}
	if list, err := d.Versions("p"); err != nil || len(list) != 2 || list[0].Digest != second {
		t.Errorf("%+v %v", list, err)
	}
	if _, err := d.Remove("p"); err != nil {
		t.Error(err)
	}
	if list, err := d.Versions("p"); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

// TestPutIsFinished opens a folder in which a process went down between the files of a version.
func TestPutIsFinished(t *testing.T) {
	dir := t.TempDir()
	digest, files := version(1)
	files.Manifest = []byte("{}")
	d, err := plugindir.Open(plugindir.Config{Path: dir})
	if err == nil {
		err = d.Put("p", digest, files, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	kept := filepath.Join(dir, ".versions", "p")
	for file, data := range map[string]string{
		filepath.Join(kept, "next"): string(digest), filepath.Join(dir, "p.wasm"): "older", filepath.Join(kept, "tmp-1"): "cut off",
	} {
		if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d = open(t, plugindir.Config{Path: dir})
	if f, err := d.Current("p"); err != nil || string(f.Wasm) != "module 1" || string(f.Manifest) != "{}" {
		t.Errorf("%+v %v", f, err)
	}
	for _, gone := range []string{"next", "tmp-1"} {
		if _, err := os.Stat(filepath.Join(kept, gone)); err == nil {
			t.Errorf("%s is left", gone)
		}
	}
	// A note that names nothing is dropped.
	if err := os.WriteFile(filepath.Join(kept, "next"), []byte("sha2"), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, plugindir.Config{Path: dir})
	if _, err := os.Stat(filepath.Join(kept, "next")); err == nil {
		t.Error("the note is left")
	}
}

func TestNamesStayInside(t *testing.T) {
	d := open(t, plugindir.Config{Path: t.TempDir()})
	good, files := version(1)
	for _, c := range []struct {
		name   string
		digest abi.Digest
	}{{"../p", good}, {"", good}, {"a/b", good}, {"p", "sha256:../../x"}, {"p", "x"}, {"p", ""}} {
		if err := d.Put(c.name, c.digest, files, nil); abi.CodeOf(err) != abi.CodeInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := d.Current("../p"); abi.CodeOf(err) != abi.CodeInvalid {
		t.Error(err)
	}
	if _, err := d.Remove("none"); abi.CodeOf(err) != abi.CodeNotFound {
		t.Error(err)
	}
	if _, err := plugindir.Open(plugindir.Config{Path: filepath.Join(t.TempDir(), "none")}); abi.CodeOf(err) != abi.CodeInvalid {
		t.Error(err)
	}
}

// TestHostPassesOverVersions looks at a folder with kept versions through a host.
func TestHostPassesOverVersions(t *testing.T) {
	dir := t.TempDir()
	d := open(t, plugindir.Config{Path: dir})
	wasm, err := os.ReadFile(filepath.Join("..", "..", "build", "testdata", "upper-wat.wasm"))
	if err != nil {
		t.Fatalf("%v; run make plugins first", err)
	}
	sum := sha256.Sum256(wasm)
	digest := abi.Digest("sha256:" + hex.EncodeToString(sum[:]))
	if err := d.Put("p", digest, plugindir.Files{Wasm: wasm}, nil); err != nil {
		t.Fatal(err)
	}
	h, err := host.New(t.Context(), host.Config{Dir: dir, WatchInterval: -1, OnEvent: d.HostEvent})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	if list := h.Plugins(); len(list) != 1 || list[0].Name != "p" || list[0].Digest != digest {
		t.Errorf("%+v", list)
	}
}
