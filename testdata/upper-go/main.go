// Upper-cases the ASCII letters of UTF-8 text. The same processor stands beside this one in other languages.
package main

import (
	"fmt"
	"unicode/utf8"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

//go:wasmexport process
func process() int32 { return taskhost.Process(upper) }

// part is how much text there is between two reports of progress.
const part = 64 << 10

func upper(text []byte) ([]byte, error) {
	total := (len(text) + part - 1) / part
	for i, done := 0, 0; i < len(text); {
		if i >= done*part {
			taskhost.Progress(done, total, "")
			done++
		}
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z':
			text[i] = c - 'a' + 'A'
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && n == 1 {
				return nil, taskhost.InvalidInput(fmt.Errorf("invalid UTF-8 at byte %d", i))
			}
			i += n
			continue
		}
		i++
	}
	taskhost.Progress(total, total, "")
	return text, nil
}

func main() {}
