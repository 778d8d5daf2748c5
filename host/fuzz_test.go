package host_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// FuzzKernelCalls lets a guest make any calls of extism:host/env with any arguments. The host must not crash, must give a code that
// fits, and must have a kernel in order for the next call, in a new sandbox as in one that is used again.
func FuzzKernelCalls(f *testing.F) {
	f.Add([]byte{})
	f.Add(slices.Concat(record(sAlloc, 100, 0), record(sStore64, resultOf(0, 0), 7), record(sLoad64, resultOf(0, 0), 0)))
	f.Add(slices.Concat(record(sAlloc, 1<<40, 0)))
	f.Add(slices.Concat(record(sAlloc, 32, 0), record(sFree, resultOf(0, 0), 0), record(sFree, resultOf(0, 0), 0), record(sAlloc, 32, 0)))
	f.Add(slices.Concat(record(sAlloc, 8, 0), record(sStore64, 1048, 1<<60), record(sLength, resultOf(0, 0), 0), record(sOutputSet, resultOf(0, 0), 8)))
	f.Add(slices.Concat(record(sAlloc, 8, 0), record(16, resultOf(0, 0), resultOf(0, 0)), record(15, resultOf(0, 0), 0)))
	f.Add(slices.Concat(record(13, 1, 0), record(14, 1<<33, 0)))
	h := newHost(f, host.Config{Limits: abi.Limits{KernelMemory: 1 << 20}})
	swap(f, h, "kernel-hostile", "")
	swapTo(f, h, "reused", guest(f, "kernel-hostile"), `{"taskhost": {"isolation": "reuse", "max_instances": 1}}`)
	f.Fuzz(func(t *testing.T, script []byte) {
		for _, plugin := range []string{"kernel-hostile", "reused"} {
			_, err := h.Run(t.Context(), abi.Call{Plugin: plugin, Function: "script", Input: script}, nil)
			switch code := abi.CodeOf(err); code {
			case "", abi.CodeFailed, abi.CodeTrap, abi.CodeKernelMemoryLimit:
			default:
				t.Errorf("%s: code %s: %v", plugin, code, err)
			}
			checkKernelWorks(t, h, plugin)
		}
	})
}

// FuzzParseManifest checks that whatever is accepted as a manifest can be written and read again with the same meaning, and that
// whatever is not accepted is refused with an error that names the file.
func FuzzParseManifest(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `null`, `[]`, `{"wasm":[{"path":"a.wasm","name":"main","hash":""}]}`, `{"wasm":[{"data":"AGFzbQ=="}]}`,
		`{"memory":{"max_pages":16,"max_http_response_bytes":0,"max_var_bytes":5},"timeout_ms":1000,"config":{"a":"b"}}`,
		`{"allowed_hosts":["*.example.com"],"allowed_paths":{"ro:data":"/data"}}`,
		`{"taskhost":{"isolation":"reuse","max_instances":2,"functions":{"process":{"description":"d"}},"env":{"A":"b"},"args":["x"]}}`,
		`{"taskhost":{"cancel_grace_ms":99999}}`, `{"timeout_ms":-1}`, `{} {}`, `{"nobody":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := host.ParseManifest("some.json", data)
		if err != nil {
			if abi.CodeOf(err) != abi.CodeInvalid || !strings.HasPrefix(err.Error(), "some.json: ") {
				t.Fatalf("the error does not name the file: %v", err)
			}
			return
		}
		once, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := host.ParseManifest("some.json", once)
		if err != nil {
			t.Fatalf("%s was accepted, and written again as %s is not: %v", data, once, err)
		}
		if twice, err := json.Marshal(again); err != nil || string(twice) != string(once) {
			t.Fatalf("%s becomes %s, and that %s: %v", data, once, twice, err)
		}
	})
}
