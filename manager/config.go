package manager

import (
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Config configures a Manager. The zero value works: every zero field means its default.
type Config struct {
	// Store keeps the tasks. Default: a new NewMemoryStore. The manager does not close it.
	Store Store

	// MaxConcurrent is how many tasks run at once, each on a slot of its own. Default: 10. At most 10,000.
	MaxConcurrent int

	// MaxQueue bounds the pending tasks, those that wait for another attempt included. Default: 100,000.
	MaxQueue int
	// MaxQueueBytes bounds the inputs, labels and configs of the pending tasks together. Default: 256 MiB.
	MaxQueueBytes int64
	// MaxInput bounds the input of one task, in bytes. Default: 16 MiB.
	MaxInput int64

	// Timeout is for tasks that set none; see Spec.Timeout. Default: none.
	Timeout time.Duration
	// Retry fills in what a spec's Retry leaves zero. Default: see Retry.
	Retry Retry

	// Finished tasks are kept until one of these bounds is passed, then the oldest go. It is checked in small pieces in the
	// background, so there can be a few more for a moment.
	MaxFinished      int           // number; default 100,000
	MaxFinishedBytes int64         // Task.Bytes together; default 256 MiB
	MaxFinishedAge   time.Duration // time since they ended; default 24 hours

	// ProgressInterval is how often the progress of one task is stored and told, at most. Default: 100 ms.
	ProgressInterval time.Duration

	// LeaseTTL is how long a task whose worker is gone stays claimed. Live workers extend their leases. Default: 30 s; at least 1 s.
	LeaseTTL time.Duration

	// StopGrace is how long Stop waits for cancelled tasks to return after its context has ended. Default: 5 s.
	StopGrace time.Duration
	// KeepOnStop is for stores that outlive the manager: Stop then waits for the running tasks alone, leaves pending ones as they
	// are, and puts those it has to interrupt back to pending, without counting the attempt. Default: Stop works off the queue.
	KeepOnStop bool

	// OnEvent is called for every event, on the goroutine that makes it, in order for each task; several calls may run at once.
	// It must return fast and must not call Submit, Cancel, Result or Stop. A panic in it is dropped. Default: none.
	OnEvent func(Event)

	// TraceParent gives each step of an attempt its abi.Call.TraceParent; steps count from 1. It must be fast. Default: Spec.TraceParent.
	TraceParent func(t *Task, step int) string
}

// withDefaults returns a copy with its zeros filled.
func (c Config) withDefaults() Config {
	c.MaxConcurrent = or(c.MaxConcurrent, 10)
	c.MaxQueue = or(c.MaxQueue, 100_000)
	c.MaxQueueBytes = or(c.MaxQueueBytes, 256<<20)
	c.MaxInput = or(c.MaxInput, 16<<20)
	c.MaxFinished = or(c.MaxFinished, 100_000)
	c.MaxFinishedBytes = or(c.MaxFinishedBytes, 256<<20)
	c.MaxFinishedAge = or(c.MaxFinishedAge, 24*time.Hour)
	c.ProgressInterval = or(c.ProgressInterval, 100*time.Millisecond)
	c.LeaseTTL = or(c.LeaseTTL, 30*time.Second)
	c.StopGrace = or(c.StopGrace, 5*time.Second)
	c.Retry = c.Retry.or(Retry{MaxAttempts: 1, Backoff: time.Second, MaxBackoff: time.Minute})
	if c.Store == nil {
		c.Store = NewMemoryStore()
	}
	return c
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// validate says precisely what is wrong; c has its defaults.
func (c *Config) validate() error {
	switch {
	case c.MaxConcurrent < 1 || c.MaxConcurrent > 10_000:
		return abi.Errorf(abi.CodeInvalid, "manager: MaxConcurrent is %d; it must be between 1 and 10000", c.MaxConcurrent)
	case c.MaxQueue < 1:
		return abi.Errorf(abi.CodeInvalid, "manager: MaxQueue is %d; it must be at least 1", c.MaxQueue)
	case c.MaxQueueBytes < 1:
		return abi.Errorf(abi.CodeInvalid, "manager: MaxQueueBytes is %d; it must be at least 1", c.MaxQueueBytes)
	case c.MaxInput < 1:
		return abi.Errorf(abi.CodeInvalid, "manager: MaxInput is %d; it must be at least 1", c.MaxInput)
	case c.MaxFinished < 1:
		return abi.Errorf(abi.CodeInvalid, "manager: MaxFinished is %d; it must be at least 1", c.MaxFinished)
	case c.MaxFinishedBytes < 1:
		return abi.Errorf(abi.CodeInvalid, "manager: MaxFinishedBytes is %d; it must be at least 1", c.MaxFinishedBytes)
	case c.MaxFinishedAge < 0:
		return abi.Errorf(abi.CodeInvalid, "manager: MaxFinishedAge is %v; it must not be negative", c.MaxFinishedAge)
	case c.Timeout < 0 || c.Timeout > MaxTimeout:
		return abi.Errorf(abi.CodeInvalid, "manager: Timeout is %v; it must be between 0 (none) and %v", c.Timeout, MaxTimeout)
	case c.ProgressInterval < time.Millisecond:
		return abi.Errorf(abi.CodeInvalid, "manager: ProgressInterval is %v; it must be at least 1ms", c.ProgressInterval)
	case c.LeaseTTL < time.Second:
		return abi.Errorf(abi.CodeInvalid, "manager: LeaseTTL is %v; it must be at least 1s", c.LeaseTTL)
	case c.StopGrace < 0:
		return abi.Errorf(abi.CodeInvalid, "manager: StopGrace is %v; it must not be negative", c.StopGrace)
	}
	if err := c.Retry.validate(); err != nil {
		return abi.Errorf(abi.CodeInvalid, "manager: Retry: %w", err)
	}
	return nil
}
