package host_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// TestResponseIsGoneInTheNextCall: what http_status_code tells belongs to one call.
func TestResponseIsGoneInTheNextCall(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	const call, drop, constI64, constI32, end = 0x10, 0x1a, 0x42, 0x41, 0x0b
	module := hostileModule(nil, func(m *wasm.Module) {
		m.Types = append(m.Types, wasm.FuncType{Results: []wasm.ValType{wasm.I64}},
			wasm.FuncType{Params: []wasm.ValType{wasm.I64, wasm.I64}, Results: []wasm.ValType{wasm.I64}})
		for n, f := range []string{"http_status_code", "input_offset", "http_request"} {
			m.Imports = append(m.Imports, wasm.Import{Module: abi.ModuleEnv, Name: f, Kind: wasm.KindFunc, TypeIndex: uint32(n)})
		}
		m.Funcs = []uint32{0, 0}
		m.Codes = []wasm.Code{
			{Body: []byte{call, 1, constI64, 0, call, 2, drop, constI32, 0, end}}, // the input is the request
			{Body: []byte{call, 0, end}},                                          // fails with the status as its code
		}
		m.Exports = []wasm.Export{{Name: "request", Kind: wasm.KindFunc, Index: 3}, {Name: "status", Kind: wasm.KindFunc, Index: 4}}
	})
	h := newHost(t, host.Config{MaxInstances: 1})
	m := &abi.Manifest{AllowedHosts: []string{"127.0.0.1"}}
	if _, err := h.Swap(t.Context(), "http", host.Source{Wasm: module, Manifest: m}); err != nil {
		t.Fatal(err)
	}
	request := abi.Call{Plugin: "http", Function: "request", Input: []byte(`{"url":"` + server.URL + `"}`)}
	if _, err := h.Run(t.Context(), request, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Run(t.Context(), abi.Call{Plugin: "http", Function: "status"}, nil); err != nil {
		t.Errorf("the status of a request in another call is there: %v", err)
	}
}

// TestClosedStreamsAreOpenInTheNextCall: a guest that closes its standard output twice in two calls finds it open each time.
func TestClosedStreamsAreOpenInTheNextCall(t *testing.T) {
	const constI32, call, ifThen, empty, unreachable, end = 0x41, 0x10, 0x04, 0x40, 0x00, 0x0b
	h := newHost(t, host.Config{MaxInstances: 1})
	module := hostileModule([]byte{constI32, 1, call, 0, ifThen, empty, unreachable, end}, func(m *wasm.Module) {
		m.Types = append(m.Types, wasm.FuncType{Params: []wasm.ValType{wasm.I32}, Results: []wasm.ValType{wasm.I32}})
		m.Imports = []wasm.Import{{Module: abi.ModuleWASI, Name: "fd_close", Kind: wasm.KindFunc, TypeIndex: 1}}
		m.Exports[0].Index = 1
	})
	if _, err := h.Swap(t.Context(), "close", host.Source{Wasm: module}); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if _, err := h.Run(t.Context(), abi.Call{Plugin: "close", Function: "process"}, nil); err != nil {
			t.Errorf("call %d: fd_close fails: %v", n, err)
		}
	}
}
