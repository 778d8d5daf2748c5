package instrument

import "github.com/taskhost/taskhost/host/internal/wasm"

// YieldGuest is the name under which [YieldModule] imports from the instance that it is for.
const YieldGuest = "taskhost:guest"

// YieldModule is a module that gives an instance of a rewritten one the function to leave through after each slice: an imported
// function without parameters and results. Instantiating it, with the instance resolved as YieldGuest, is all; it must live as long as
// the instance. Without it the code leaves by growing its memory by nothing, which serves the garbage collector but lets no other
// goroutine run before the scheduler's time is up.
func YieldModule(module, function string) []byte {
	table := wasm.Table{Type: wasm.Funcref, Limits: wasm.Limits{Min: 1, Max: 1, HasMax: true}}
	m := wasm.Module{
		Types: []wasm.FuncType{{}},
		Imports: []wasm.Import{
			{Module: module, Name: function, Kind: wasm.KindFunc},
			{Module: YieldGuest, Name: ExportYield, Kind: wasm.KindTable, Table: table},
		},
		Elements: []wasm.Element{{Offset: []byte{byte(wasm.OpI32Const), 0, byte(wasm.OpEnd)}, Type: wasm.Funcref, Funcs: []uint32{0}}},
	}
	return m.Encode()
}
