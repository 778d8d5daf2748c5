package main

import (
	"bytes"
	"context"
	"fmt"

	extism "github.com/extism/go-sdk"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/bench/measure"
	"github.com/taskhost/taskhost/host"
)

// callCase is one function that both sides call.
type callCase struct {
	name     string
	wasm     []byte
	function string
	input    []byte
	want     float64
}

// newHost makes a host with the plugin, by the name p.
func (c callCase) newHost(ctx context.Context, isolation abi.Isolation) (h *host.Host, done func(), err error) {
	h, err = host.New(ctx, host.Config{MaxInstances: 2000, MaxMemory: 64 << 30})
	if err != nil {
		return nil, nil, err
	}
	done = func() { _ = h.Close(ctx) }
	m := &abi.Manifest{Taskhost: &abi.ManifestTaskhost{Isolation: isolation}}
	if _, err := h.Swap(ctx, "p", host.Source{Wasm: c.wasm, Manifest: m}); err != nil {
		done()
		return nil, nil, err
	}
	return h, done, nil
}

// ours makes a host with the plugin and returns a call of it.
func (c callCase) ours(ctx context.Context, isolation abi.Isolation) (call func() ([]byte, error), done func(), err error) {
	h, done, err := c.newHost(ctx, isolation)
	if err != nil {
		return nil, nil, err
	}
	return func() ([]byte, error) {
		res, err := h.Run(ctx, abi.Call{Plugin: "p", Function: c.function, Input: c.input}, nil)
		return res.Output, err
	}, done, nil
}

func (c callCase) compilePeer(ctx context.Context) (*extism.CompiledPlugin, error) {
	m := extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: c.wasm}}}
	return extism.NewCompiledPlugin(ctx, m, extism.PluginConfig{EnableWasi: true}, nil)
}

// compare runs both and checks that they give the same.
func (c callCase) compare(ours, peer func() ([]byte, error)) (figure, error) {
	a, err := ours()
	if err != nil {
		return figure{}, err
	}
	b, err := peer()
	if err != nil {
		return figure{}, fmt.Errorf("go-sdk: %w", err)
	}
	if !bytes.Equal(a, b) {
		return figure{}, fmt.Errorf("the outputs differ: %.60q, %.60q", a, b)
	}
	t, err := measure.Turns(
		func() error { _, err := ours(); return err },
		func() error { _, err := peer(); return err },
	)
	if err != nil {
		return figure{}, err
	}
	return figure{name: c.name, unit: "µs", ours: t[0], peer: t[1], want: c.want}, nil
}

// reused compares calls of an instance that is there.
func (c callCase) reused(ctx context.Context) (figure, error) {
	ours, done, err := c.ours(ctx, abi.IsolationReuse)
	if err != nil {
		return figure{}, err
	}
	defer done()
	compiled, err := c.compilePeer(ctx)
	if err != nil {
		return figure{}, err
	}
	defer compiled.Close(ctx)
	p, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
	if err != nil {
		return figure{}, err
	}
	defer p.Close(ctx)
	return c.compare(ours, func() ([]byte, error) {
		_, out, err := p.Call(c.function, c.input)
		return out, err
	})
}

// fresh compares calls that each have a sandbox of their own: pristine here, a new instance there.
func (c callCase) fresh(ctx context.Context) (figure, error) {
	ours, done, err := c.ours(ctx, abi.IsolationPristine)
	if err != nil {
		return figure{}, err
	}
	defer done()
	compiled, err := c.compilePeer(ctx)
	if err != nil {
		return figure{}, err
	}
	defer compiled.Close(ctx)
	return c.compare(ours, func() ([]byte, error) {
		p, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
		if err != nil {
			return nil, err
		}
		defer p.Close(ctx)
		_, out, err := p.Call(c.function, c.input)
		return out, err
	})
}
