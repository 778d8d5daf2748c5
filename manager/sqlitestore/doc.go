// Package sqlitestore keeps tasks in one SQLite file: what was acknowledged is there after a crash, a kill and a power cut.
//
//	store, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: "tasks.db"})
//	...
//	m, err := manager.New(host, manager.Config{Store: store})
//	...
//	err = m.Stop(ctx)
//	err = store.Close(ctx)
//
// Creates and saves that settle a task are on the disk when they return; requests that come at the same time share a sync. The start of
// an attempt and its progress reach the disk a moment later, see [Store.Save].
//
// # Tables
//
// The file can be read with SQLite's own shell while the store is in use. Nobody else may write to it. The view task is made for that:
//
//	sqlite3 -readonly tasks.db "SELECT id, status, name, error FROM task ORDER BY id DESC LIMIT 10"
//
// Changes of the last moments are in the table journal until they are applied to the others, some ten milliseconds later.
//
//   - tasks: one row for each task. seq is made of the first 60 bits of the id that are not its version, so that rows are in the order
//     of ids. status is 0 pending, 1 running, 2 completed, 3 failed, 4 cancelled. Times are Unix nanoseconds, NULL for none. bytes is
//     what the task counts for in queue limits and retention. links is 1 where a unique key, dependencies or an agent are in spec.
//     spec has the JSON form of manager.Spec without the input; state has, as JSON too, all of the task that no other column has. The
//     last attempt is in state.last, without what it has in common with the task: times, version, usage. attempt_at is left out where it
//     is started_at.
//     input, output, partial and checkpoint are the bytes themselves; where the bit 1, 2, 4 or 8 of parts is set, they are in blobs.
//   - sorts: name, kind, queue and plugins (a JSON array) of tasks, each combination once.
//   - labels and label_names: which tasks have which labels.
//   - blobs: parts of tasks of more than 256 KiB, with the key seq*4 + 0 input, 1 output, 2 partial, 3 checkpoint.
//   - unique_keys: keys whose window may last longer than their task.
//   - records: small records of the manager, by kind and name. Those of the kind "limit" are the limits of queues and plugins.
//   - journal: changes that are not yet in tasks, in a form of its own.
//   - meta: the counts of tasks by status, which go with the rows.
//
// The pragma user_version is the version of all this. A newer version is refused, an older one brought forward when it is opened.
package sqlitestore
