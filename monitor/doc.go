// Package monitor turns what host and manager tell into Prometheus metrics, structured logs and two HTTP pages, /metrics and /healthz.
//
// It only listens: plug [Monitor.HostEvent] into host.Config.OnEvent and [Monitor.TaskEvent] into manager.Config.OnEvent. Neither of
// those packages knows of it, and a program that does not import it links no Prometheus.
//
// # Metrics
//
// Of tasks:
//
//	taskhost_task_operations_total{operation,status}   what happened to tasks: submit, reject, start, retry, cancel, finish, lost, error,
//	                                                   and the status of the task after it ("none" where there is no task)
//	taskhost_tasks_total{name,status}                  tasks that entered a status; running counts attempts
//	taskhost_task_duration_seconds{name,status}        from the first start to the end, by final status
//	taskhost_task_progress{name,stat}                  0..1, min, mean and max over the tasks of that name that run now
//	taskhost_tasks_running{name}                       tasks that run now
//	taskhost_task_failures_total{name,code}            failed tasks by the code of their error
//
// Of plugins, by the host:
//
//	taskhost_calls_total{plugin,function,code}         calls that ended; code is "ok" or that of the error
//	taskhost_call_duration_seconds{plugin,function}    run time
//	taskhost_call_wait_seconds{plugin}                 waiting for an instance
//	taskhost_call_ticks_total{plugin,function}         fuel
//	taskhost_call_peak_memory_bytes{plugin}            the peak of each call
//	taskhost_instances{plugin}                         sandboxes that exist now
//	taskhost_instantiations_total{plugin}              sandboxes made
//	taskhost_instantiation_duration_seconds{plugin}    making one
//	taskhost_swaps_total{plugin,operation}             load, rollback, remove
//	taskhost_load_duration_seconds{plugin}             loading a version, compiling included
//	taskhost_refusals_total{plugin,code}               versions that were refused
//	taskhost_version_info{plugin,version}              1 for the version that is current
//
// Of guests: what a plugin reports as NAME is taskhost_plugin_NAME (counters: taskhost_plugin_NAME_total), with a label plugin and the
// labels that it gave; its own label plugin, le or quantile is called exported_plugin and so on. What cannot be shown is counted in
// taskhost_guest_metrics_dropped_total{plugin,reason}.
//
// # Bounds
//
// Everything that users and guests can name is bounded: at most [MaxNames] task names, [MaxNames] plugins, [MaxFunctions] functions of a
// plugin, the one current version of each, and [MaxGuestSeries] series of guests. A name that comes after that counts as "other"; a
// guest's series that comes after that is dropped. Names keep their place until the process ends; a guest's series go with its plugin.
// The id of a task is never a label: it is an exemplar of the histograms, at most one a second for each series.
package monitor
