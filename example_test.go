package taskhost_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/monitor"
)

// A host runs the plugins of a folder, a manager the tasks on them. `make plugins` fills the folder.
func Example() {
	ctx := context.Background()
	h, err := host.New(ctx, host.Config{Dir: "build/plugins"})
	check(err)
	m, err := manager.New(h, manager.Config{MaxConcurrent: 2})
	check(err)
	check(m.Start(ctx))

	doc, err := m.Submit(ctx, manager.ProcessorTask("# Hi", "text", "markdown"))
	check(err)
	act, err := m.Submit(ctx, manager.AgentTask("agent", "status", map[string]any{"verbose": true}))
	check(err)

	res, err := m.Result(ctx, doc.ID)
	check(err)
	fmt.Printf("%s", res.Output)
	check(m.Cancel(ctx, act.ID)) // a task that has ended stays as it is

	check(m.Stop(ctx))
	check(h.Close(ctx))
	// Output:
	// <h1 id="hi">Hi</h1>
}

// The acceptance test of the requirement that taskhost grew from: a manager with two workers and a monitor; a content goes through two
// processors while an agent acts; both are watched, and both have results of the right kind.
func Example_taskSystem() {
	ctx := context.Background()
	registry := prometheus.NewRegistry()
	mon, err := monitor.New(monitor.Config{Registerer: registry})
	check(err)
	h, err := host.New(ctx, host.Config{Dir: "build/plugins", OnEvent: mon.HostEvent})
	check(err)
	m, err := manager.New(h, manager.Config{MaxConcurrent: 2, OnEvent: mon.TaskEvent})
	check(err)
	check(m.Start(ctx))

	processor, err := m.Submit(ctx, manager.ProcessorTask("test content", "text", "markdown"))
	check(err)
	spec := manager.AgentTask("agent/test_agent", "status", nil)
	agent, err := m.Submit(ctx, spec)
	check(err)

	content, err := m.Result(ctx, processor.ID)
	check(err)
	fmt.Printf("%s %s", content.Status, content.Output)
	action, err := m.Result(ctx, agent.ID)
	check(err)
	var answer map[string]any
	check(json.Unmarshal(action.Output, &answer))
	fmt.Println(action.Status, action.Spec.Labels["agent_id"], answer["status"])

	check(m.Stop(ctx))
	check(h.Close(ctx))
	families, err := registry.Gather()
	check(err)
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "taskhost_task") {
			fmt.Println(name)
		}
	}
	// Output:
	// completed <p>test content</p>
	// completed test_agent ok
	// taskhost_task_duration_seconds
	// taskhost_task_operations_total
	// taskhost_tasks_total
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
