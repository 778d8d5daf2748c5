// Package values reads JSON values, one after the other, as they stand in a file of JSON Lines, or the one in a document.
package values

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"

	"github.com/taskhost/taskhost/plugins/internal/place"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// Reader reads values. Its errors are invalid input and say where.
type Reader struct {
	Source []byte // without a byte order mark
	*json.Decoder
}

// Read returns a reader of the values in source, which has to be UTF-8. Numbers that go into an any are json.Number.
func Read(source []byte) (*Reader, error) {
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	if err := place.UTF8(source); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(source))
	d.UseNumber()
	return &Reader{source, d}, nil
}

// Next decodes the next value and returns where it begins. At the end it returns io.EOF.
func (r *Reader) Next(value any) (start int, err error) {
	start = r.At()
	if err := r.Decode(value); err != nil {
		if errors.Is(err, io.EOF) {
			return start, io.EOF
		}
		return start, r.Wrong(err)
	}
	return start, nil
}

// One decodes the only value of a document.
func One(source []byte, value any) error {
	r, err := Read(source)
	if err != nil {
		return err
	}
	switch _, err := r.Next(value); {
	case errors.Is(err, io.EOF):
		return taskhost.InvalidInputf("there is no JSON value")
	case err != nil:
		return err
	}
	return r.End()
}

// End is an error if something follows.
func (r *Reader) End() error {
	if at := r.At(); at < len(r.Source) {
		return taskhost.InvalidInputf("%s: something follows the JSON value", place.Of(r.Source, at))
	}
	return nil
}

// At is where the next value or key begins.
func (r *Reader) At() int {
	rest := r.Source[min(int(r.InputOffset()), len(r.Source)):]
	return len(r.Source) - len(bytes.TrimLeft(rest, " \t\r\n,:"))
}

// Progress reports how much was read. It is cheap: it does so each 256th time.
func (r *Reader) Progress(n int, what string) {
	if n&255 == 0 && len(r.Source) > 0 {
		taskhost.ProgressFraction(float64(r.InputOffset())/float64(len(r.Source)), strconv.Itoa(n)+what)
	}
}

// Wrong says where the decoder's error is.
func (r *Reader) Wrong(err error) error {
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok && int(wrong.Offset) <= len(r.Source) && wrong.Error() != "unexpected end of JSON input" {
		return taskhost.InvalidInputf("%s: %v", place.Of(r.Source, int(wrong.Offset)-1), wrong)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return taskhost.InvalidInputf("%s: the JSON ends early", place.Of(r.Source, len(r.Source)))
	}
	return taskhost.InvalidInputf("%s: %v", place.Of(r.Source, int(r.InputOffset())), err)
}

// Numbers replaces each json.Number in a value: by an int where it is one, else by a float64.
func Numbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil || math.IsInf(f, 0) {
			return v.String()
		}
		return f
	case []any:
		for i := range v {
			v[i] = Numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = Numbers(v[k])
		}
	}
	return value
}
