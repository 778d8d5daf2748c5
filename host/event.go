package host

import (
	"time"

	"github.com/taskhost/taskhost/abi"
)

// EventKind says what an [Event] is about, and which of its fields are set.
type EventKind string

// The kinds of events. Plugin and Time are always set.
const (
	EventCall         EventKind = "call"          // a call ended: Function, Version, Task, Usage, Err (nil: success)
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
	Usage     abi.Usage
	Metric    abi.Metric
	Duration  time.Duration
	Instances int // instances of the plugin's version that exist now
	Err       error
}
