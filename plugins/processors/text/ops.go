package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/taskhost/taskhost/plugins/internal/place"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// operation changes a text. Those that take no number get 0.
type operation struct {
	run      func(text string, n int) string
	number   bool // takes one: "wrap=72"
	standard int  // without one; 0: it has to be given
	most     int  // the largest
}

// A sandbox is put back to the state after its start before each call, so what is made and warmed up here is made once, not once a call.
var (
	operations = newOperations()
	_          = normalize("e\u0301")
)

func newOperations() map[string]operation {
	plain := func(f func(string) string) operation {
		return operation{run: func(text string, _ int) string { return f(text) }}
	}
	const lines = 1_000_000_000
	return map[string]operation{
		"normalize": plain(normalize),
		"upper":     plain(strings.ToUpper),
		"lower":     plain(strings.ToLower),
		"title":     plain(title),
		"trim":      plain(trimLines),
		"dedupe":    plain(dedupe),
		"sort":      plain(sortLines),
		"reverse":   plain(reverseLines),
		"number":    plain(numberLines),
		"nonblank":  plain(dropBlank),
		"squeeze":   plain(squeeze),
		"dedent":    plain(dedent),
		"unaccent":  plain(unaccent),
		"slug":      plain(slug),
		"count":     plain(count),
		"indent":    {indent, true, 4, 1000},
		"wrap":      {wrap, true, 72, 10_000},
		"truncate":  {truncate, true, 0, lines},
		"head":      {head, true, 10, lines},
		"tail":      {tail, true, 10, lines},
	}
}

// maxOps bounds how many operations one call can name.
const maxOps = 32

type step struct {
	name string
	operation
	n int
}

// apply runs the operations that a list such as "normalize,wrap=72" names, one after the other.
func apply(text, list string) (string, error) {
	steps, err := parse(list)
	if err != nil {
		return "", taskhost.InvalidInput(err)
	}
	if err := place.UTF8([]byte(text)); err != nil {
		return "", err
	}
	for i, s := range steps {
		taskhost.Progress(i, len(steps), s.name)
		text = s.run(text, s.n)
	}
	taskhost.Progress(len(steps), len(steps), "")
	return text, nil
}

func parse(list string) ([]step, error) {
	names := strings.Split(list, ",")
	if len(names) > maxOps {
		return nil, fmt.Errorf("config ops: %d operations are more than %d", len(names), maxOps)
	}
	steps := make([]step, 0, len(names))
	for _, item := range names {
		name, number, given := strings.Cut(strings.TrimSpace(item), "=")
		op, ok := operations[name]
		s := step{name, op, op.standard}
		switch {
		case !ok:
			return nil, fmt.Errorf("config ops: there is no operation %q; there are %s", name,
				strings.Join(slices.Sorted(maps.Keys(operations)), ", "))
		case given && !op.number:
			return nil, fmt.Errorf("config ops: %s takes no number", name)
		case given:
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || n > op.most {
				return nil, fmt.Errorf("config ops: %s=%s: give a number from 1 to %d", name, number, op.most)
			}
			s.n = n
		case op.number && op.standard == 0:
			return nil, fmt.Errorf("config ops: %s needs a number: %s=80", name, name)
		}
		steps = append(steps, s)
	}
	return steps, nil
}
