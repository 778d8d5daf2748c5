// A plugin made with Extism's own PDK for Go, unchanged: what runs on any Extism host runs here.
package main

import (
	"bytes"

	"github.com/extism/go-pdk"
)

//go:wasmexport noop
func noop() int32 { return 0 }

//go:wasmexport echo
func echo() int32 {
	pdk.Output(pdk.Input())
	return 0
}

//go:wasmexport upper
func upper() int32 {
	pdk.Output(bytes.ToUpper(pdk.Input()))
	return 0
}

func main() {}
