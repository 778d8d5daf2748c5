package httpapi

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// aliases are types whose JSON form reflection cannot tell, and the types that tell it.
func aliases() [][2]reflect.Type {
	return [][2]reflect.Type{
		{reflect.TypeFor[manager.Spec](), reflect.TypeFor[specSchema]()},
		{reflect.TypeFor[manager.Status](), reflect.TypeFor[statusSchema]()},
		{reflect.TypeFor[manager.Kind](), reflect.TypeFor[kindSchema]()},
		{reflect.TypeFor[manager.EventKind](), reflect.TypeFor[eventKindSchema]()},
		{reflect.TypeFor[abi.Code](), reflect.TypeFor[codeSchema]()},
		{reflect.TypeFor[auth.Role](), reflect.TypeFor[roleSchema]()},
		{reflect.TypeFor[abi.PluginState](), reflect.TypeFor[stateSchema]()},
	}
}

// schemaName is what a type is called in the document.
func schemaName(t reflect.Type, hint string) string {
	return strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "Schema")
}

func enum[T ~string](about string, values ...T) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString, Description: about}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}

type statusSchema string

func (statusSchema) Schema(huma.Registry) *huma.Schema {
	return enum("where the task stands", manager.Statuses()...)
}

type kindSchema string

func (kindSchema) Schema(huma.Registry) *huma.Schema {
	return enum("what the task is made of", manager.KindProcessor, manager.KindAgent, manager.KindFunc)
}

type eventKindSchema string

func (eventKindSchema) Schema(huma.Registry) *huma.Schema {
	return enum("what happened", eventKinds()...)
}

type codeSchema string

func (codeSchema) Schema(huma.Registry) *huma.Schema {
	return enum("what kind of failure it is, the same word everywhere", abi.Codes()...)
}

type roleSchema string

func (roleSchema) Schema(huma.Registry) *huma.Schema {
	return enum("what a principal may do", auth.Roles()...)
}

type stateSchema string

func (stateSchema) Schema(huma.Registry) *huma.Schema {
	return enum("whether the plugin can be called", abi.StateReady, abi.StateStale, abi.StateRefused)
}

// durationSchema is a duration as specs have it.
type durationSchema string

func (durationSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: `^[-+]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`, Description: "a duration", Examples: []any{"1m30s"},
	}
}

// specSchema is the JSON form of manager.Spec; a test compares it with what manager.DecodeSpec takes.
type specSchema struct {
	_           struct{}          `additionalProperties:"false"`
	Name        string            `json:"name,omitempty" doc:"groups tasks of the same sort; default: the steps"`
	Kind        manager.Kind      `json:"kind,omitempty"`
	Steps       []stepSchema      `json:"steps,omitempty" doc:"what runs, in this order; an agent task has one"`
	Content     string            `json:"content,omitempty" doc:"the input as text; give one of content, input and args"`
	Args        map[string]any    `json:"args,omitzero" doc:"the arguments of an agent task"`
	Input       []byte            `json:"input,omitempty" doc:"the input as bytes"`
	Labels      map[string]string `json:"labels,omitempty" doc:"for whoever looks for tasks"`
	Timeout     durationSchema    `json:"timeout,omitzero" doc:"from the first start to the end"`
	StepTimeout durationSchema    `json:"step_timeout,omitzero" doc:"of each step that has none of its own"`
	Retry       retrySchema       `json:"retry,omitzero"`
	Queue       string            `json:"queue,omitempty" doc:"the line that the task stands in; default: default"`
	Priority    int               `json:"priority,omitempty" doc:"from -10 to 10; one step counts as much as a minute of waiting"`
	RunAt       time.Time         `json:"run_at,omitzero" doc:"when it may start"`
	Delay       durationSchema    `json:"delay,omitzero" doc:"run_at from now; give one of both"`
	Expiry      durationSchema    `json:"expiry,omitzero" doc:"bounds the wait for the first start"`
	Unique      uniqueSchema      `json:"unique,omitzero"`
	After       []string          `json:"after,omitempty" doc:"ids of tasks that must have ended before; in a batch also #1, #2 …"`
	AfterFailed string            `json:"after_failed,omitempty" enum:"fail,skip,run" doc:"what becomes of it when one of those did not complete; default: fail"`
	Collect     bool              `json:"collect,omitempty" doc:"the input is made of the outputs of after"`
	TraceParent string            `json:"traceparent,omitempty" doc:"W3C Trace Context; default: the header Traceparent"`
}

type retrySchema struct {
	_           struct{}       `additionalProperties:"false"`
	MaxAttempts int            `json:"max_attempts,omitempty" doc:"how often it is tried in all; default 1"`
	Backoff     durationSchema `json:"backoff,omitzero" doc:"the wait after the first attempt; doubled each time"`
	MaxBackoff  durationSchema `json:"max_backoff,omitzero"`
	Codes       []abi.Code     `json:"codes,omitzero" doc:"the errors worth another try"`
}

type uniqueSchema struct {
	_        struct{}       `additionalProperties:"false"`
	Key      string         `json:"key,omitempty" doc:"one task at a time holds it"`
	Window   durationSchema `json:"window,omitzero" doc:"it is held so long at least"`
	Existing bool           `json:"existing,omitempty" doc:"answer with the task that holds it, instead of a conflict"`
}

// stepSchema is a step: a string, or an object for one with more than its name.
type stepSchema struct{}

func (stepSchema) Schema(r huma.Registry) *huma.Schema {
	object := r.Schema(reflect.TypeFor[stepObjectSchema](), true, "")
	return &huma.Schema{
		Description: "plugin or plugin:function, in an agent task also plugin/id:function",
		OneOf:       []*huma.Schema{{Type: huma.TypeString}, object},
		Examples:    []any{"markdown:render"},
	}
}

type stepObjectSchema struct {
	_       struct{}          `additionalProperties:"false"`
	Step    string            `json:"step"`
	Config  map[string]string `json:"config,omitempty" doc:"laid over the plugin's configuration"`
	Timeout durationSchema    `json:"timeout,omitzero"`
}

// tidy makes the document say what the server does: lists are never null.
func tidy(d *huma.OpenAPI) {
	for _, s := range d.Components.Schemas.Map() {
		tidySchema(s)
	}
	for _, item := range d.Paths {
		for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if o == nil {
				continue
			}
			for _, p := range o.Parameters {
				tidySchema(p.Schema)
			}
		}
	}
}

func tidySchema(s *huma.Schema) {
	if s == nil {
		return
	}
	if s.Type == huma.TypeArray {
		s.Nullable = false
	}
	tidySchema(s.Items)
	for _, p := range s.Properties {
		tidySchema(p)
	}
	if more, ok := s.AdditionalProperties.(*huma.Schema); ok {
		tidySchema(more)
	}
	s.PrecomputeMessages()
}

// addDocument serves the OpenAPI document, to everybody: it tells nothing that the sources do not.
func (a *API) addDocument() {
	d := a.huma.OpenAPI()
	tidy(d)
	made := func(text []byte, err error) []byte {
		if err != nil { // cannot be: a test makes both
			a.cfg.Logger.Error("the OpenAPI document cannot be written", "error", err)
		}
		return text
	}
	a.document = sync.OnceValue(func() []byte { return made(json.Marshal(d)) })
	a.serve("/openapi.json", "application/openapi+json", a.document)
	a.serve("/openapi.yaml", "application/openapi+yaml", sync.OnceValue(func() []byte { return made(d.YAML()) }))
	a.mux.HandleFunc("/", a.nothing)
}
