// The hash plugin: digests of bytes, keyed ones, and a check of an expected one.
//
// Configuration: algorithm, default sha256; encoding of the output: hex (default), base64, base64url or raw; key makes it an HMAC, and
// key_encoding is text (default), hex or base64; expected is for verify.
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

//go:wasmexport process
func process() int32 { return taskhost.Process(digest) }

//go:wasmexport all
func allAlone() int32 { return taskhost.Process(allDigests) }

//go:wasmexport verify
func verifyAlone() int32 { return taskhost.Process(verify) }

func main() {}
