package main

import (
	"fmt"

	"github.com/bytecodealliance/wasmtime-go/v37"

	"github.com/taskhost/taskhost/bench/measure"
)

// module is a guest that was compiled.
type module struct {
	guest  measure.Guest
	engine *wasmtime.Engine
	linker *wasmtime.Linker
	module *wasmtime.Module
}

func compile(g measure.Guest, epochs bool) (*module, error) {
	config := wasmtime.NewConfig()
	config.SetEpochInterruption(epochs)
	engine := wasmtime.NewEngineWithConfig(config)
	linker := wasmtime.NewLinker(engine)
	if err := linker.DefineWasi(); err != nil {
		return nil, err
	}
	m, err := wasmtime.NewModule(engine, g.Wasm)
	if err != nil {
		return nil, err
	}
	return &module{g, engine, linker, m}, nil
}

// instance is one of a guest, in a store of its own, which must be closed.
type instance struct {
	store    *wasmtime.Store
	instance *wasmtime.Instance
	function *wasmtime.Func
}

func (m *module) instantiate() (*instance, error) {
	store := wasmtime.NewStore(m.engine)
	store.SetWasi(wasmtime.NewWasiConfig())
	store.SetEpochDeadline(1) // which never comes: nobody counts epochs on
	i, err := m.linker.Instantiate(store, m.module)
	if err != nil {
		store.Close()
		return nil, err
	}
	return &instance{store, i, i.GetFunc(store, m.guest.Function)}, nil
}

// initialize does what a reactor wants done before the first call.
func (i *instance) initialize() error {
	f := i.instance.GetFunc(i.store, "_initialize")
	if f == nil {
		return nil
	}
	_, err := f.Call(i.store)
	return err
}

func (i *instance) call() error {
	result, err := i.function.Call(i.store)
	if err == nil && result != int32(0) {
		err = fmt.Errorf("the guest returned %v", result)
	}
	return err
}
