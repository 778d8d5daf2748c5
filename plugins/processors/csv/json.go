package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/taskhost/taskhost/plugins/internal/config"
)

// toJSON makes each row an object, its keys in the order of the columns: in a list, or one on each line.
func toJSON(source []byte) ([]byte, error) {
	t, err := open(source)
	if err != nil {
		return nil, err
	}
	types, err := config.Flag("types", true)
	if err != nil {
		return nil, err
	}
	lines, err := config.Flag("lines", false)
	if err != nil {
		return nil, err
	}
	keys := make([][]byte, len(t.columns))
	for i, name := range t.columns {
		keys[i] = append(appendString(nil, name), ':')
	}
	b := make([]byte, 0, 2*len(source))
	open, between, end := "[\n", ",\n", "\n]\n"
	if lines {
		open, between, end = "", "\n", "\n"
	}
	err = t.each(func(row []string) error {
		if t.rows == 1 {
			b = append(b, open...)
		} else {
			b = append(b, between...)
		}
		b = append(b, '{')
		for i, field := range row {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(append(b, keys[i]...), field, types)
		}
		b = append(b, '}')
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case t.rows > 0:
		b = append(b, end...)
	case !lines:
		b = append(b, "[]\n"...)
	}
	return b, nil
}

// appendValue writes a field, with types as what it is.
func appendValue(b []byte, field string, types bool) []byte {
	if types {
		switch {
		case field == "":
			return append(b, "null"...)
		case field == "true", field == "false", isNumber(field):
			return append(b, field...)
		}
	}
	return appendString(b, field)
}

// isNumber tells whether a field is a number that JSON writes in the same way, and reads as the same: no leading zeros (they are codes),
// no more digits than a reader keeps.
func isNumber(field string) bool {
	if len(field) > 24 || field[0] != '-' && (field[0] < '0' || field[0] > '9') || !json.Valid([]byte(field)) {
		return false
	}
	if !strings.ContainsAny(field, ".eE") {
		n, err := strconv.ParseInt(field, 10, 64)
		return err == nil && n <= 1<<53 && n >= -1<<53 && field != "-0"
	}
	f, err := strconv.ParseFloat(field, 64)
	return err == nil && !math.IsInf(f, 0)
}

func appendString(b []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string
	}
	return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}
