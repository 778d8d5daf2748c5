package wasmtest

import (
	"bytes"
	"testing"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

func TestTheSameBytesGiveTheSameModule(t *testing.T) {
	for _, data := range [][]byte{nil, {0xff}, {0xff, 0xff}, Bytes(1), Bytes(2)} {
		bin := Module(t, data)
		if again := Module(t, data); !bytes.Equal(bin, again) {
			t.Errorf("%d bytes give different modules", len(data))
		}
		m, err := wasm.Decode(bin)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := Steps(m); !ok {
			t.Errorf("%d bytes: the module does not count its steps", len(data))
		}
	}
}
