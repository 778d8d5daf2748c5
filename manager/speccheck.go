package manager

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
)

// prepare checks a spec and makes it the one that is kept: everything is filled in, and content or arguments have become its input.
// Slices and maps are copied first. It is idempotent, so a task's spec can be submitted again.
func (c *Config) prepare(s *Spec) error {
	s.Labels = maps.Clone(s.Labels)
	s.Steps = slices.Clone(s.Steps)
	for i := range s.Steps {
		s.Steps[i].Config = maps.Clone(s.Steps[i].Config)
	}
	s.Retry = s.Retry.or(c.Retry)
	s.Timeout = or(s.Timeout, c.Timeout)
	for _, check := range [...]func(*Spec) error{prepareKind, prepareSteps, prepareInput, prepareName, checkLabels, checkTimes, checkOrder} {
		if err := check(s); err != nil {
			return err
		}
	}
	if int64(len(s.Input)) > c.MaxInput {
		return abi.Errorf(abi.CodeInvalid, "the input has %d bytes; at most %d are allowed", len(s.Input), c.MaxInput)
	}
	return nil
}

func prepareKind(s *Spec) error {
	if s.Kind == "" {
		switch {
		case s.Func != nil:
			s.Kind = KindFunc
		case s.Args != nil:
			s.Kind = KindAgent
		default:
			s.Kind = KindProcessor
		}
	}
	switch {
	case s.Kind != KindProcessor && s.Kind != KindAgent && s.Kind != KindFunc:
		return abi.Errorf(abi.CodeInvalid, "%q is no kind of task: it is %s, %s or %s", s.Kind, KindProcessor, KindAgent, KindFunc)
	case s.Kind == KindFunc && s.Func == nil:
		return abi.Errorf(abi.CodeInvalid, "the function of task %q is nil", s.Name)
	case s.Kind == KindFunc && len(s.Steps) > 0:
		return abi.Errorf(abi.CodeInvalid, "a function task has no steps")
	case s.Kind == KindFunc && (s.Content != "" || s.Args != nil || s.Input != nil):
		return abi.Errorf(abi.CodeInvalid, "a function task has no input: the function carries what it needs")
	case s.Kind != KindFunc && s.Func != nil:
		return abi.Errorf(abi.CodeInvalid, "a task of kind %s has no function", s.Kind)
	case s.Kind == KindAgent && len(s.Steps) != 1:
		return abi.Errorf(abi.CodeInvalid, "an agent task has exactly one step, not %d", len(s.Steps))
	case s.Kind == KindProcessor && len(s.Steps) == 0:
		return abi.Errorf(abi.CodeInvalid, "a processor task needs at least one step")
	case len(s.Steps) > MaxSteps:
		return abi.Errorf(abi.CodeInvalid, "there are %d steps; at most %d are allowed", len(s.Steps), MaxSteps)
	}
	return nil
}

func prepareSteps(s *Spec) error {
	if s.Kind == KindAgent {
		if err := splitAgent(s); err != nil {
			return err
		}
	}
	for i := range s.Steps {
		if err := prepareStep(&s.Steps[i]); err != nil {
			e := *err
			e.Step = i + 1
			return &e
		}
	}
	return nil
}

// splitAgent moves the id of an agent "plugin/id" to its label.
func splitAgent(s *Spec) error {
	step := &s.Steps[0]
	plugin, id, found := strings.Cut(step.Plugin, "/")
	if !found {
		return nil
	}
	agent := step.Plugin
	if step.Function == "" {
		if i := strings.LastIndexByte(id, ':'); i >= 0 {
			id, step.Function = id[:i], id[i+1:]
			if step.Function == "" {
				return abi.Errorf(abi.CodeInvalid, "%q names no function after the colon", agent)
			}
		}
	}
	if id == "" || !abi.ValidName(plugin) {
		return abi.Errorf(abi.CodeInvalid, "%q is not an agent: write plugin or plugin/id", agent)
	}
	if have, ok := s.Labels[LabelAgentID]; ok && have != id {
		return abi.Errorf(abi.CodeInvalid, "agent %q has the id %q, but the label %s says %q", agent, id, LabelAgentID, have)
	}
	if s.Labels == nil {
		s.Labels = make(map[string]string, 1)
	}
	s.Labels[LabelAgentID] = id
	step.Plugin = plugin
	return nil
}

func prepareStep(step *Step) *abi.Error {
	plugin, function, err := abi.ParseStep(step.Plugin)
	if err != nil {
		return abi.AsError(err)
	}
	if function != "" {
		if step.Function != "" {
			return abi.Errorf(abi.CodeInvalid, "step %q already names a function; %q is one too many", step.Plugin, step.Function)
		}
		step.Plugin, step.Function = plugin, function
	}
	size := 0
	for k, v := range step.Config {
		size += len(k) + len(v)
	}
	switch {
	case !plain(step.Function, 2*abi.MaxName):
		return abi.Errorf(abi.CodeInvalid, "%q cannot be a function: at most %d bytes of plain text", step.Function, 2*abi.MaxName)
	case len(step.Config) > MaxStepConfig || size > MaxStepConfigBytes:
		return abi.Errorf(abi.CodeInvalid, "the config of %s has %d entries of %d bytes together; at most %d of %d are allowed",
			step, len(step.Config), size, MaxStepConfig, MaxStepConfigBytes)
	case step.Timeout < 0 || step.Timeout > MaxTimeout:
		return abi.Errorf(abi.CodeInvalid, "the timeout of %s is %v; it must be between 0 (none) and %v", step, step.Timeout, MaxTimeout)
	}
	return nil
}

func prepareInput(s *Spec) error {
	given := 0
	for _, has := range []bool{s.Content != "", s.Args != nil, s.Input != nil} {
		if has {
			given++
		}
	}
	switch {
	case given > 1:
		return abi.Errorf(abi.CodeInvalid, "give one of content, args and input, not several")
	case s.Collect && given > 0:
		return abi.Errorf(abi.CodeInvalid, "collect makes the input of the outputs of other tasks, so there can be no content, args or input")
	case s.Collect && len(s.After) == 0:
		return abi.Errorf(abi.CodeInvalid, "collect makes the input of the outputs of other tasks: name them in after")
	case s.Collect && s.Kind == KindFunc:
		return abi.Errorf(abi.CodeInvalid, "a function task has no input, so it cannot collect one")
	case s.Kind == KindAgent && s.Content != "":
		return abi.Errorf(abi.CodeInvalid, "an agent takes args, not content")
	case s.Kind == KindProcessor && s.Args != nil:
		return abi.Errorf(abi.CodeInvalid, "a processor takes content or input, not args")
	}
	switch s.Kind {
	case KindProcessor:
		if s.Content != "" {
			s.Input, s.Content = []byte(s.Content), ""
		}
	case KindAgent:
		if s.Collect {
			return nil
		}
		if len(s.Input) == 0 {
			if s.Args == nil {
				s.Args = map[string]any{}
			}
			input, err := json.Marshal(s.Args)
			if err != nil {
				return abi.Errorf(abi.CodeInvalid, "the arguments have no JSON form: %w", err)
			}
			s.Input, s.Args = input, nil
		} else if b := bytes.TrimSpace(s.Input); len(b) == 0 || b[0] != '{' || !json.Valid(b) {
			return abi.Errorf(abi.CodeInvalid, "the input of an agent must be a JSON object")
		}
	}
	return nil
}

func prepareName(s *Spec) error {
	if s.Name == "" {
		s.Name = defaultName(s)
	}
	if !plain(s.Name, MaxName) {
		return abi.Errorf(abi.CodeInvalid, "%.120q cannot be a name: at most %d bytes of plain text", s.Name, MaxName)
	}
	return nil
}

func defaultName(s *Spec) string {
	switch len(s.Steps) {
	case 0:
		return string(KindFunc)
	case 1:
		if name := s.Steps[0].String(); len(name) <= MaxName {
			return name
		}
		return s.Steps[0].Plugin
	}
	names := make([]string, len(s.Steps))
	for i, step := range s.Steps {
		names[i] = step.String()
	}
	if name := strings.Join(names, ","); len(name) <= MaxName {
		return name
	}
	return string(KindProcessor)
}

func checkLabels(s *Spec) error {
	if len(s.Labels) > MaxLabels {
		return abi.Errorf(abi.CodeInvalid, "there are %d labels; at most %d are allowed", len(s.Labels), MaxLabels)
	}
	for k, v := range s.Labels {
		if !abi.ValidWord(k, MaxLabelName) {
			return abi.Errorf(abi.CodeInvalid, "%.120q cannot name a label: letters, digits, dot, underscore and dash, at most %d bytes", k, MaxLabelName)
		}
		if !plain(v, MaxLabelValue) {
			return abi.Errorf(abi.CodeInvalid, "the value %.120q of label %s is no plain text of at most %d bytes", v, k, MaxLabelValue)
		}
	}
	return nil
}

func checkTimes(s *Spec) error {
	if s.Timeout < 0 || s.Timeout > MaxTimeout {
		return abi.Errorf(abi.CodeInvalid, "the timeout is %v; it must be between 0 (none) and %v", s.Timeout, MaxTimeout)
	}
	if s.StepTimeout < 0 || s.StepTimeout > MaxTimeout {
		return abi.Errorf(abi.CodeInvalid, "the step timeout is %v; it must be between 0 (none) and %v", s.StepTimeout, MaxTimeout)
	}
	if err := s.Retry.validate(); err != nil {
		return abi.Errorf(abi.CodeInvalid, "retry: %w", err)
	}
	return nil
}

// checkOrder checks what says when a task runs.
func checkOrder(s *Spec) error {
	s.Queue = or(s.Queue, DefaultQueue)
	s.After = slices.Clone(s.After)
	if len(s.After) > 0 {
		s.AfterFailed = or(s.AfterFailed, AfterFail)
	}
	u := &s.Unique
	switch {
	case !validQueue(s.Queue):
		return abi.Errorf(abi.CodeInvalid, "%.120q cannot name a queue: letters, digits, dot, underscore and dash, at most %d bytes", s.Queue, MaxQueueName)
	case s.Priority < MinPriority || s.Priority > MaxPriority:
		return abi.Errorf(abi.CodeInvalid, "the priority is %d; it must be between %d and %d", s.Priority, MinPriority, MaxPriority)
	case s.Expiry < 0 || s.Expiry > MaxTimeout:
		return abi.Errorf(abi.CodeInvalid, "the expiry is %v; it must be between 0 (none) and %v", s.Expiry, MaxTimeout)
	case !plain(u.Key, MaxUniqueKey):
		return abi.Errorf(abi.CodeInvalid, "the unique key %.120q is no plain text of at most %d bytes", u.Key, MaxUniqueKey)
	case u.Key == "" && (u.Window != 0 || u.Existing):
		return abi.Errorf(abi.CodeInvalid, "unique needs a key")
	case u.Window < 0 || u.Window > MaxTimeout:
		return abi.Errorf(abi.CodeInvalid, "the window of the unique key is %v; it must be between 0 (none) and %v", u.Window, MaxTimeout)
	case len(s.After) > MaxAfter:
		return abi.Errorf(abi.CodeInvalid, "the task waits for %d others; at most %d are allowed", len(s.After), MaxAfter)
	case len(s.After) == 0 && s.AfterFailed != "":
		return abi.Errorf(abi.CodeInvalid, "after_failed says what to do when another task fails: name it in after")
	case s.TraceParent != "" && !validTraceParent(s.TraceParent):
		return abi.Errorf(abi.CodeInvalid, "traceparent %.128q is none of W3C Trace Context, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", s.TraceParent)
	case s.AfterFailed != "" && s.AfterFailed != AfterFail && s.AfterFailed != AfterSkip && s.AfterFailed != AfterRun:
		return abi.Errorf(abi.CodeInvalid, "after_failed is %.40q; it must be %s, %s or %s", s.AfterFailed, AfterFail, AfterSkip, AfterRun)
	}
	for i, id := range s.After {
		if !plain(id, MaxLabelValue) || id == "" || slices.Contains(s.After[:i], id) {
			return abi.Errorf(abi.CodeInvalid, "after names %.120q, which is no id, or names it twice", id)
		}
	}
	return nil
}

func validTraceParent(s string) bool {
	_, ok := abi.ParseTraceParent(s)
	return ok
}

// plain reports whether s is at most limit bytes of UTF-8 without control characters.
func plain(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
		}
	}
	return true
}
