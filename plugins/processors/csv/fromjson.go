package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/place"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// fromJSON makes a table of a list of objects, or of objects one after the other. The columns are those that config columns names, else
// all keys in the order in which they are first seen; for that the input is read twice.
func fromJSON(source []byte) ([]byte, error) {
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	comma, err := delimiter()
	if err != nil {
		return nil, err
	}
	header, err := config.Flag("header", true)
	if err != nil {
		return nil, err
	}
	escape, err := config.Flag("escape_formulas", false)
	if err != nil {
		return nil, err
	}
	columns, err := fields("columns")
	if err != nil {
		return nil, err
	}
	if columns == nil {
		if columns, err = keysOf(source); err != nil {
			return nil, err
		}
	}
	index := make(map[string]int, len(columns))
	for i, name := range columns {
		index[name] = i
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = comma
	if header && len(columns) > 0 {
		_ = w.Write(columns) // into memory
	}
	row := make([]string, len(columns))
	err = eachObject(source, func(object []member) error {
		clear(row)
		for _, m := range object {
			if i, ok := index[m.key]; ok {
				row[i] = cell(m.value, escape)
			}
		}
		if len(row) > 0 {
			_ = w.Write(row)
		}
		return nil
	})
	w.Flush()
	return b.Bytes(), err
}

// keysOf lists the keys of all objects.
func keysOf(source []byte) ([]string, error) {
	var columns []string
	seen := map[string]bool{}
	err := eachObject(source, func(object []member) error {
		for _, m := range object {
			if !seen[m.key] {
				seen[m.key] = true
				columns = append(columns, m.key)
			}
		}
		if len(columns) > maxColumns {
			return taskhost.InvalidInputf("there are more than %d different keys; name those that are wanted in config columns", maxColumns)
		}
		return nil
	})
	return columns, err
}

// cell is a value as a field. With escape, text that a spreadsheet would take for a formula gets a ' before it.
func cell(value json.RawMessage, escape bool) string {
	switch value[0] {
	case 'n':
		return ""
	case '"':
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			panic(err) // it was decoded before
		}
		if escape && s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
			return "'" + s
		}
		return s
	case '{', '[':
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			panic(err)
		}
		return compact.String()
	}
	return string(value)
}

// member is a key of an object with its value.
type member struct {
	key   string
	value json.RawMessage
}

// eachObject calls f with each object, its members in their order.
func eachObject(source []byte, f func([]member) error) error {
	d := json.NewDecoder(bytes.NewReader(source))
	list := bytes.HasPrefix(bytes.TrimLeft(source, " \t\r\n"), []byte("["))
	if list {
		if _, err := d.Token(); err != nil {
			return wrongJSON(source, d, err)
		}
	}
	var object []member
	for n := 1; d.More(); n++ {
		start := d.InputOffset()
		token, err := d.Token()
		if err != nil {
			return wrongJSON(source, d, err)
		}
		if token != json.Delim('{') {
			return taskhost.InvalidInputf("%s: value %d is not an object", place.Of(source, at(source, start)), n)
		}
		if object, err = members(d, object[:0]); err != nil {
			return wrongJSON(source, d, err)
		}
		if err := f(object); err != nil {
			return err
		}
		if n&1023 == 0 {
			taskhost.ProgressFraction(float64(d.InputOffset())/float64(len(source)), strconv.Itoa(n)+" rows")
		}
	}
	if list {
		if _, err := d.Token(); err != nil {
			return wrongJSON(source, d, err)
		}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return taskhost.InvalidInputf("%s: something follows the list", place.Of(source, at(source, d.InputOffset())))
	}
	return nil
}

func members(d *json.Decoder, found []member) ([]member, error) {
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		name, _ := key.(string) // a key is one
		found = append(found, member{name, value})
	}
	_, err := d.Token()
	return found, err
}

// at is where the next value begins.
func at(source []byte, offset int64) int {
	rest := source[min(int(offset), len(source)):]
	return len(source) - len(bytes.TrimLeft(rest, " \t\r\n,"))
}

func wrongJSON(source []byte, d *json.Decoder, err error) error {
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		return taskhost.InvalidInputf("%s: %v", place.Of(source, int(wrong.Offset)-1), wrong)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return taskhost.InvalidInputf("%s: the JSON ends early", place.Of(source, len(source)))
	}
	return taskhost.InvalidInputf("%s: %v", place.Of(source, int(d.InputOffset())), err)
}

// fields is a value in which names are between commas, in quotes if they have some themselves; nil when there are none.
func fields(key string) ([]string, error) {
	text := config.Text(key, "")
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	r := csv.NewReader(strings.NewReader(text))
	r.TrimLeadingSpace = true
	row, err := r.Read()
	if err != nil {
		return nil, taskhost.InvalidInputf("config %s: %q is not a list of columns with commas between them", key, text)
	}
	for i := range row {
		row[i] = strings.TrimSpace(row[i])
	}
	return slices.DeleteFunc(row, func(name string) bool { return name == "" }), nil
}
