// The compress plugin: gzip, zstd, zlib and deflate, both ways. What it decompresses has a bound.
//
// Configuration: format, default gzip, when compressing; when decompressing it is found out, but for deflate; level=1..9, default 6;
// max_bytes, default 16M, bounds what is decompressed.
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

//go:wasmexport process
func process() int32 { return taskhost.Process(compress) }

//go:wasmexport decompress
func decompressAlone() int32 { return taskhost.Process(decompress) }

func main() {}
