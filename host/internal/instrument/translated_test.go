package instrument_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/wasm"
	"github.com/taskhost/taskhost/host/internal/wasmtest"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// invocation is one call: what two forms must agree on.
type invocation struct {
	function string
	args     []uint64
	steps    uint64
}

func (s *specimen) invocation(function string, steps uint64) invocation {
	i := invocation{function: function, steps: steps}
	for _, typ := range s.original.ExportedFunctions()[function].ParamTypes() {
		n := s.random.IntN(9) - 1
		switch typ {
		case api.ValueTypeI32:
			i.args = append(i.args, api.EncodeI32(int32(n)))
		case api.ValueTypeI64:
			i.args = append(i.args, api.EncodeI64(int64(n)))
		case api.ValueTypeF32:
			i.args = append(i.args, api.EncodeF32(float32(n)))
		case api.ValueTypeF64:
			i.args = append(i.args, api.EncodeF64(float64(n)))
		case wasm.CodeV128:
			i.args = append(i.args, uint64(n), uint64(-n))
		default: // a null reference
			i.args = append(i.args, 0)
		}
	}
	return i
}

// call makes the call with a budget and returns its outcome.
func (s *specimen) call(on *subject, i invocation, budget int64) outcome {
	if on.control != nil {
		on.control.Begin(budget)
	}
	return s.run(on, i)
}

// run makes the call with what its instance was given before.
func (s *specimen) run(on *subject, i invocation) outcome {
	on.log = on.log[:0]
	on.ExportedGlobal(s.steps).(api.MutableGlobal).Set(i.steps)
	f := on.ExportedFunction(i.function)
	res, err := f.Call(context.WithValue(context.Background(), subjectKey{}, on), i.args...)
	if err != nil {
		return outcome{trap: strings.TrimPrefix(strings.SplitN(err.Error(), "\n", 2)[0], "wasm error: ")}
	}
	return outcome{results: slices.Clone(res), types: f.Definition().ResultTypes()}
}

// differ says in what two instances differ after the same calls, besides their memories, or nothing.
func (s *specimen) differ(a, b *subject) string {
	if !slices.Equal(a.log, b.log) {
		return fmt.Sprintf("the logs: %x, %x", a.log, b.log)
	}
	for _, g := range s.globals {
		x, y := a.ExportedGlobal(g), b.ExportedGlobal(g)
		if v, w := x.Get(), y.Get(); v != w && (!isReference(x.Type()) || v == 0 || w == 0) {
			return fmt.Sprintf("%s: %x, %x", g, v, w)
		}
	}
	if a.Memory().Size() != b.Memory().Size() {
		return "the sizes of the memories"
	}
	return ""
}

func sameMemory(a, b api.Memory) bool {
	x, _ := a.Read(0, a.Size())
	y, _ := b.Read(0, b.Size())
	return bytes.Equal(x, y)
}

func isReference(t api.ValueType) bool { return wasm.ValType{Code: t}.IsRef() }

// runTranslated compares a translated module with its instrumented forms; false when the engine does not take it.
func (l *lab) runTranslated(t testing.TB, data []byte) bool {
	t.Helper()
	s := l.prepare(t, data)
	if s == nil {
		return false
	}
	defer s.close()
	s.unbounded()
	s.bounded()
	return true
}

// unbounded makes calls one after the other on one instance of each form.
func (s *specimen) unbounded() {
	plain := s.instantiate(s.original)
	defer plain.close()
	counts := s.instantiate(s.counting)
	defer counts.close()
	var subjects []*subject
	for form := range formStack {
		subjects = append(subjects, s.instrumented(form))
		defer subjects[form].close()
	}
	for _, steps := range []uint64{10, 100} {
		for _, f := range s.functions {
			i := s.invocation(f, steps)
			want := s.call(plain, i, 0)
			counts.ExportedGlobal(counter).(api.MutableGlobal).Set(0)
			s.call(counts, i, 0)
			var used [formStack]int64
			for form, on := range subjects {
				got := s.call(on, i, instrument.Unlimited)
				if !got.equal(want) {
					s.t.Fatalf("%v, form %d: %v, want %v", i, form, got, want)
				}
				if d := s.differ(plain, on); d != "" {
					s.t.Fatalf("%v, form %d: %s", i, form, d)
				}
				used[form] = on.control.Used()
			}
			if want.trap != "" {
				continue
			}
			if used[formLong] != used[formShort] || used[formLong] < used[formSingle] { // which has no rounds paid for in advance
				s.t.Fatalf("%v: by form %d ticks", i, used)
			}
			if n := int64(counts.ExportedGlobal(counter).Get()); used[formSingle] < n {
				s.t.Fatalf("%v: %d ticks for %d instructions", i, used, n)
			}
		}
		for form, on := range subjects {
			if !sameMemory(plain.Memory(), on.Memory()) {
				s.t.Fatalf("form %d, after all functions with %d steps: the memories differ", form, steps)
			}
		}
	}
}

// bounded makes calls that cannot all come to their end, each on an instance of its own.
func (s *specimen) bounded() {
	for range min(len(s.functions), 8) {
		i := s.invocation(s.functions[s.random.IntN(len(s.functions))], 50)
		plain, free := s.instantiate(s.original), s.instrumented(formShort)
		want := s.call(plain, i, 0)
		s.call(free, i, instrument.Unlimited)
		used := free.control.Used()
		free.close()
		for _, bound := range []instrument.Reason{instrument.ReasonFuel, instrument.ReasonStack, instrument.ReasonInterrupted} {
			s.compareBounded(i, plain, want, used, bound)
		}
		plain.close()
	}
}

func (s *specimen) compareBounded(i invocation, plain *subject, want outcome, used int64, bound instrument.Reason) {
	form, budget := formShort, int64(instrument.Unlimited)
	switch bound {
	case instrument.ReasonFuel:
		budget = s.random.Int64N(used*3/2 + 2)
	case instrument.ReasonStack:
		form = formStack
	}
	on := s.instrumented(form)
	defer on.close()
	on.control.Begin(budget)
	if bound == instrument.ReasonInterrupted {
		if n := len(plain.log); n > 0 {
			on.trip = 1 + s.random.IntN(n)
		} else {
			on.control.Interrupt()
		}
	}
	got := s.run(on, i)
	s.lab.ended[on.control.Reason()]++
	switch reason := on.control.Reason(); {
	case reason == instrument.ReasonNone:
		if !got.equal(want) {
			s.t.Fatalf("%v bounded by %v: %v, want %v", i, bound, got, want)
		}
		if d := s.differ(plain, on); d != "" {
			s.t.Fatalf("%v bounded by %v: %s", i, bound, d)
		}
		if !sameMemory(plain.Memory(), on.Memory()) {
			s.t.Fatalf("%v bounded by %v: the memories differ", i, bound)
		}
		if now := on.control.Used(); want.trap == "" && bound != instrument.ReasonStack && now != used {
			s.t.Fatalf("%v bounded by %v: %d ticks, without it %d", i, bound, now, used)
		}
	case reason != bound || got.trap != "unreachable":
		s.t.Fatalf("%v bounded by %v: ended with %v, reason %v", i, bound, got, reason)
	case len(on.log) > len(plain.log) || !slices.Equal(on.log, plain.log[:len(on.log)]):
		s.t.Fatalf("%v bounded by %v: logs %x, without it %x", i, bound, on.log, plain.log)
	case bound == instrument.ReasonFuel && want.trap == "" && used <= budget:
		s.t.Fatalf("%v: %d ticks are not enough for %d", i, budget, used)
	}
	on.trip = 0
	if s.call(on, i, instrument.Unlimited); on.control.Reason() != instrument.ReasonNone && bound != instrument.ReasonStack {
		s.t.Fatalf("%v: the call after one bounded by %v ends with reason %v", i, bound, on.control.Reason())
	}
}

// TestTranslatedModules runs modules that binaryen makes of random bytes as they are and instrumented: results, traps, what they tell the
// host, memories and globals must be the same; a call that is stopped must have done the same up to there.
func TestTranslatedModules(t *testing.T) {
	const seeds = 40
	cache, err := wazero.NewCompilationCacheWithDir("../../../build/cache/translated") // the race detector slows the compiler down
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, cache)
	taken := 0
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if l.runTranslated(t, wasmtest.Bytes(seed)) {
				taken++
			}
		})
	}
	if t.Logf("%d modules; bounded calls ended by %v", taken, l.ended); taken < seeds*9/10 || len(l.ended) < 4 {
		t.Errorf("the engine takes %d of %d modules; bounded calls ended by %v", taken, seeds, l.ended)
	}
}

// FuzzTranslated is the same for bytes of the fuzzer's choice.
func FuzzTranslated(f *testing.F) {
	l := newLab(f, wazero.NewCompilationCache())
	for seed := range uint64(4) {
		f.Add(wasmtest.Bytes(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { l.runTranslated(t, data) })
}
