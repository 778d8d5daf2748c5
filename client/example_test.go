package client_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/manager"
)

// plugins stands for a *host.Host that has two plugins.
type plugins struct{}

func (plugins) Run(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
	switch call.Plugin {
	case "upper":
		return abi.Result{Output: bytes.ToUpper(call.Input), Function: "process"}, nil
	case "trim":
		return abi.Result{Output: bytes.TrimSpace(call.Input), Function: "process"}, nil
	}
	return abi.Result{}, &abi.Error{Code: abi.CodeNotFound, Plugin: call.Plugin, Message: "there is no such plugin"}
}

// exampleServer is a server in this process; what taskhost serve ties together.
func exampleServer(ctx context.Context) (address string, stop func()) {
	h, err := host.New(ctx, host.Config{})
	if err != nil {
		panic(err)
	}
	events := httpapi.NewEvents(httpapi.EventsConfig{})
	m, err := manager.New(plugins{}, manager.Config{OnEvent: events.TaskEvent})
	if err != nil {
		panic(err)
	}
	if err := m.Start(ctx); err != nil {
		panic(err)
	}
	api, err := httpapi.New(httpapi.Config{Tasks: m, Host: h, Events: events})
	if err != nil {
		panic(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.ServeHTTP(w, r.WithContext(auth.With(r.Context(), auth.Principal{ID: "local", Role: auth.RoleAdmin})))
	}))
	return s.URL, func() {
		events.Close()
		s.Close()
		api.Close()
		_ = m.Stop(ctx)
		_ = h.Close(ctx)
	}
}

// A task is submitted and its result waited for; one that fails says why.
func Example() {
	ctx := context.Background()
	address, stop := exampleServer(ctx) // elsewhere: the address of a taskhost serve
	defer stop()

	c, err := client.New(client.Config{BaseURL: address})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	t, err := c.Submit(ctx, manager.ProcessorTask("  hello ", "trim", "upper"), client.SubmitOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	t, err = c.Result(ctx, t.ID)
	fmt.Printf("%s: %s %v\n", t.Spec.Name, t.Output, err)

	t, err = c.Submit(ctx, manager.ProcessorTask("hello", "uper"), client.SubmitOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Result(ctx, t.ID)
	fmt.Println(abi.CodeOf(err), abi.AsError(err).Message)
	// Output:
	// trim,upper: HELLO <nil>
	// not_found there is no such plugin
}

// Events begin with EventReset, when whoever shows tasks reads them, and so begin again after a loss.
func ExampleClient_Events() {
	ctx := context.Background()
	address, stop := exampleServer(ctx)
	defer stop()
	c, err := client.New(client.Config{BaseURL: address})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	for e, err := range c.Events(ctx, manager.Filter{Queue: "mail"}) {
		switch {
		case err != nil:
			fmt.Println(err)
			return
		case e.Kind == client.EventReset:
			page, err := c.List(ctx, manager.Filter{Queue: "mail"})
			fmt.Println(len(page.Tasks), "tasks", err)
			spec := manager.ProcessorTask("hello", "upper")
			spec.Queue = "mail"
			_, _ = c.Submit(ctx, spec, client.SubmitOptions{})
		case e.Kind == manager.EventFinish:
			fmt.Println(e.Task.Spec.Name, e.Task.Status)
			return
		}
	}
	// Output:
	// 0 tasks <nil>
	// upper completed
}
