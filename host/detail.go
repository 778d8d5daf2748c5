package host

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/symbol"
)

// Bounds on what an error's detail has besides the stack, in bytes.
const (
	maxDetail    = 8 << 10 // of all; what a manager keeps
	maxInputHead = 200
	maxLogDetail = 10     // messages
	maxLogText   = 1500   // of each
	maxLogTexts  = 5 << 9 // of all
)

// describe gives an error of a call its detail: the guest's stack, the head of the input, and the last lines that it logged. An error
// that says nothing of the plugin, such as that somebody cancelled the call, gets none.
func (i *instance) describe(err error, input []byte, log []abi.LogLine) {
	f, trapped, place := i.failed, i.trapped, i.place
	i.failed, i.trapped, i.place = nil, nil, ""
	e, ok := err.(*abi.Error) //nolint:errorlint // those of calls are not wrapped
	if !ok {
		return
	}
	switch e.Code {
	case abi.CodeCancelled, abi.CodeShutdown, abi.CodeClosed, abi.CodeQueueFull:
		return
	}
	var b strings.Builder
	switch {
	case place != "":
		for line := range strings.Lines(place) {
			b.WriteString(symbol.Printable(strings.TrimRight(line, "\r\n")) + "\n")
		}
	case trapped != nil && i.v.form != FormScript: // whose stack is the interpreter's
		b.WriteString(i.stackText(f, trapped))
	}
	if len(input) > 0 && i.v.showInput {
		fmt.Fprintf(&b, "input (%s bytes): %s\n", thousands(len(input)), quoteHead(input))
	}
	if len(log) > 0 {
		b.WriteString("last log lines:\n")
		b.WriteString(logText(log))
	}
	e.Detail = clip(strings.TrimSuffix(b.String(), "\n"), maxDetail)
}

// quoteHead is the beginning of an input, quoted as in Go: a line of printable text. Bytes that are no UTF-8 stay as \x.
func quoteHead(input []byte) string {
	var b strings.Builder
	b.WriteByte('"')
	for len(input) > 0 && b.Len() < maxInputHead {
		r, n := utf8.DecodeRune(input)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, input[0])
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		input = input[n:]
	}
	b.WriteByte('"')
	if len(input) > 0 {
		b.WriteString("…")
	}
	return b.String()
}

// logText shows the last messages, those with several lines as such.
func logText(log []abi.LogLine) string {
	from, size := len(log), 0
	for from > 0 && len(log)-from < maxLogDetail {
		n := min(len(log[from-1].Text), maxLogText)
		if size += n; size > maxLogTexts && from < len(log) {
			break
		}
		from--
	}
	var b strings.Builder
	for _, l := range log[from:] {
		word := l.Level
		for line := range strings.Lines(strings.TrimRight(clip(l.Text, maxLogText), "\n")) {
			line = strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "  ")
			fmt.Fprintf(&b, "  %-5s %s\n", word, symbol.Printable(line))
			word = ""
		}
	}
	return b.String()
}
