package host_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// The code of docs/from-extism.md. TestFromExtismIsThisCode checks that the document has nothing else.

// Vowels counts vowels, with a plugin that Extism's Go SDK runs.
type Vowels struct {
	compiled *extism.CompiledPlugin
}

func NewVowels(ctx context.Context, file string) (*Vowels, error) {
	compiled, err := extism.NewCompiledPlugin(ctx, extism.Manifest{
		Wasm:         []extism.Wasm{extism.WasmFile{Path: file}},
		Config:       map[string]string{"vowels": "aeiouyAEIOUY"},
		AllowedHosts: []string{"api.example.com"},
		Memory:       &extism.ManifestMemory{MaxPages: 64, MaxVarBytes: 1 << 20, MaxHttpResponseBytes: 1 << 20},
		Timeout:      5000,
	}, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		return nil, err
	}
	return &Vowels{compiled}, nil
}

// Call runs a function in an instance of its own: an instance serves one goroutine at a time, and remembers.
func (v *Vowels) Call(ctx context.Context, function, text string) (string, error) {
	p, err := v.compiled.Instance(ctx, extism.PluginInstanceConfig{
		ModuleConfig: wazero.NewModuleConfig().WithSysWalltime(),
	})
	if err != nil {
		return "", err
	}
	defer p.Close(ctx)
	p.SetLogger(func(level extism.LogLevel, message string) { slog.Info(message, "level", level) })
	if !p.FunctionExists(function) {
		return "", fmt.Errorf("no function %s", function)
	}
	code, out, err := p.CallWithContext(ctx, function, []byte(text))
	if err != nil {
		return "", fmt.Errorf("%s failed with code %d: %w", function, code, err)
	}
	return string(out), nil
}

func (v *Vowels) Close(ctx context.Context) error { return v.compiled.Close(ctx) }

// Vowels2 is Vowels on taskhost's host.
type Vowels2 struct {
	host *host.Host
}

func NewVowels2(ctx context.Context, file string) (*Vowels2, error) {
	h, err := host.New(ctx, host.Config{Logger: slog.Default()})
	if err != nil {
		return nil, err
	}
	_, err = h.Swap(ctx, "vowels", host.Source{Manifest: &abi.Manifest{
		Wasm:         []abi.ManifestWasm{{Path: file}},
		Config:       map[string]string{"vowels": "aeiouyAEIOUY"},
		AllowedHosts: []string{"api.example.com"},
		Memory:       &abi.ManifestMemory{MaxPages: 64},
		TimeoutMS:    5000,
	}})
	if err != nil {
		_ = h.Close(ctx)
		return nil, err
	}
	return &Vowels2{h}, nil
}

// Call may be called by any number of goroutines. Each call finds the sandbox as it was after the plugin's start.
func (v *Vowels2) Call(ctx context.Context, function, text string) (string, error) {
	res, err := v.host.Run(ctx, abi.Call{Plugin: "vowels", Function: function, Input: []byte(text)}, nil)
	return string(res.Output), err
}

func (v *Vowels2) Close(ctx context.Context) error { return v.host.Close(ctx) }

// greenMessage is a function of the embedder: it puts a mark before a text.
func greenMessage() extism.HostFunction {
	return extism.NewHostFunctionWithStack("hostGreenMessage", func(_ context.Context, p *extism.CurrentPlugin, stack []uint64) {
		text, err := p.ReadString(stack[0])
		if err == nil {
			stack[0], err = p.WriteString("🟢:" + text)
		}
		if err != nil {
			panic(err)
		}
	}, []extism.ValueType{extism.ValueTypePTR}, []extism.ValueType{extism.ValueTypePTR})
}

// TestFromExtism runs the document's programs, before and after, at the same time, and compares what they give.
func TestFromExtism(t *testing.T) {
	cache, err := filepath.Abs(filepath.Join("..", "build", "cache"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", cache)
	file := filepath.Join(goSDK(t), "count_vowels.wasm")
	before, err := NewVowels(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close(context.Background())
	after, err := NewVowels2(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close(context.Background())
	var group sync.WaitGroup
	for _, text := range []string{"Hello, World!", "", strings.Repeat("ay", 1000)} {
		group.Go(func() {
			want, err := before.Call(t.Context(), "count_vowels", text)
			if err != nil {
				t.Error(err)
			}
			for range 3 {
				got, err := after.Call(t.Context(), "count_vowels", text)
				if err != nil || got != want || got == "" {
					t.Errorf("%q, %v; before it was %q", got, err, want)
				}
			}
		})
	}
	group.Wait()
	for _, call := range []func(context.Context, string, string) (string, error){before.Call, after.Call} {
		if _, err := call(t.Context(), "no_such_function", ""); err == nil {
			t.Error("a function that is not there can be called")
		}
	}
	_, err = after.Call(t.Context(), "no_such_function", "")
	wantCode(t, err, abi.CodeNotFound, "plugin vowels", "no_such_function", "count_vowels")
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	_, err = after.Call(late, "count_vowels", "")
	wantCode(t, err, abi.CodeTimeout)
}

// TestFromExtismIsThisCode checks that every Go block of the document is in this file, and every C block in testdata, word for word.
func TestFromExtismIsThisCode(t *testing.T) {
	doc := string(read(t, "../docs/from-extism.md"))
	code := string(read(t, "fromextism_test.go"))
	c, err := os.ReadFile("../testdata/embedder/user.c")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(go|c)\n(.*?)```").FindAllStringSubmatch(doc, -1)
	if len(blocks) < 3 {
		t.Errorf("the document has %d blocks of code", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(code, b[2]) && !strings.Contains(string(c), b[2]) {
			t.Errorf("not in the tests:\n%s", b[2])
		}
	}
}
