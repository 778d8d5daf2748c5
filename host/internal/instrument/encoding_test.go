package instrument

import (
	"bytes"
	"os"
	"reflect"
	"testing"
)

func TestEncode(t *testing.T) {
	bin, err := os.ReadFile("../../../build/testdata/upper-c.wasm")
	if err != nil {
		t.Fatalf("%v; run make plugins first", err)
	}
	want, err := Rewrite(bin, Config{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	want.Module = nil
	if !reflect.DeepEqual(got, want) {
		t.Error("what was encoded is not what was decoded")
	}
	for at := range b {
		if at%7 > 0 && at > 300 {
			continue
		}
		damaged := bytes.Clone(b)
		damaged[at] ^= 0x40
		if _, err := Decode(damaged); err == nil {
			t.Fatalf("damage at byte %d is not found", at)
		}
		if _, err := Decode(b[:at]); err == nil {
			t.Fatalf("%d bytes of %d are decoded", at, len(b))
		}
	}
}
