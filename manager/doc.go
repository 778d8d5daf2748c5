// Package manager runs tasks: it queues them, works them off on a bounded number of slots, retries what may pass, and keeps what
// came out for a while.
//
// A task is described by a [Spec] and seen as a [Task]. [Manager.Submit] returns at once; [Manager.Result] waits. Status is one of
// pending, running, completed, failed and cancelled, and every change of it goes through one pure function:
//
//	        Submit
//	          │
//	          ▼   a slot is free      the last step is done
//	      pending ───────────▶ running ───────────▶ completed
//	       │   ▲                │ │ │
//	       │   └── may pass: ───┘ │ └──────────────▶ failed
//	       │       retry later    │
//	Cancel │                      │ Cancel, Stop
//	       └─────────▶ cancelled ◀┘
//
// [Manager.Retry] puts failed and cancelled tasks back to pending. A pending task may wait for its time, for other tasks, for its
// agent, or for a limit of its queue: docs/durable-tasks.md says which one goes next.
//
// The truth about tasks is in the [Store]: in memory, or in a file that outlasts the process (package sqlitestore). Events, whether through [Config.OnEvent] or [Manager.Subscribe], tell of changes; a
// subscriber that is too slow loses some, so whoever needs to be right reads the task first and then listens.
//
// A [Schedule] submits a task again and again, each time once, also with several managers on one store.
//
// The manager knows plugins only through the [Runner] interface, which *host.Host satisfies. Go functions are tasks too: see
// [FuncTask].
package manager
