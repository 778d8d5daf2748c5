package manager_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runner makes a Runner of a function.
type runner func(ctx context.Context, call abi.Call, report func(abi.Progress)) (abi.Result, error)

func (f runner) Run(ctx context.Context, call abi.Call, report func(abi.Progress)) (abi.Result, error) {
	return f(ctx, call, report)
}

// echo is a runner whose output is its input.
var echo = runner(func(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
	return abi.Result{Output: call.Input, Function: call.Function}, nil
})

// start makes a manager, starts it, and stops it when the test ends.
func start(t testing.TB, r manager.Runner, cfg manager.Config) *manager.Manager {
	t.Helper()
	m, err := manager.New(r, cfg)
	if err == nil {
		err = m.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = m.Stop(ctx)
	})
	return m
}
