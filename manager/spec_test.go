package manager_test

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func noFunc(context.Context, func(abi.Progress)) ([]byte, error) { return nil, nil }

func TestSubmitPreparesSpec(t *testing.T) {
	m, err := manager.New(echo, manager.Config{Timeout: time.Hour, Retry: manager.Retry{MaxAttempts: 2}})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("s", 90)
	for _, c := range []struct {
		spec                    manager.Spec
		name, kind, step, input string
		label                   string
	}{
		{manager.ProcessorTask("# Hi", "text:wrap", "markdown"), "text:wrap,markdown", "processor", "text:wrap", "# Hi", ""},
		{manager.ProcessorTask("", "text"), "text", "processor", "text", "", ""},
		{manager.ProcessorTask("", long, long), "processor", "processor", long, "", ""},
		{manager.AgentTask("agent", "status", map[string]any{"verbose": true}), "agent:status", "agent", "agent:status", `{"verbose":true}`, ""},
		{manager.AgentTask("agent/7", "status", nil), "agent:status", "agent", "agent:status", `{}`, "7"},
		{manager.AgentTask("agent/a:b/c", "", nil), "agent:b/c", "agent", "agent:b/c", `{}`, "a"},
		{manager.AgentTask("agent/a:b", "status", nil), "agent:status", "agent", "agent:status", `{}`, "a:b"},
		{manager.Spec{Steps: []manager.Step{{Plugin: "agent:status"}}, Args: map[string]any{}}, "agent:status", "agent", "agent:status", `{}`, ""},
		{manager.Spec{Kind: "agent", Steps: []manager.Step{{Plugin: "a"}}, Input: []byte(" {\"a\":1}\n")}, "a", "agent", "a", " {\"a\":1}\n", ""},
		{manager.Spec{Func: noFunc}, "func", "func", "", "", ""},
	} {
		task, err := m.Submit(t.Context(), c.spec)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		s := task.Spec
		if s.Name != c.name || string(s.Kind) != c.kind || string(s.Input) != c.input || s.Labels[manager.LabelAgentID] != c.label {
			t.Errorf("got %+v, want %+v", s, c)
		}
		if len(s.Steps) > 0 && s.Steps[0].String() != c.step {
			t.Errorf("step %v, want %s", s.Steps[0], c.step)
		}
		if s.Timeout != time.Hour || s.Retry.MaxAttempts != 2 || s.Retry.Backoff != time.Second || s.Content != "" || s.Args != nil {
			t.Errorf("%s: %+v", c.name, s)
		}
		again, err := m.Submit(t.Context(), s)
		if err != nil || s.Func == nil && !reflect.DeepEqual(again.Spec, s) {
			t.Errorf("a task's spec, submitted again: %+v, %v", again.Spec, err)
		}
	}
}

func TestSubmitRefusesBadSpec(t *testing.T) {
	m, err := manager.New(echo, manager.Config{MaxInput: 100})
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*manager.Spec)) manager.Spec {
		s := manager.ProcessorTask("x", "text")
		change(&s)
		return s
	}
	long := strings.Repeat("x", 200)
	many := make(map[string]string)
	for i := range 100 {
		many[strings.Repeat("k", i+1)] = "v"
	}
	for _, c := range []struct {
		spec manager.Spec
		want string // a part of the message
	}{
		{manager.ProcessorTask("x"), "at least one step"},
		{manager.ProcessorTask("x", "text:"), `names no function`},
		{manager.ProcessorTask("x", "../text"), `is not a step`},
		{manager.ProcessorTask("x", "text", "a/b"), `step 2`},
		{manager.ProcessorTask("x", "text:"+strings.Repeat("f", 300)), "cannot be a function"},
		{manager.ProcessorTask("x", make([]string, 65)...), "65 steps"},
		{manager.ProcessorTask(long, "text"), "200 bytes; at most 100"},
		{manager.AgentTask("agent/", "status", nil), "is not an agent"},
		{manager.AgentTask("/7", "status", nil), "is not an agent"},
		{manager.AgentTask("agent/7:", "", nil), "names no function"},
		{manager.AgentTask("a:b", "c", nil), "one too many"},
		{manager.AgentTask("agent/"+long, "status", nil), "label agent_id"},
		{manager.AgentTask("agent", "status", map[string]any{"f": noFunc}), "no JSON form"},
		{manager.FuncTask("f", nil), "is nil"},
		{manager.Spec{}, "at least one step"},
		{with(func(s *manager.Spec) { s.Kind = "job" }), "no kind of task"},
		{with(func(s *manager.Spec) { s.Func = noFunc }), "no function"},
		{with(func(s *manager.Spec) { s.Input = []byte("y") }), "not several"},
		{with(func(s *manager.Spec) { s.Args, s.Content = map[string]any{}, "" }), "not args"},
		{with(func(s *manager.Spec) { s.Kind = "agent" }), "not content"},
		{with(func(s *manager.Spec) { s.Kind, s.Content, s.Input = "agent", "", []byte("[1]") }), "JSON object"},
		{with(func(s *manager.Spec) { s.Kind, s.Func, s.Steps = "func", noFunc, nil }), "no input"},
		{with(func(s *manager.Spec) { s.Kind, s.Func = "func", noFunc }), "no steps"},
		{with(func(s *manager.Spec) { s.Name = long }), "cannot be a name"},
		{with(func(s *manager.Spec) { s.Name = "a\nb" }), "cannot be a name"},
		{with(func(s *manager.Spec) { s.Labels = many }), "100 labels"},
		{with(func(s *manager.Spec) { s.Labels = map[string]string{"a b": ""} }), "cannot name a label"},
		{with(func(s *manager.Spec) { s.Labels = map[string]string{"a": long} }), "no plain text"},
		{with(func(s *manager.Spec) { s.Steps[0].Config = many }), "100 entries"},
		{with(func(s *manager.Spec) { s.Steps[0].Timeout = -1 }), "timeout of text"},
		{with(func(s *manager.Spec) { s.Timeout = -1 }), "the timeout is"},
		{with(func(s *manager.Spec) { s.StepTimeout = 1e18 }), "step timeout"},
		{with(func(s *manager.Spec) { s.Retry.MaxAttempts = 101 }), "max attempts is 101"},
		{with(func(s *manager.Spec) { s.Retry.Backoff = -1 }), "backoff"},
		{with(func(s *manager.Spec) { s.Retry.Codes = []abi.Code{"oops"} }), "no error code"},
		{with(func(s *manager.Spec) {
			s.Kind, s.Content, s.Steps[0].Plugin, s.Labels = "agent", "", "a/7", map[string]string{"agent_id": "8"}
		}), "but the label"},
	} {
		_, err := m.Submit(t.Context(), c.spec)
		if abi.CodeOf(err) != abi.CodeInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q (%s), want invalid with %q", err, abi.CodeOf(err), c.want)
		}
	}
	if s, err := m.Stats(t.Context()); err != nil || s.Counts != (manager.Counts{}) {
		t.Errorf("refused tasks were stored: %+v, %v", s, err)
	}
	native, err := manager.New(nil, manager.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := native.Submit(t.Context(), manager.ProcessorTask("x", "text")); abi.CodeOf(err) != abi.CodeInvalid {
		t.Errorf("a manager without a runner took a plugin's task: %v", err)
	}
}

func TestSubmitCopiesSpec(t *testing.T) {
	m, err := manager.New(echo, manager.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := manager.ProcessorTask("x", "a", "b")
	s.Labels = map[string]string{"k": "v"}
	s.Steps[0].Config = map[string]string{"k": "v"}
	task, err := m.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	s.Labels["k"], s.Steps[0].Config["k"], s.Steps[1].Plugin = "w", "w", "c"
	got, err := m.Get(t.Context(), task.ID)
	if err != nil || got.Spec.Labels["k"] != "v" || got.Spec.Steps[0].Config["k"] != "v" || got.Spec.Steps[1].Plugin != "b" {
		t.Fatalf("%+v, %v", got.Spec, err)
	}
}

func TestSpecJSON(t *testing.T) {
	text := `{"name":"n","kind":"processor","steps":["text:wrap",{"step":"markdown","config":{"toc":"true"},"timeout":"5s"}],` +
		`"content":"# Hi","labels":{"k":"v"},"timeout":"1m0s","step_timeout":"10s",` +
		`"retry":{"max_attempts":3,"backoff":"200ms","max_backoff":"2s","codes":["failed"]}}`
	want := manager.Spec{
		Name: "n", Kind: manager.KindProcessor, Content: "# Hi", Labels: map[string]string{"k": "v"},
		Steps: []manager.Step{
			{Plugin: "text", Function: "wrap"}, {Plugin: "markdown", Config: map[string]string{"toc": "true"}, Timeout: 5 * time.Second},
		},
		Timeout: time.Minute, StepTimeout: 10 * time.Second,
		Retry: manager.Retry{MaxAttempts: 3, Backoff: 200 * time.Millisecond, MaxBackoff: 2 * time.Second, Codes: []abi.Code{abi.CodeFailed}},
	}
	got, err := manager.DecodeSpec([]byte(text))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	back, err := json.Marshal(got)
	if err != nil || string(back) != text {
		t.Fatalf("%s, %v", back, err)
	}
	agent, err := manager.DecodeSpec([]byte(`{"steps":["agent/7:status"],"args":{"n":12345678901234567890}}`))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(agent); err != nil || string(b) != `{"steps":["agent/7:status"],"args":{"n":12345678901234567890}}` {
		t.Fatalf("%s, %v", b, err)
	}
	for text, want := range map[string]string{
		`{"stpes":[]}`:                 "stpes",
		`{"steps":[{"stap":"x"}]}`:     "step 1",
		`{"retry":{"attempts":3}}`:     "attempts",
		`{"timeout":"soon"}`:           "no duration",
		`{"timeout":5}`:                "timeout",
		`{"steps":["a"]} x`:            "",
		`{"steps":["a"]`:               "",
		`{"steps":["a"],"input":"%%"}`: "",
	} {
		if _, err := manager.DecodeSpec([]byte(text)); abi.CodeOf(err) != abi.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	var lenient manager.Spec
	if err := json.Unmarshal([]byte(`{"steps":["a",{"step":"b","later":1}],"later":1}`), &lenient); err != nil || len(lenient.Steps) != 2 {
		t.Errorf("%+v, %v", lenient, err)
	}
}

func FuzzDecodeSpec(f *testing.F) {
	f.Add([]byte(`{"steps":["a/b:c",{"step":"b","config":{"k":"v"},"timeout":"5s"}],"args":{"n":1},"retry":{"max_attempts":3}}`))
	f.Add([]byte(`{"steps":[null,"",{}],"content":"x","input":"eA=="}`))
	m, err := manager.New(echo, manager.Config{MaxQueue: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := manager.DecodeSpec(data)
		if err != nil {
			return
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		again, err := manager.DecodeSpec(b)
		if err != nil {
			t.Fatalf("%s became %s: %v", data, b, err)
		}
		if c, err := json.Marshal(again); err != nil || string(b) != string(c) {
			t.Fatalf("%s became %s and then %s, %v", data, b, c, err)
		}
		if _, err := m.Submit(t.Context(), s); err != nil && abi.CodeOf(err) != abi.CodeInvalid && abi.CodeOf(err) != abi.CodeQueueFull {
			t.Fatalf("%s: %v", data, err)
		}
	})
}
