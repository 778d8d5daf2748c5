// Package monitor turns what host and manager tell into Prometheus metrics, OpenTelemetry traces, structured logs, and the HTTP pages
// /metrics, /healthz and /readyz.
//
// It only listens: plug [Monitor.HostEvent] into host.Config.OnEvent and [Monitor.TaskEvent] into manager.Config.OnEvent. Neither of
// those packages knows of it, and a program that does not import it links neither Prometheus nor OpenTelemetry.
//
// # Metrics
//
// docs/observe.md lists them. Those of taskhost itself begin with taskhost_; what a plugin reports as NAME is taskhost_plugin_NAME (counters:
// taskhost_plugin_NAME_total), with a label plugin and the labels that it gave; its own label plugin, le or quantile is called
// exported_plugin and so on. What cannot be shown is counted in taskhost_guest_metrics_dropped_total.
//
// Some need more than events: [Monitor.Watch] names the manager that is asked at each scrape, [Monitor.Store] measures a task store, and
// [Monitor.HTTP] a server.
//
// # Bounds
//
// Everything that users and guests can name is bounded: at most [MaxNames] task names, queues, plugins and routes, [MaxFunctions] functions
// of a plugin, the one current version of each, and [MaxGuestSeries] series of guests. A name that comes after that counts as "other"; a
// guest's series that comes after that is dropped. Names keep their place until the process ends; a guest's series go with its plugin.
// The id of a task is never a label: it is an exemplar of the histograms, at most one a second for each series.
//
// # Traces
//
// [NewTracing] makes OpenTelemetry spans of the same events, for a collector. Without it they cost nothing.
package monitor
