package main

import (
	"bytes"
	"slices"
	"strings"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// pick is a column of the output.
type pick struct {
	column int
	name   string
}

// selectColumns keeps the columns that config columns names, in its order: "name", "#2", "name=new name"; or all but some: "-name".
func selectColumns(source []byte) ([]byte, error) {
	t, err := open(source)
	if err != nil {
		return nil, err
	}
	list, err := fields("columns")
	if err != nil {
		return nil, err
	}
	if list == nil {
		return nil, taskhost.InvalidInputf("config columns is missing; set it, as in columns=name,date")
	}
	picks, err := t.picks(list)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := t.writer(&b)
	out := make([]string, len(picks))
	if t.hasHead && len(t.columns) > 0 {
		for i, p := range picks {
			out[i] = p.name
		}
		_ = w.Write(out) // into memory
	}
	err = t.each(func(row []string) error {
		for i, p := range picks {
			out[i] = row[p.column]
		}
		return w.Write(out)
	})
	w.Flush()
	return b.Bytes(), err
}

func (t *table) picks(list []string) ([]pick, error) {
	if len(t.columns) == 0 {
		return nil, nil
	}
	if slices.ContainsFunc(list, t.isDrop) {
		return t.allBut(list)
	}
	var picks []pick
	for _, item := range list {
		name, as := item, ""
		if !slices.Contains(t.columns, item) {
			name, as, _ = strings.Cut(item, "=")
		}
		i, err := t.column("columns", name)
		if err != nil {
			return nil, err
		}
		if as == "" {
			as = t.columns[i]
		}
		picks = append(picks, pick{i, as})
	}
	return picks, nil
}

// isDrop tells whether an item is "-name".
func (t *table) isDrop(item string) bool {
	return strings.HasPrefix(item, "-") && !slices.Contains(t.columns, item)
}

func (t *table) allBut(list []string) ([]pick, error) {
	drop := map[int]bool{}
	for _, item := range list {
		if !t.isDrop(item) {
			return nil, taskhost.InvalidInputf("config columns: %q is to be kept and others are to be left out; give only the one or the other", item)
		}
		i, err := t.column("columns", item[1:])
		if err != nil {
			return nil, err
		}
		drop[i] = true
	}
	var picks []pick
	for i, name := range t.columns {
		if !drop[i] {
			picks = append(picks, pick{i, name})
		}
	}
	return picks, nil
}
