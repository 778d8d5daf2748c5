// Package place says where in an input something is.
package place

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// Place is a place in a text, counted from 1. Columns are characters.
type Place struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

func (p Place) String() string { return fmt.Sprintf("line %d, column %d", p.Line, p.Column) }

// Of returns the place of a byte; an offset past the end counts as the end.
func Of(text []byte, offset int) Place {
	before := text[:max(0, min(offset, len(text)))]
	return Place{
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]),
	}
}

// Finder finds places one after the other, in one pass over the text. The zero value begins at the start.
type Finder struct {
	offset, lineStart, line int
}

// Of is [Of] for offsets that do not go back.
func (f *Finder) Of(text []byte, offset int) Place {
	for f.offset < min(offset, len(text)) {
		next := bytes.IndexByte(text[f.offset:min(offset, len(text))], '\n')
		if next < 0 {
			break
		}
		f.line++
		f.offset += next + 1
		f.lineStart = f.offset
	}
	return Place{Line: f.line + 1, Column: 1 + utf8.RuneCount(text[f.lineStart:min(offset, len(text))])}
}

// UTF8 is an error that names the first byte that is not UTF-8.
func UTF8(text []byte) error {
	if utf8.Valid(text) {
		return nil
	}
	for i := 0; ; {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return taskhost.InvalidInputf("invalid UTF-8 at byte %d (%s)", i, Of(text, i))
		}
		i += n
	}
}
