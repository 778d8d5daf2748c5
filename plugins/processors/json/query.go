package main

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/itchyny/gojq"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/values"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// runQuery runs config query on each value and writes its results, each on lines of its own.
func runQuery(source []byte) ([]byte, error) {
	q, err := newQuery()
	if err != nil {
		return nil, err
	}
	w, err := newWriter()
	if err != nil {
		return nil, err
	}
	if w.raw, err = config.Flag("raw", false); err != nil {
		return nil, err
	}
	slurp, err := config.Flag("slurp", false)
	if err != nil {
		return nil, err
	}
	r, err := values.Read(source)
	if err != nil {
		return nil, err
	}
	all := []any{}
	for n := 1; ; n++ {
		var value any
		_, err := r.Next(&value)
		switch {
		case errors.Is(err, io.EOF) && slurp:
			_, err := q.run(all, w)
			return w.out.Bytes(), err
		case errors.Is(err, io.EOF):
			return w.out.Bytes(), nil
		case err != nil:
			return nil, err
		case slurp:
			all = append(all, value)
		default:
			if halted, err := q.run(value, w); halted || err != nil {
				return w.out.Bytes(), err
			}
		}
		r.Progress(n, " values")
	}
}

// query is a compiled query with the values of its variables.
type query struct {
	code *gojq.Code
	args []any
}

func newQuery() (*query, error) {
	text, err := config.Need("query", "'.items[] | .name'")
	if err != nil {
		return nil, err
	}
	parsed, err := gojq.Parse(text)
	if wrong, ok := errors.AsType[*gojq.ParseError](err); ok {
		column := 1 + utf8.RuneCountInString(text[:max(0, min(wrong.Offset-len(wrong.Token), len(text)))])
		return nil, taskhost.InvalidInputf("config query, column %d: %v", column, wrong)
	}
	if err != nil {
		return nil, taskhost.InvalidInputf("config query: %v", err)
	}
	var args map[string]any
	if text, ok := taskhost.Config("args"); ok {
		if err := values.One([]byte(text), &args); err != nil || args == nil {
			return nil, taskhost.InvalidInputf(`config args: give a JSON object, as in {"name": "value"}`)
		}
	}
	q := &query{}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(args)) {
		names = append(names, "$"+name)
		q.args = append(q.args, args[name])
	}
	if q.code, err = gojq.Compile(parsed, gojq.WithVariables(names)); err != nil {
		return nil, taskhost.InvalidInputf("config query: %v", err)
	}
	return q, nil
}

// run writes the results for one value. The query can halt: then there is no other value to run it on.
func (q *query) run(value any, w *writer) (halted bool, err error) {
	results := q.code.Run(value, q.args...)
	for {
		result, ok := results.Next()
		if !ok {
			return false, nil
		}
		if err, ok := result.(error); ok {
			if halt, ok := errors.AsType[*gojq.HaltError](err); ok && halt.Value() == nil {
				return true, nil
			}
			return false, taskhost.InvalidInputf("query: %s", strings.TrimPrefix(err.Error(), "error: "))
		}
		text, err := gojq.Marshal(result)
		if err != nil {
			return false, err
		}
		if err := w.write(json.RawMessage(text)); err != nil {
			return false, err
		}
	}
}
