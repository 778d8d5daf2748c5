package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	extism "github.com/extism/go-sdk"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/bench/measure"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/builtin"
)

// callCase is one function of a plugin that both sides call.
type callCase struct {
	name     string
	wasm     []byte
	script   string // wasm is the text of a script, and this the name of its file
	function string
	input    []byte
	want     string

	libs   map[string][]byte // modules that the plugin imports from, by their names
	config map[string]string
	fails  bool // the function reports an error, on both sides
}

// wants is the case with what is expected.
func (c callCase) wants(s string) callCase {
	c.want = s
	return c
}

// call is one call on one side; it returns the output.
type call func() ([]byte, error)

// checked is the call with the error that it must have taken for none.
func (c callCase) checked(f call) call {
	if !c.fails {
		return f
	}
	return func() ([]byte, error) {
		if _, err := f(); err == nil {
			return nil, errors.New("it did not fail")
		}
		return nil, nil
	}
}

// newHost makes a host with the plugin, by the name p.
func (c callCase) newHost(ctx context.Context, isolation abi.Isolation) (h *host.Host, done func(), err error) {
	h, err = host.New(ctx, host.Config{MaxInstances: 2000, MaxMemory: 64 << 30, Interpreters: builtin.Interpreters()})
	if err != nil {
		return nil, nil, err
	}
	done = func() { _ = h.Close(ctx) }
	m := &abi.Manifest{Config: c.config, Taskhost: &abi.ManifestTaskhost{Isolation: isolation}}
	for name, wasm := range c.libs {
		m.Wasm = append(m.Wasm, abi.ManifestWasm{Name: name, Data: wasm})
	}
	src := host.Source{Manifest: m}
	if c.script != "" {
		src.Script, src.File = c.wasm, c.script
	} else {
		m.Wasm = append(m.Wasm, abi.ManifestWasm{Name: "main", Data: c.wasm})
	}
	if _, err := h.Swap(ctx, "p", src); err != nil {
		done()
		return nil, nil, err
	}
	return h, done, nil
}

// ours makes a host with the plugin and returns a call of it.
func (c callCase) ours(ctx context.Context, isolation abi.Isolation) (f call, done func(), err error) {
	h, done, err := c.newHost(ctx, isolation)
	if err != nil {
		return nil, nil, err
	}
	return c.checked(func() ([]byte, error) {
		res, err := h.Run(ctx, abi.Call{Plugin: "p", Function: c.function, Input: c.input}, nil)
		return res.Output, err
	}), done, nil
}

func (c callCase) compilePeer(ctx context.Context) (*extism.CompiledPlugin, error) {
	m := extism.Manifest{Config: c.config}
	for name, wasm := range c.libs {
		m.Wasm = append(m.Wasm, extism.WasmData{Name: name, Data: wasm})
	}
	m.Wasm = append(m.Wasm, extism.WasmData{Name: "main", Data: c.wasm})
	return extism.NewCompiledPlugin(ctx, m, extism.PluginConfig{EnableWasi: true}, nil)
}

// peerReused makes one instance with go-sdk and returns a call of it.
func (c callCase) peerReused(ctx context.Context) (f call, done func(), err error) {
	compiled, err := c.compilePeer(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
	if err != nil {
		return nil, nil, errors.Join(err, compiled.Close(ctx))
	}
	done = func() {
		_ = p.Close(ctx)
		_ = compiled.Close(ctx)
	}
	return c.checked(func() ([]byte, error) {
		_, out, err := p.Call(c.function, c.input)
		return out, err
	}), done, nil
}

// peerFresh returns a call with go-sdk that makes an instance of its own.
func (c callCase) peerFresh(ctx context.Context) (f call, done func(), err error) {
	compiled, err := c.compilePeer(ctx)
	if err != nil {
		return nil, nil, err
	}
	done = func() { _ = compiled.Close(ctx) }
	return c.checked(func() ([]byte, error) {
		p, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
		if err != nil {
			return nil, err
		}
		defer p.Close(ctx)
		_, out, err := p.Call(c.function, c.input)
		return out, err
	}), done, nil
}

// reused compares calls of an instance that is there.
func (c callCase) reused(ctx context.Context) (figure, error) {
	return c.compare(ctx, abi.IsolationReuse, c.peerReused)
}

// fresh compares calls that each have a sandbox of their own: pristine here, a new instance there.
func (c callCase) fresh(ctx context.Context) (figure, error) {
	return c.compare(ctx, abi.IsolationPristine, c.peerFresh)
}

// beside compares calls of an instance that is there with those of another plugin there, which does the same.
func (c callCase) beside(other callCase) func(context.Context) (figure, error) {
	return func(ctx context.Context) (figure, error) { return c.compare(ctx, abi.IsolationReuse, other.peerReused) }
}

// compare lets both sides take turns, after it has seen that they give the same.
func (c callCase) compare(ctx context.Context, isolation abi.Isolation, peer func(context.Context) (call, func(), error)) (figure, error) {
	f := figure{name: c.name, unit: "µs", want: c.want}
	ours, done, err := c.ours(ctx, isolation)
	if err != nil {
		return f, err
	}
	defer done()
	theirs, done, err := peer(ctx)
	if err != nil {
		return f, fmt.Errorf("go-sdk: %w", err)
	}
	defer done()
	a, err := ours()
	if err != nil {
		return f, err
	}
	b, err := theirs()
	if err != nil {
		return f, fmt.Errorf("go-sdk: %w", err)
	}
	if !bytes.Equal(a, b) {
		return f, fmt.Errorf("the outputs differ: %.60q, %.60q", a, b)
	}
	t, err := measure.Turns(
		func() error { _, err := ours(); return err },
		func() error { _, err := theirs(); return err },
	)
	if err != nil {
		return f, err
	}
	f.ours, f.peer = t[0], t[1]
	return f, nil
}
