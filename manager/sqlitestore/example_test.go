package sqlitestore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// shout stands for a host with plugins.
type shout struct{}

func (shout) Run(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
	return abi.Result{Output: append(call.Input, '!')}, nil
}

// A task that was submitted before a restart runs after it.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tasks")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cfg := sqlitestore.Config{Path: filepath.Join(dir, "tasks.db")}

	store, err := sqlitestore.Open(ctx, cfg)
	if err != nil {
		log.Fatal(err)
	}
	m, err := manager.New(shout{}, manager.Config{Store: store})
	if err != nil {
		log.Fatal(err)
	}
	task, err := m.Submit(ctx, manager.ProcessorTask("hello", "shout")) // it was not started: the task waits
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Close(ctx); err != nil {
		log.Fatal(err)
	}

	if store, err = sqlitestore.Open(ctx, cfg); err != nil {
		log.Fatal(err)
	}
	if m, err = manager.New(shout{}, manager.Config{Store: store}); err != nil {
		log.Fatal(err)
	}
	if err := m.Start(ctx); err != nil {
		log.Fatal(err)
	}
	if task, err = m.Result(ctx, task.ID); err != nil {
		log.Fatal(err)
	}
	fmt.Println(task.Status, string(task.Output))
	if err := m.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	if err := store.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: completed hello!
}
