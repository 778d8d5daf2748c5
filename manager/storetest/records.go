package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func records(t *testing.T, s manager.Store) {
	put := func(code abi.Code, name string, revision uint64, data string) {
		t.Helper()
		r := manager.Record{Kind: "k", Name: name, Revision: revision}
		if data != "" {
			r.Data = []byte(data)
		}
		wantCode(t, s.Put(t.Context(), r), code)
	}
	put("", "a", 0, "1")
	put(abi.CodeConflict, "a", 0, "2")
	put("", "a", 1, "2")
	put(abi.CodeConflict, "a", 1, "3")
	if r, err := s.Record(t.Context(), "k", "a"); err != nil || string(r.Data) != "2" || r.Revision != 2 {
		t.Fatalf("got %+v, %v", r, err)
	}
	_, err := s.Record(t.Context(), "other", "a")
	wantCode(t, err, abi.CodeNotFound)
	for n := range 5 {
		put("", fmt.Sprint("b", n), 0, "x")
	}
	var names []string
	for after := ""; ; {
		page, err := s.Records(t.Context(), "k", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			names = append(names, r.Name)
		}
		after = names[len(names)-1]
	}
	if !slices.Equal(names, []string{"a", "b0", "b1", "b2", "b3", "b4"}) {
		t.Fatalf("records %v", names)
	}
	put("", "a", 2, "")
	_, err = s.Record(t.Context(), "k", "a")
	wantCode(t, err, abi.CodeNotFound)
	put("", "a", 0, "again")
}

func recordsWithTasks(t *testing.T, s manager.Store) {
	rec := manager.Record{Kind: "k", Name: "n", Data: []byte("1")}
	if err := s.Create(t.Context(), []manager.Task{newTask(1)}, manager.CreateOptions{Records: []manager.Record{rec}}); err != nil {
		t.Fatal(err)
	}
	err := s.Create(t.Context(), []manager.Task{newTask(2)}, manager.CreateOptions{Records: []manager.Record{rec}})
	if wantCode(t, err, abi.CodeConflict); abi.AsError(err).Task != "" {
		t.Errorf("the conflict of a record names a task: %v", err)
	}
	_, err = s.Get(t.Context(), newTask(2).ID)
	wantCode(t, err, abi.CodeNotFound)

	task, l := claim(t, s, ttl)
	task = save(t, s, running(task, time.Now()), l)
	_, err = s.Save(t.Context(), completed(task, time.Now()), l, rec) // revision 0 is old
	wantCode(t, err, abi.CodeConflict)
	get(t, s, task)
	rec.Revision, rec.Data = 1, []byte("2")
	if _, err := s.Save(t.Context(), completed(task, time.Now()), l, rec); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Record(t.Context(), "k", "n"); err != nil || string(r.Data) != "2" || r.Revision != 2 {
		t.Fatalf("got %+v, %v", r, err)
	}
}
