// The chunk plugin: cuts a text into pieces for retrieval, each within a number of tokens.
//
// What a token is depends on the model that reads it. Here it is an estimate from the length of words and the script that they are written
// in, which needs no vocabulary; see tokens.go.
//
// Configuration: by, size, overlap and output; see chunk.json.
package main

import (
	taskhost "github.com/taskhost/taskhost/sdk/go"

	"github.com/taskhost/taskhost/plugins/internal/config"
)

//go:wasmexport process
func process() int32 {
	return taskhost.Process(func(text []byte) ([]byte, error) {
		by, err := config.Choice("by", "sentences", "tokens", "headings")
		if err != nil {
			return nil, err
		}
		return chunk(text, by)
	})
}

//go:wasmexport tokens
func tokensAlone() int32 {
	return taskhost.Process(func(text []byte) ([]byte, error) { return chunk(text, "tokens") })
}

//go:wasmexport sentences
func sentencesAlone() int32 {
	return taskhost.Process(func(text []byte) ([]byte, error) { return chunk(text, "sentences") })
}

//go:wasmexport headings
func headingsAlone() int32 {
	return taskhost.Process(func(text []byte) ([]byte, error) { return chunk(text, "headings") })
}

//go:wasmexport count
func countAlone() int32 { return taskhost.Process(count) }

func main() {}
