package host_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// hintsOf are the hints of a plugin, one a line.
func hintsOf(t testing.TB, h *host.Host, name string) string {
	t.Helper()
	p, err := h.Inspect(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(p.Hints, "\n")
}

// wantHint checks that a plugin has one hint, with the word in it, or none if the word is empty.
func wantHint(t testing.TB, h *host.Host, name, word string) {
	t.Helper()
	got := hintsOf(t, h, name)
	if word == "" && got != "" || word != "" && (!strings.Contains(got, word) || strings.Contains(got, "\n")) {
		t.Errorf("hints of %s: %q; want one with %q", name, got, word)
	}
}

func TestRandomnessDrawnAtStartIsHintedAtWhereItRepeats(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, isolation := range []string{"pristine", "fresh", "reuse"} {
		swapTo(t, h, isolation, guest(t, "seeds"), `{"taskhost": {"isolation": "`+isolation+`"}}`)
	}
	if a, b := run(t, h, "pristine", ""), run(t, h, "pristine", ""); a != b {
		t.Errorf("two tasks have the seeds %q and %q; the hint is wrong", a, b)
	}
	if a, b := run(t, h, "fresh", ""), run(t, h, "fresh", ""); a == b {
		t.Errorf("two tasks have the seed %q", a)
	}
	wantHint(t, h, "pristine", "drew random bytes while it started")
	wantHint(t, h, "fresh", "")
	wantHint(t, h, "reuse", "")
	swap(t, h, "hints", "")
	run(t, h, "hints:draw", "")
	wantHint(t, h, "hints", "")
	swapTo(t, h, "go", built(t, "upper-go.wasm"), "") // its runtime draws hash keys, and nothing shows them
	wantHint(t, h, "go", "")
}

func TestAPluginThatLeaksUnderReuseIsHintedAtOnce(t *testing.T) {
	var log bytes.Buffer
	h := newHost(t, host.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	const manifest = `{"memory": {"max_pages": 4096}, "taskhost": {"isolation": "reuse"}}`
	for _, function := range []string{"leak", "fill", "follow"} {
		swapTo(t, h, function, guest(t, "hints"), manifest)
		for n := range 200 {
			input := "x"
			if function == "follow" {
				input = strings.Repeat("x", n<<14)
			}
			run(t, h, function+":"+function, input)
		}
	}
	swapTo(t, h, "pristine", guest(t, "hints"), "")
	swapTo(t, h, "go", built(t, "echo-go.wasm"), `{"taskhost": {"isolation": "reuse"}}`)
	for n := range 300 {
		run(t, h, "pristine:leak", "")
		run(t, h, "go", strings.Repeat("x", n%7<<16))
	}
	wantHint(t, h, "leak", "its memory grew in call after call")
	for _, name := range []string{"fill", "follow", "pristine", "go"} {
		wantHint(t, h, name, "")
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "plugin=leak") {
		t.Errorf("%d warnings:\n%s", n, &log)
	}
}

func TestALongCallThatReportsNothingIsHintedAtOnce(t *testing.T) {
	wasm, program := guest(t, "hints"), built(t, "filter-c.wasm")
	synctest.Test(t, func(t *testing.T) { // the six seconds are over at once
		var log bytes.Buffer
		h, err := host.New(t.Context(), host.Config{CacheDir: "off", Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := h.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		for _, function := range []string{"quiet", "report", "brief"} {
			swapTo(t, h, function, wasm, "")
			for range 2 {
				run(t, h, function+":"+function, "")
			}
		}
		swapTo(t, h, "program", program, "")
		run(t, h, "program", "x")
		wantHint(t, h, "quiet", "took 6s and never reported progress")
		for _, name := range []string{"report", "brief", "program"} {
			wantHint(t, h, name, "")
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "plugin=quiet") {
			t.Errorf("%d warnings:\n%s", n, &log)
		}
	})
}

func TestAPluginThatCannotBePutBackIsHintedAt(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "secrets-table", "")
	wantHint(t, h, "secrets-table", "it changes tables or segments at run time (table.set)")
	swapTo(t, h, "asked", guest(t, "secrets-table"), `{"taskhost": {"isolation": "fresh"}}`)
	wantHint(t, h, "asked", "")
	swapTo(t, h, "folders", built(t, "files-c.wasm"), fmt.Sprintf(`{"allowed_paths": {%q: "/data"}}`, t.TempDir()))
	wantHint(t, h, "folders", "allowed_paths")
	swap(t, h, "noop", "")
	wantHint(t, h, "noop", "")
}

func TestMuchDebugInformationIsHintedAt(t *testing.T) {
	h := newHost(t, host.Config{})
	rust := read(t, goSDK(t), "count_vowels.wasm")
	swapTo(t, h, "rust", rust, "")
	wantHint(t, h, "rust", "set strip = true")
	if p := host.Examine(host.Source{Wasm: rust}, 0); len(p.Hints) != 1 || p.Hints[0] != hintsOf(t, h, "rust") {
		t.Errorf("hints of the file: %q", p.Hints)
	}
	swapTo(t, h, "small", built(t, "upper-rust.wasm"), "")
	wantHint(t, h, "small", "")
	for _, p := range h.Plugins() {
		for _, hint := range p.Hints {
			if strings.Count(hint, "\n") > 0 || len(hint) > 500 || p.State != abi.StateReady {
				t.Errorf("%s: hint %q", p.Name, hint)
			}
		}
	}
}
