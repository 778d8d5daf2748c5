package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/values"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// maxOutput bounds what a call writes: a query can give results for ever. It is the most that a host takes in its standard settings.
const maxOutput = 64 << 20

// layOut writes each value anew, with the order of its keys and its numbers as they are.
func layOut(source []byte) ([]byte, error) {
	w, err := newWriter()
	if err != nil {
		return nil, err
	}
	sorted, err := config.Flag("sort_keys", false)
	if err != nil {
		return nil, err
	}
	r, err := values.Read(source)
	if err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		var raw json.RawMessage
		if _, err := r.Next(&raw); errors.Is(err, io.EOF) {
			return w.out.Bytes(), nil
		} else if err != nil {
			return nil, err
		}
		if sorted {
			if raw, err = sortKeys(raw); err != nil {
				return nil, err
			}
		}
		if err := w.write(raw); err != nil {
			return nil, err
		}
		r.Progress(n, " values")
	}
}

// sortKeys writes a value with the keys of its objects in the order of their bytes.
func sortKeys(raw []byte) ([]byte, error) {
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return b.Bytes(), err
}

// writer writes values, each on lines of its own.
type writer struct {
	out    bytes.Buffer
	indent string // "": all on one line
	raw    bool   // strings without quotes
}

func newWriter() (*writer, error) {
	n, err := config.Number("indent", 2, 0, 16)
	if err != nil {
		return nil, err
	}
	return &writer{indent: strings.Repeat(" ", n)}, nil
}

func (w *writer) write(value []byte) error {
	if w.raw && value[0] == '"' {
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return err
		}
		w.out.WriteString(s)
	} else if w.indent == "" {
		if err := json.Compact(&w.out, value); err != nil {
			return err
		}
	} else if err := json.Indent(&w.out, bytes.TrimSpace(value), "", w.indent); err != nil {
		return err
	}
	w.out.WriteByte('\n')
	if w.out.Len() > maxOutput {
		return taskhost.InvalidInputf("the results have more than %d MiB", maxOutput>>20)
	}
	return nil
}
