package main

import (
	"context"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// Lengths of ids, in bytes.
const (
	idLength      = 36 // of a whole one
	shortIDLength = 12 // of what tables show: the end, which is random
	minIDLength   = 6  // of what a user has to type
)

// shortID is an id as tables show it.
func shortID(id string) string { return id[max(0, len(id)-shortIDLength):] }

// findTasks completes ids that were typed: whole, or the beginning or the end of just one task's.
func findTasks(ctx context.Context, m lister, typed []string) ([]string, error) {
	found := slices.Clone(typed)
	parts := map[string][]string{}
	for _, id := range typed {
		switch {
		case len(id) >= idLength:
		case len(id) < minIDLength:
			return nil, usagef("%q is too short for a task's id; write at least %d characters of its beginning or its end", id, minIDLength)
		default:
			parts[strings.ToLower(id)] = nil
		}
	}
	if len(parts) == 0 {
		return found, nil
	}
	err := eachTask(ctx, m, manager.Filter{}, func(t *manager.Task) error {
		for part := range parts {
			if strings.HasPrefix(t.ID, part) || strings.HasSuffix(t.ID, part) {
				parts[part] = append(parts[part], t.ID)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, id := range typed {
		if len(id) >= idLength {
			continue
		}
		switch ids := parts[strings.ToLower(id)]; len(ids) {
		case 0:
			return nil, abi.Errorf(abi.CodeNotFound, "there is no task %q; taskhost tasks ls shows what there is", id)
		case 1:
			found[i] = ids[0]
		default:
			return nil, usagef("%q could be %d tasks, such as %s and %s; write more of the id", id, len(ids), ids[0], ids[1])
		}
	}
	return found, nil
}

// eachTask calls f for every task that matches, newest first, without its bytes.
func eachTask(ctx context.Context, m lister, f manager.Filter, do func(t *manager.Task) error) error {
	f.Limit = manager.MaxPage
	for {
		page, err := m.List(ctx, f)
		if err != nil {
			return err
		}
		for i := range page.Tasks {
			if err := do(&page.Tasks[i]); err != nil {
				return err
			}
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			return nil
		}
	}
}
