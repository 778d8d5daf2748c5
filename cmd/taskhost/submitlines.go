package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// Bounds on work --submit.
const (
	maxSpecLine  = 32 << 20 // bytes of one line
	maxSubmitted = 256      // lines whose tasks are being stored
)

// lineJSON is what work --submit --json prints for a line.
type lineJSON struct {
	Line  int        `json:"line"`
	ID    string     `json:"id,omitempty"`
	Error *abi.Error `json:"error,omitempty"`
}

// submitting is a run of work --submit.
type submitting struct {
	app     *app
	json    bool
	refused int
}

// lines submits a task for each line of r that is not empty, in the JSON form of a spec, and prints the ids in the order of the lines, each once
// its task is stored. A line that is refused is told on stderr, and "-" stands for its id. It returns when r ends, or ctx.
func (s *submitting) lines(ctx context.Context, m *manager.Manager, r io.Reader) error {
	answers := make(chan chan lineJSON, maxSubmitted)
	var printing, storing sync.WaitGroup
	var printed error
	printing.Go(func() {
		for answer := range answers {
			if err := s.print(<-answer); err != nil && printed == nil {
				printed = err
			}
		}
	})
	lines := readLines(ctx, r)
	for line := range lines.all {
		answer := make(chan lineJSON, 1)
		answers <- answer
		storing.Go(func() { answer <- submitLine(ctx, m, line.number, line.text) })
	}
	storing.Wait()
	close(answers)
	printing.Wait()
	switch {
	case errors.Is(lines.err, bufio.ErrTooLong):
		return usagef("a line of standard input has more than %d bytes", maxSpecLine)
	case lines.err != nil:
		return fileError("read the tasks", lines.err)
	}
	return printed
}

// inputLines are the lines of a reader that are not empty.
type inputLines struct {
	all chan inputLine
	err error // once all is closed
}

type inputLine struct {
	number int
	text   []byte
}

// readLines reads r to its end, or until ctx ends; then the goroutine that reads is left to the end of the process.
func readLines(ctx context.Context, r io.Reader) *inputLines {
	read := make(chan inputLine)
	failed := make(chan error, 1)
	go func() {
		defer close(read)
		scan := bufio.NewScanner(r)
		scan.Buffer(nil, maxSpecLine)
		for n := 1; scan.Scan(); n++ {
			if text := bytes.TrimSpace(scan.Bytes()); len(text) > 0 {
				select {
				case read <- inputLine{n, bytes.Clone(text)}:
				case <-ctx.Done():
					return
				}
			}
		}
		failed <- scan.Err()
	}()
	lines := &inputLines{all: make(chan inputLine)}
	go func() {
		defer close(lines.all)
		for {
			select {
			case line, ok := <-read:
				if !ok {
					select {
					case lines.err = <-failed:
					default:
					}
					return
				}
				lines.all <- line
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

func submitLine(ctx context.Context, m *manager.Manager, n int, line []byte) lineJSON {
	spec, err := manager.DecodeSpec(line)
	var t manager.Task
	if err == nil {
		t, err = m.SubmitWait(ctx, spec)
	}
	return lineJSON{Line: n, ID: t.ID, Error: abi.AsError(err)}
}

func (s *submitting) print(l lineJSON) error {
	if l.Error != nil {
		s.refused++
		s.app.console.printf("taskhost: line %d: %s\n", l.Line, errorLine(l.Error))
	}
	if s.json {
		line, err := json.Marshal(l)
		if err == nil {
			_, err = fmt.Fprintf(s.app.stdout, "%s\n", line)
		}
		return fileError("write the ids", err)
	}
	id := l.ID
	if id == "" {
		id = "-"
	}
	_, err := fmt.Fprintln(s.app.stdout, id)
	return fileError("write the ids", err)
}
