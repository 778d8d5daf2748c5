package manager_test

import (
	"context"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// slowGet is a store whose first Get waits for something to happen.
type slowGet struct {
	manager.Store
	first chan func()
}

func (s *slowGet) Get(ctx context.Context, id string) (manager.Task, error) {
	select {
	case before := <-s.first:
		before()
	default:
	}
	return s.Store.Get(ctx, id)
}

// TestCancelOfATaskThatBeginsMeanwhile: a cancel that finds no attempt here, and then a running task in the store, stops the attempt
// that began in between, and does not leave it to the lease's next extension.
func TestCancelOfATaskThatBeginsMeanwhile(t *testing.T) {
	r := newBlocker()
	store := &slowGet{manager.NewMemoryStore(), make(chan func(), 1)}
	m, err := manager.New(r, manager.Config{Store: store, LeaseTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop(context.Background()) })
	task := submit(t, m, manager.ProcessorTask("x", "text"))
	store.first <- func() {
		if err := m.Start(context.Background()); err != nil {
			t.Error(err)
		}
		<-r.began
	}
	if err := m.Cancel(t.Context(), task.ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if done, err := m.Result(ctx, task.ID); done.Status != manager.StatusCancelled || abi.CodeOf(err) != abi.CodeCancelled {
		t.Errorf("%s, %v", done.Status, err)
		r.letGo <- struct{}{}
	}
}
