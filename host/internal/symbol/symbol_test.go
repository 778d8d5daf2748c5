package symbol_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/taskhost/taskhost/host/internal/symbol"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

func TestDemangle(t *testing.T) {
	for name, want := range map[string]string{
		"_ZN8geometry5ShapeIiE4areaEi":                     "geometry::Shape<int>::area",
		"geometry::Shape<int>::area(int) const":            "geometry::Shape<int>::area",
		"_ZNK3foo3barclEv":                                 "foo::bar::operator()",
		"_ZN4core9panicking9panic_fmt17h05af221e174051e9E": "core::panicking::panic_fmt",
		"core::panicking::panic_fmt::h05af221e174051e9":    "core::panicking::panic_fmt",
		"_RNvMCs4fqI2P2rA04_4trapNtB2_6Walker4walk":        "<trap::Walker>::walk",
		"main.(*Walker).walk":                              "main.(*Walker).walk",
		"main.Map[go.shape.int].func1":                     "main.Map[go.shape.int].func1",
		"~lib/array/Array<i32>#__get":                      "~lib/array/Array<i32>#__get",
		"plain_c":                                          "plain_c",
		"":                                                 "",
		"_Z":                                               "_Z",
		"with\nlines\x1b[0m\u202e":                         "with\uFFFDlines\uFFFD[0m\uFFFD",
		"\xff":                                             "\uFFFD",
		"()":                                               "()",
		strings.Repeat("x", 10_000):                        strings.Repeat("x", 160) + "…",
		"_Z" + strings.Repeat("N", 100_000):                "_Z" + strings.Repeat("N", 158) + "…",
		strings.Repeat("é", 500):                           strings.Repeat("é", 80) + "…",
	} {
		if got := symbol.Demangle(name); got != want {
			t.Errorf("%.100q becomes %q, want %q", name, got, want)
		}
	}
}

// module reads one that plugins.mk builds.
func module(t testing.TB, name string) *wasm.Module {
	t.Helper()
	bin, err := os.ReadFile(filepath.Join("..", "..", "..", "build", "testdata", name+".wasm"))
	if err != nil {
		t.Fatalf("run make plugins: %v", err)
	}
	m, err := wasm.Decode(bin)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestEveryPlaceIsFast looks up places all over a large module.
func TestEveryPlaceIsFast(t *testing.T) {
	m := module(t, "trap-rust")
	l := symbol.Open(m)
	if l == nil {
		t.Fatal("no lines")
	}
	began, found, n := time.Now(), 0, 0
	for i := range m.Codes {
		if i%16 != 0 {
			continue
		}
		n++
		if len(l.At(uint32(m.Codes[i].Offset-m.CodeStart))) > 0 {
			found++
		}
	}
	if found < n/2 {
		t.Errorf("%d of %d functions were found", found, n)
	}
	t.Logf("%d lookups took %v", n, time.Since(began))
}

// TestWithoutDebugInformation checks that there is nothing to open where there is nothing.
func TestWithoutDebugInformation(t *testing.T) {
	for _, name := range []string{"trap-as", "trap-go"} {
		if m := module(t, name); symbol.HasLines(m) || symbol.Open(m) != nil {
			t.Errorf("%s has lines", name)
		}
	}
}

// FuzzLines changes debug information in any way. Nothing may panic or take long, and what comes back is short and clean.
func FuzzLines(f *testing.F) {
	m := module(f, "trap-c")
	sections := map[string][]byte{}
	for _, c := range m.Customs {
		sections[c.Name] = c.Data
	}
	f.Add(sections[".debug_info"], sections[".debug_abbrev"], sections[".debug_line"], sections[".debug_ranges"], sections[".debug_str"], uint32(100))
	f.Add([]byte{8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 1}, []byte{1, 0x11, 0, 0, 0, 0}, []byte{0}, []byte{}, []byte{}, uint32(0))
	f.Fuzz(func(t *testing.T, info, abbrev, line, ranges, str []byte, at uint32) {
		began := time.Now()
		l := symbol.Open(&wasm.Module{Customs: []wasm.Custom{
			{Name: ".debug_info", Data: info}, {Name: ".debug_abbrev", Data: abbrev}, {Name: ".debug_line", Data: line},
			{Name: ".debug_ranges", Data: ranges}, {Name: ".debug_str", Data: str},
		}})
		if l == nil {
			return
		}
		for _, pc := range []uint32{at, 10, 100, 400, 1 << 31} {
			for _, frame := range l.At(pc) {
				for _, s := range []string{frame.Func, frame.File} {
					if len(s) > 700 || !utf8.ValidString(s) || strings.ContainsAny(s, "\n\t\x1b") {
						t.Errorf("at %d: %+v", pc, frame)
					}
				}
				if frame.Line < 0 {
					t.Errorf("at %d: line %d", pc, frame.Line)
				}
			}
		}
		if d := time.Since(began); d > 12*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// FuzzDemangle gives any names.
func FuzzDemangle(f *testing.F) {
	f.Add("_ZN4core9panicking9panic_fmt17h05af221e174051e9E")
	f.Add("_RNvMCs4fqI2P2rA04_4trapNtB2_6Walker4walk")
	f.Add("f(int) const")
	f.Fuzz(func(t *testing.T, name string) {
		if s := symbol.Demangle(name); len(s) > 500 || !utf8.ValidString(s) {
			t.Errorf("%q becomes %q", name, s)
		}
	})
}
