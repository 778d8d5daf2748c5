// Package readline takes the place of the line editor that glua's interactive mode uses, which does not compile for WASI: there is no
// terminal to edit on. It reads lines.
package readline

import (
	"bufio"
	"io"
	"os"
)

// Instance reads standard input.
type Instance struct{ lines *bufio.Scanner }

// New returns a reader of lines; a prompt is for terminals.
func New(string) (*Instance, error) { return &Instance{bufio.NewScanner(os.Stdin)}, nil }

// SetPrompt does nothing.
func (*Instance) SetPrompt(string) {}

// Readline is the next line, or io.EOF.
func (i *Instance) Readline() (string, error) {
	if i.lines.Scan() {
		return i.lines.Text(), nil
	}
	if err := i.lines.Err(); err != nil {
		return "", err
	}
	return "", io.EOF
}

// Close does nothing.
func (*Instance) Close() error { return nil }
