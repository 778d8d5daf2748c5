package builtin

import (
	"os"
	"testing"
)

func TestEmbedded(t *testing.T) {
	src, err := loadJS()
	if err != nil {
		t.Fatalf("%v (run make interpreters)", err)
	}
	if want, err := os.ReadFile("interpreters/js.wasm"); err != nil || string(want) != string(src.Wasm) {
		t.Errorf("the module is another: %v", err)
	}
}
