package instrument_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/wasm"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// suiteV1 is the suite of version 1. Some of what it expects to fail is valid in version 2.
const suiteV1 = "v1"

var suites = []struct {
	dir      string
	features api.CoreFeatures
}{
	{suiteV1, api.CoreFeaturesV2}, // a module without a memory gets a table to leave through, so V1 alone is not enough
	{"v2", api.CoreFeaturesV2},
	{"extended-const", api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst},
	{"tail-call", api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall},
	{"exception-handling", api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling |
		experimental.CoreFeaturesTailCall | experimental.CoreFeaturesTypedFunctionReferences},
	{"threads", api.CoreFeaturesV2 | experimental.CoreFeaturesThreads},
	{"typed-function-references", api.CoreFeaturesV2 | experimental.CoreFeaturesTypedFunctionReferences |
		experimental.CoreFeaturesTailCall},
}

// specDir is the folder of the WebAssembly core test suite in wazero's module.
func specDir(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}

type specFile struct {
	Commands []specCommand `json:"commands"`
}

type specCommand struct {
	Type       string `json:"type"`
	Line       int    `json:"line"`
	Name       string `json:"name"`
	Filename   string `json:"filename"`
	As         string `json:"as"`
	ModuleType string `json:"module_type"`
	Text       string `json:"text"`
	Action     struct {
		Type   string      `json:"type"`
		Module string      `json:"module"`
		Field  string      `json:"field"`
		Args   []specValue `json:"args"`
	} `json:"action"`
}

type specValue struct {
	Type     string `json:"type"`
	LaneType string `json:"lane_type"`
	Value    any    `json:"value"`
}

// words are the engine's words of 64 bits for a value.
func (v specValue) words() []uint64 {
	if v.Type != "v128" {
		s, _ := v.Value.(string)
		n := number(s, v.Type)
		if v.Type == "externref" && s != "" && s != "null" {
			n++ // the engine takes zero for null
		}
		return []uint64{n}
	}
	lanes := v.Value.([]any)
	var w [2]uint64
	bits := 128 / len(lanes)
	for i, l := range lanes {
		n := number(l.(string), v.LaneType) & (math.MaxUint64 >> (64 - bits))
		w[i*bits/64] |= n << (i * bits % 64)
	}
	return w[:]
}

func number(s, typ string) uint64 {
	if s == "" || s == "null" {
		return 0
	}
	if strings.HasPrefix(s, "nan") {
		if strings.HasSuffix(typ, "32") {
			return uint64(math.Float32bits(float32(math.NaN())))
		}
		return math.Float64bits(math.NaN())
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	if strings.HasSuffix(typ, "32") {
		return uint64(uint32(n))
	}
	return uint64(n)
}

// check reports a command of which the original makes something else than the suite expects.
func (c *specCommand) check(t *testing.T, where string, failed, later bool) {
	t.Helper()
	expected := strings.HasPrefix(c.Type, "assert_") && c.Type != "assert_return"
	switch {
	case failed == expected:
	case expected && later:
	case c.Type == "assert_uninstantiable" && c.Text == "out of bounds table access": // the engine takes such elements, and ignores them
	default:
		t.Errorf("%s: failed: %v", where, failed)
	}
}

// world is one run of a file of the suite, with the modules as they are or instrumented.
type world struct {
	t        *testing.T
	dir      string
	runtime  wazero.Runtime
	rewrite  bool
	last     api.Module
	memories []api.Memory
	modules  map[string]api.Module
	controls map[api.Module]*instrument.Control
}

func newWorld(t *testing.T, dir, spectest string, features api.CoreFeatures, rewrite bool) *world {
	w := &world{t: t, dir: dir, rewrite: rewrite, modules: map[string]api.Module{},
		controls: map[api.Module]*instrument.Control{}}
	w.runtime = wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfig().WithCoreFeatures(features))
	bin, err := os.ReadFile(spectest)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.instantiate(bin, "spectest"); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) instantiate(bin []byte, name string) error {
	ctx := context.Background()
	var res *instrument.Result
	if w.rewrite {
		var err error
		if res, err = instrument.Rewrite(bin, instrument.Config{}); err != nil {
			return err
		}
		bin = res.Wasm
	}
	mod, err := w.runtime.InstantiateWithConfig(ctx, bin, wazero.NewModuleConfig().WithName(name).WithStartFunctions())
	if err != nil {
		return err
	}
	if w.rewrite {
		c, err := res.Bind(mod)
		if err != nil {
			w.t.Fatal(err)
		}
		w.controls[mod] = c
		c.Begin(instrument.Unlimited)
		if err := c.Start(ctx); err != nil {
			return err
		}
	}
	w.last = mod
	if m, err := wasm.Decode(bin); err == nil {
		if _, _, ok := m.Memory(); ok {
			w.memories = append(w.memories, mod.Memory())
		}
	}
	return nil
}

// outcome of a command: what the two runs must agree on.
type outcome struct {
	trap    string
	results []uint64
	types   []api.ValueType
}

func (w *world) invoke(c *specCommand) outcome {
	m := w.last
	if c.Action.Module != "" {
		m = w.modules[c.Action.Module]
	}
	if c.Action.Type == "get" {
		g := m.ExportedGlobal(c.Action.Field)
		return outcome{results: []uint64{g.Get()}, types: []api.ValueType{g.Type()}}
	}
	f := m.ExportedFunction(c.Action.Field)
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.words()...)
	}
	for _, k := range w.controls {
		k.Begin(instrument.Unlimited)
	}
	res, err := f.Call(context.Background(), args...)
	if err != nil {
		for _, k := range w.controls {
			if k.Reason() == instrument.ReasonStack {
				return outcome{trap: "stack overflow"}
			}
		}
		return outcome{trap: strings.TrimPrefix(strings.SplitN(err.Error(), "\n", 2)[0], "wasm error: ")}
	}
	return outcome{results: append([]uint64(nil), res...), types: f.Definition().ResultTypes()}
}

func (o outcome) equal(p outcome) bool {
	if o.trap != p.trap || len(o.results) != len(p.results) {
		return false
	}
	k := 0
	for _, t := range o.types {
		words := 1
		if t == 0x7b {
			words = 2
		}
		for ; words > 0; words-- {
			a, b := o.results[k], p.results[k]
			k++
			switch t {
			case api.ValueTypeF32:
				if x, y := api.DecodeF32(a), api.DecodeF32(b); x != x && y != y {
					continue
				}
			case api.ValueTypeF64:
				if x, y := api.DecodeF64(a), api.DecodeF64(b); x != x && y != y {
					continue
				}
			case 0x70, 0x69, 0x63, 0x64: // pointers: only null is the same in both runs
				if (a == 0) == (b == 0) {
					continue
				}
			}
			if a != b {
				return false
			}
		}
	}
	return true
}

// TestSpecSuite runs the WebAssembly core test suite on the original modules and on the instrumented ones: every
// command must end in the same results or the same trap, and what one refuses the other must refuse. All modules of all
// folders must have been run.
func TestSpecSuite(t *testing.T) {
	root := specDir(t)
	var covered []string
	for _, s := range suites {
		covered = append(covered, s.dir)
		files := glob(t, root, s.dir, "testdata", "*.json")
		seen := map[string]bool{}
		for _, f := range files {
			t.Run(s.dir+"/"+strings.TrimSuffix(filepath.Base(f), ".json"), func(t *testing.T) {
				r := specRun{file: f, spectest: filepath.Join(root, "testdata", "spectest.wasm"), features: s.features, later: s.dir == suiteV1, seen: seen}
				r.run(t)
			})
		}
		for _, f := range glob(t, root, s.dir, "testdata", "*.wasm") {
			if !seen[filepath.Base(f)] {
				t.Errorf("%s is run by no command", f)
			}
		}
		if scripts := glob(t, root, s.dir, "testdata", "*.wast"); len(scripts) != len(files) {
			t.Errorf("%s: %d files are run, there are %d scripts", s.dir, len(files), len(scripts))
		}
	}
	for _, dir := range glob(t, root, "*", "testdata") {
		if name := filepath.Base(filepath.Dir(dir)); !slices.Contains(covered, name) {
			t.Errorf("the suite has a folder %s, which is not run", name)
		}
	}
}

func glob(t *testing.T, path ...string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(path...))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files (%v)", filepath.Join(path...), err)
	}
	return files
}

// specRun is the run of one file of the suite.
type specRun struct {
	file, spectest string
	features       api.CoreFeatures
	later          bool            // the features are those of a later version
	seen           map[string]bool // the modules that were run
}

func (r specRun) run(t *testing.T) {
	raw, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	var spec specFile
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(r.file)
	a := newWorld(t, dir, r.spectest, r.features, false)
	b := newWorld(t, dir, r.spectest, r.features, true)
	defer a.runtime.Close(context.Background())
	defer b.runtime.Close(context.Background())
	for i := 0; i < len(spec.Commands); i++ {
		c := &spec.Commands[i]
		where := fmt.Sprintf("line %d %s %s %s", c.Line, c.Type, c.Filename, c.Action.Field)
		switch c.Type {
		case "module", "assert_malformed", "assert_invalid", "assert_unlinkable", "assert_uninstantiable":
			if c.ModuleType == "text" && c.Type == "assert_malformed" {
				continue // it is the text that is malformed: there is no binary form of it
			}
			r.seen[c.Filename] = true
			bin, err := os.ReadFile(filepath.Join(dir, c.Filename))
			if err != nil {
				t.Fatal(err)
			}
			name := ""
			if i+1 < len(spec.Commands) && spec.Commands[i+1].Type == "register" {
				name = spec.Commands[i+1].As
				i++
			}
			errA, errB := a.instantiate(bin, name), b.instantiate(bin, name)
			if (errA == nil) != (errB == nil) {
				var we *wasm.Error
				t.Errorf("%s: original %v, instrumented %v (ours: %v)", where, errA, errB, errors.As(errB, &we))
			}
			c.check(t, where, errA != nil, r.later)
			if errA == nil && errB == nil && c.Name != "" {
				a.modules[c.Name], b.modules[c.Name] = a.last, b.last
			}
		case "action", "assert_return", "assert_trap", "assert_exhaustion", "assert_exception":
			if x, y := a.invoke(c), b.invoke(c); !x.equal(y) && y.trap != "expected shared memory" { // what memory.atomic.wait does here
				t.Errorf("%s: original %v, instrumented %v", where, x, y)
			} else {
				c.check(t, where, x.trap != "", r.later)
			}
		default:
			t.Errorf("%s: unknown command", where)
		}
	}
	for i := range min(len(a.memories), len(b.memories)) {
		if !sameMemory(a.memories[i], b.memories[i]) {
			t.Errorf("memory %d is another one at the end", i)
		}
	}
}
