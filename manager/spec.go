package manager

import (
	"context"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Kind says what a task is made of.
type Kind string

// The kinds of tasks.
const (
	// KindProcessor: a content and one or more steps, each fed the output of the one before it.
	KindProcessor Kind = "processor"
	// KindAgent: one step whose input is a JSON object of arguments, and whose output is a JSON object by convention.
	KindAgent Kind = "agent"
	// KindFunc: a Go function of this process.
	KindFunc Kind = "func"
)

// Labels that taskhost sets itself.
const (
	LabelAgentID  = "agent_id" // the id of an agent "plugin/id"
	LabelBatchID  = "batch_id" // the id of the batch that a task was submitted in
	LabelSchedule = "schedule" // the name of the schedule that submitted a task
)

// Bounds on a spec. Beyond them Submit refuses it with CodeInvalid.
const (
	MaxSteps           = 64                  // steps of one task
	MaxName            = 100                 // bytes of a task's name
	MaxLabels          = 16                  // labels of one task
	MaxLabelName       = 64                  // bytes of a label's name
	MaxLabelValue      = 128                 // bytes of a label's value
	MaxStepConfig      = 64                  // config entries of one step
	MaxStepConfigBytes = 64 << 10            // bytes of names and values of one step's config
	MaxAttempts        = 100                 // attempts that a retry policy may ask for
	MaxTimeout         = 30 * 24 * time.Hour // of a task, a step, a wait for another attempt, an expiry, a window
	MinPriority        = -10                 // the least urgent
	MaxPriority        = 10                  // the most urgent
	MaxUniqueKey       = 256                 // bytes of a unique key
	MaxAfter           = 64                  // tasks that one task waits for
	MaxBatch           = 10_000              // tasks that are submitted in one call
)

// Func is a task written in Go. It should return soon after ctx is done; context.Cause(ctx) tells why (an *abi.Error with
// CodeCancelled, CodeTimeout, CodeShutdown or CodeLeaseLost). It may call report at any time until it returns, from any goroutine.
// An error that is not an *abi.Error counts as CodeFailed, which a retry policy may try again. A panic becomes CodeInternal.
type Func func(ctx context.Context, report func(abi.Progress)) ([]byte, error)

// Spec describes a task: what Submit takes. The constructors ProcessorTask, AgentTask and FuncTask fill one in; it can be changed
// until it is submitted. Submit copies what it keeps, except the bytes of Input, which the caller must not change afterwards.
//
// Its JSON form is what CLI and HTTP accept. Durations are strings such as "1m30s", a step is a string "plugin:function" or an
// object, and exactly one of content (a string), input (base64) and args (an object) may be given:
//
//	{"steps": ["text", {"step": "markdown", "config": {"toc": "true"}, "timeout": "5s"}], "content": "# Hi"}
//	{"steps": ["text"], "content": "# Hi", "queue": "mail", "priority": 3, "delay": "10m", "unique": {"key": "daily", "window": "24h"}}
//	{"kind": "agent", "steps": ["agent/7:status"], "args": {"verbose": true}, "retry": {"max_attempts": 3}}
//
// [DecodeSpec] reads that form strictly.
type Spec struct {
	// Name groups tasks of the same sort; it is a label of metrics, so keep ids out of it. At most MaxName bytes.
	// Default: the steps, joined by commas.
	Name string
	// Kind is optional: KindFunc when Func is set, KindAgent when Args is set, else KindProcessor.
	Kind Kind
	// Steps run in this order. An agent task has exactly one, a function none.
	Steps []Step

	// Content is the text of a processor task. Submit turns it into Input.
	Content string
	// Args are the arguments of an agent task. Submit turns them into Input, as a JSON object.
	Args map[string]any
	// Input is what the first step gets. For an agent it must be a JSON object; nothing means {}.
	Input []byte

	// Labels are for whoever looks for tasks. Names are made of letters, digits, dot, underscore and dash.
	Labels map[string]string
	// Timeout bounds the time from the first start to the end, further attempts and the waits between them included.
	// Default: Config.Timeout.
	Timeout time.Duration
	// StepTimeout bounds the run time of each step that sets none itself. Default: none but the host's.
	StepTimeout time.Duration
	// Retry says whether and when a failed task is tried again. Zero fields come from Config.Retry.
	Retry Retry

	// Queue is the line that the task stands in: letters, digits, dot, underscore and dash. Default: DefaultQueue.
	Queue string
	// Priority moves a task forward in its queue: one step counts as much as a wait of PriorityStep, so that no task waits for ever.
	// From MinPriority to MaxPriority.
	Priority int
	// RunAt is when the task may start. Default: at once.
	RunAt time.Time
	// Expiry bounds the wait for the first start, from RunAt on: a task that was not begun by then fails with CodeExpired. Default: none.
	Expiry time.Duration
	// Unique keeps a second task with the same key out.
	Unique Unique
	// After are the ids of tasks that must have ended before this one starts, at most MaxAfter. In a batch, "#1" is its first task,
	// and only tasks before this one may be named.
	After []string
	// AfterFailed says what becomes of the task when one of those did not complete. Default: AfterFail.
	AfterFailed AfterFailed
	// Collect makes the task's input of the outputs of After: that of a single task as it is, of several a JSON array of them in
	// order, each a JSON value if it is one, else a string. The task has no input of its own then.
	Collect bool

	// TraceParent is the W3C traceparent of whoever submits the task, so that its trace goes on in the task. Default: none.
	TraceParent string

	// Func is the function of a task of KindFunc. It has no JSON form, and a store that persists refuses it.
	Func Func
}

// Unique is a key that one task at a time holds: from its submit until it has ended, and until Window after its submit.
type Unique struct {
	Key    string        // at most MaxUniqueKey bytes; empty: no key
	Window time.Duration // at most MaxTimeout
	// Existing makes Submit return the task that holds the key. Default: Submit fails with CodeConflict, whose Task is its id.
	Existing bool
}

// AfterFailed says what becomes of a task when one that it waits for did not complete.
type AfterFailed string

// What can become of it.
const (
	AfterFail AfterFailed = "fail" // it fails with CodeDependency
	AfterSkip AfterFailed = "skip" // it is cancelled, with CauseDependency
	AfterRun  AfterFailed = "run"  // it runs; Collect takes null for the missing output
)

// Step is one call of a plugin's function.
type Step struct {
	// Plugin is the plugin's name; "plugin:function" is allowed when Function is empty, and "plugin/id" in an agent task.
	// Submit splits these.
	Plugin string
	// Function is the export to call. Default: the plugin's default function.
	Function string
	// Config is laid over the plugin's configuration for this call alone.
	Config map[string]string
	// Timeout bounds the run time of this step. Default: Spec.StepTimeout.
	Timeout time.Duration
}

// String is "plugin" or "plugin:function".
func (s Step) String() string {
	if s.Function == "" {
		return s.Plugin
	}
	return s.Plugin + ":" + s.Function
}

// Retry is when to try again. A task is tried again when its error's code is in Codes and attempts are left. The wait before
// attempt n+1 is Backoff doubled n-1 times, at most MaxBackoff, of which a random part of up to a half is taken off, so that
// tasks that failed together do not come back together.
//
// A processor task goes on with the step that failed when the output of the step before was kept whole (see Task.Partial);
// otherwise it starts from the first step.
type Retry struct {
	// MaxAttempts is how often the task is tried in all. Default: 1, no retry: a sandboxed function of its input alone would
	// fail again. At most MaxAttempts, the constant.
	MaxAttempts int
	// Backoff is the wait after the first attempt. Default: 1 second.
	Backoff time.Duration
	// MaxBackoff bounds the wait. Default: 1 minute.
	MaxBackoff time.Duration
	// Codes are the errors worth another try. Default: those with abi.Code.Temporary. Cancels are never tried again.
	Codes []abi.Code
}

// Agent is the agent "plugin/id" that a task belongs to; empty for a task without one. Tasks of one agent run one at a time, and share
// its memory.
func (s *Spec) Agent() string {
	if s.Kind != KindAgent || len(s.Steps) != 1 {
		return ""
	}
	id := s.Labels[LabelAgentID]
	if id == "" {
		return ""
	}
	return s.Steps[0].Plugin + "/" + id
}

// Bytes is what the spec holds besides itself: input, labels and config. Stores count it for QueueLimit.Bytes.
func (s *Spec) Bytes() int64 {
	n := len(s.Input)
	for k, v := range s.Labels {
		n += len(k) + len(v)
	}
	for i := range s.Steps {
		for k, v := range s.Steps[i].Config {
			n += len(k) + len(v)
		}
	}
	return int64(n)
}

// ProcessorTask is a task that sends content through steps, each "plugin" or "plugin:function".
// A step that cannot be read is an error of Submit.
func ProcessorTask(content string, steps ...string) Spec {
	s := Spec{Kind: KindProcessor, Content: content, Steps: make([]Step, len(steps))}
	for i, step := range steps {
		s.Steps[i] = Step{Plugin: step}
	}
	return s
}

// AgentTask is a task that calls one action, a function of a plugin, with arguments. The agent is "plugin" or "plugin/id"; the id
// becomes the label LabelAgentID. An empty action is the plugin's default function. An agent that cannot be read and arguments
// that have no JSON form are errors of Submit.
func AgentTask(agent, action string, args map[string]any) Spec {
	return Spec{Kind: KindAgent, Steps: []Step{{Plugin: agent, Function: action}}, Args: args}
}

// FuncTask is a task that runs a Go function of this process: same states, same events, same limits as a plugin's task.
// It lives as long as the process: only a store that keeps everything in memory accepts it.
func FuncTask(name string, fn Func) Spec {
	return Spec{Kind: KindFunc, Name: name, Func: fn}
}
