package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/place"
	"github.com/taskhost/taskhost/plugins/internal/values"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// fromJSON makes a table of a list of objects, or of objects one after the other. The columns are those that config columns names, else
// all keys in the order in which they are first seen; for that the input is read twice.
func fromJSON(source []byte) ([]byte, error) {
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
	r, err := values.Read(source)
	if err != nil {
		return err
	}
	list := bytes.HasPrefix(bytes.TrimLeft(r.Source, " \t\r\n"), []byte("["))
	if list {
		if _, err := r.Token(); err != nil {
			return r.Wrong(err)
		}
	}
	var object []member
	for n := 1; r.More(); n++ {
		start := r.At()
		token, err := r.Token()
		if err != nil {
			return r.Wrong(err)
		}
		if token != json.Delim('{') {
			return taskhost.InvalidInputf("%s: value %d is not an object", place.Of(r.Source, start), n)
		}
		if object, err = members(r, object[:0]); err != nil {
			return r.Wrong(err)
		}
		if err := f(object); err != nil {
			return err
		}
		r.Progress(n, " rows")
	}
	if list {
		if _, err := r.Token(); err != nil {
			return r.Wrong(err)
		}
	}
	return r.End()
}

func members(d *values.Reader, found []member) ([]member, error) {
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
