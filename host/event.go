package host

import (
	"time"

	"github.com/taskhost/taskhost/abi"
)

// EventKind says what an [Event] is about, and which of its fields are set.
type EventKind string

// The kinds of events. Plugin and Time are always set.
const (
	EventCall         EventKind = "call"          // a call ended: Function, Version, Task, Step, Attempt, TraceParent, Restored, Usage, Err (nil: success)
	EventHTTP         EventKind = "http"          // a guest's HTTP request ended: as EventCall without Usage and Restored, and HTTP, Duration
	EventMetric       EventKind = "metric"        // a guest reported a metric: Function, Version, Task, Metric
	EventLoad         EventKind = "load"          // a version became current: Version, Duration (compiling included), Previous
	EventRefuse       EventKind = "refuse"        // a version was refused; the one before stays: Err
	EventRollback     EventKind = "rollback"      // an older version became current: Version, Previous
	EventRemove       EventKind = "remove"        // the plugin is gone: Previous
	EventFree         EventKind = "free"          // a version's last call ended and its code was freed: Version
	EventInstantiate  EventKind = "instantiate"   // an instance was made: Version, Duration, Instances
	EventInstanceGone EventKind = "instance_gone" // an instance was closed: Version, Instances
)

// Event is something that happened in a host. Fields that the kind does not name are zero.
type Event struct {
	Kind      EventKind
	Time      time.Time
	Plugin    string
	Function  string
	Version   abi.Digest
	Previous  abi.Digest
	Task      string
	Step      int // of the task; 0: not a step
	Attempt   int // of the task; 0: unknown
	Usage     abi.Usage
	Metric    abi.Metric
	Duration  time.Duration
	Instances int // instances of the plugin's version that exist now
	Err       error

	TraceParent string // of the call
	Restored    bool   // EventCall: its instance was put back afterwards, to serve the next call
	HTTP        HTTP
}

// HTTP is a request that a guest made. What may be secret, path, query, user, headers and bodies, is not in it.
type HTTP struct {
	Method string // one of net/http's methods; "_OTHER" for any other
	Host   string // the URL's host, with its port if it has one, at most MaxName bytes; empty: the URL could not be read
	Status int    // 0: there was no answer
}

// tell says which call the event is about.
func (e *Event) tell(call *abi.Call) {
	e.Task, e.Step, e.Attempt, e.TraceParent = call.Task, call.Step, call.Attempt, call.TraceParent
}
