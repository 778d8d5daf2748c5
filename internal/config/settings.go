package config

import (
	"math"
	"strings"
	"time"
)

// Setting describes one key.
type Setting struct {
	Key     string // in the file: parts of a path are divided by dots
	Help    string // with the name of the value in `backquotes`
	Default string // as a person would write it; empty: Absent
	Absent  string // what it means when the setting has no value
	Short   string // letter of the flag, if it has one
	Also    string // another name of the flag
	Live    bool   // it can change while the server runs
	Many    bool   // it has several values
	Bool    bool
	Hidden  bool // its value is not shown

	value value
}

// Flag is the setting's flag without its dashes.
func (s *Setting) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key) }

// Env is the setting's environment variable.
func (s *Setting) Env() string {
	return "TASKHOST_" + strings.ToUpper(strings.NewReplacer(".", "_").Replace(s.Key))
}

// Settings lists all settings, in the order in which they are shown.
func Settings() []Setting { return append(serverSettings(), taskSettings()...) }

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// serverSettings are about the server itself.
func serverSettings() []Setting {
	return []Setting{
		{Key: "listen", Default: "127.0.0.1:8080", Many: true, Help: "the `ADDR` to listen on, HOST:PORT or unix:/PATH; several may be given",
			value: list(func(c *Config) *[]string { return &c.Listen }, checkListen)},
		{Key: "plugins", Default: "plugins", Short: "p", Help: "the plugin folder `DIR`", value: text(func(c *Config) *string { return &c.Plugins })},
		{Key: "data", Default: "data", Help: "the folder `DIR` that keeps tasks, tokens and the audit log; made if need be",
			value: text(func(c *Config) *string { return &c.Data })},
		{Key: "cache", Absent: "taskhost in the user's cache folder, or cache in data", Help: "the folder `DIR` of compiled plugins; off: none",
			value: optional(func(c *Config) *string { return &c.Cache })},
		{Key: "tokens", Absent: "tokens.json in data, if it is there", Help: "the `FILE` of tokens; taskhost token create makes one",
			value: optional(func(c *Config) *string { return &c.Tokens })},
		{Key: "trusted_proxies", Absent: "none", Many: true, Help: "addresses `CIDR` of proxies whose X-Forwarded-For is believed", value: prefixes(func(c *Config) *prefixList { return &c.TrustedProxies })},
		{Key: "tls.cert", Absent: "no TLS", Help: "the `FILE` with the certificate chain, PEM; read again when it changes", value: optional(func(c *Config) *string { return &c.TLSCert })},
		{Key: "tls.key", Absent: "no TLS", Help: "the `FILE` with the certificate's private key, PEM", value: optional(func(c *Config) *string { return &c.TLSKey })},
		{Key: "drain_timeout", Default: "30s", Live: true, Help: "how much `TIME` running tasks have to end when the server stops; then they go back into the queue",
			value: duration(func(c *Config) *time.Duration { return &c.DrainTimeout }, 0, 24*time.Hour)},
		{Key: "log.level", Default: "info", Live: true, Help: "the least `LEVEL` that is logged: debug, info, warn or error", value: oneOf(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error")},
		{Key: "log.format", Default: "text", Help: "`FORMAT` of log lines: text or json", value: oneOf(func(c *Config) *string { return &c.LogFormat }, "text", "json")},
		{Key: "metrics.auth", Default: "token", Help: "who may read /metrics when there are tokens, `WHO`: token (a token of any role) or none (everybody)",
			value: oneOf(func(c *Config) *string { return &c.MetricsAuth }, "token", "none")},
		{Key: "metrics.native_histograms", Default: "false", Bool: true, Help: "durations as native histograms, too", value: yesNo(func(c *Config) *bool { return &c.NativeHistograms })},
		{Key: "traces.endpoint", Absent: "no traces", Help: "the `URL` that traces are sent to, OTLP over HTTP", value: optional(func(c *Config) *string { return &c.TracesEndpoint })},
		{Key: "traces.sample", Default: "1", Help: "the `PART` of tasks that is traced, 0 to 1, where no caller has decided", value: fraction(func(c *Config) *float64 { return &c.TracesSample })},
		{Key: "audit.file", Absent: "audit.jsonl in data", Help: "the `FILE` of the audit log", value: optional(func(c *Config) *string { return &c.AuditFile })},
		{Key: "audit.max_bytes", Default: "8MiB", Help: "`SIZE` at which another file of the audit log begins", value: bytes(func(c *Config) *int64 { return &c.AuditMaxBytes }, 64*kib, gib)},
		{Key: "audit.max_files", Default: "8", Help: "how many files of the audit log are kept, `N`", value: number(func(c *Config) *int { return &c.AuditMaxFiles }, 1, 1000)},
		{Key: "max_connections", Default: "50000", Help: "`N` connections at a time; more wait", value: number(func(c *Config) *int { return &c.MaxConnections }, 1, 1_000_000)},
		{Key: "max_streams", Default: "20000", Help: "`N` streams of events at a time", value: number(func(c *Config) *int { return &c.MaxStreams }, 1, 1_000_000)},
		{Key: "max_waiting", Default: "10000", Help: "`N` requests that wait for a task at a time", value: number(func(c *Config) *int { return &c.MaxWaiting }, 1, 1_000_000)},
		{Key: "max_upload", Default: "64MiB", Help: "`SIZE` of an uploaded plugin", value: bytes(func(c *Config) *int64 { return &c.MaxUpload }, kib, 4*gib)},
	}
}

// taskSettings are about tasks and plugins.
func taskSettings() []Setting {
	limit := func(key, def, help string, v value) Setting {
		return Setting{Key: "limits." + key, Default: def, Help: help, value: v}
	}
	return []Setting{
		{Key: "concurrency", Absent: "the number of processors", Short: "j", Also: "jobs", Help: "run `N` tasks at once", value: number(func(c *Config) *int { return &c.Concurrency }, 0, 10_000)},
		{Key: "max_queue", Default: "100000", Help: "`N` tasks that wait; more are refused", value: number(func(c *Config) *int { return &c.MaxQueue }, 1, 100_000_000)},
		{Key: "max_queue_bytes", Default: "4GiB", Help: "`SIZE` of all tasks that wait", value: bytes(func(c *Config) *int64 { return &c.QueueBytes }, 1, math.MaxInt64)},
		{Key: "max_input", Default: "64MiB", Help: "`SIZE` of a task's input", value: bytes(func(c *Config) *int64 { return &c.MaxInput }, 1, 4*gib)},
		{Key: "task_timeout", Absent: "none", Help: "`TIME` that a task may take that sets none itself", value: duration(func(c *Config) *time.Duration { return &c.Timeout }, 0, 365*24*time.Hour)},
		{Key: "keep.tasks", Default: "100000", Help: "keep `N` tasks that have ended; the oldest go", value: number(func(c *Config) *int { return &c.KeepTasks }, 1, 100_000_000)},
		{Key: "keep.bytes", Default: "4GiB", Help: "`SIZE` of all tasks that have ended", value: bytes(func(c *Config) *int64 { return &c.KeepBytes }, 1, math.MaxInt64)},
		{Key: "keep.age", Default: "30d", Help: "`TIME` that a task is kept after its end", value: duration(func(c *Config) *time.Duration { return &c.KeepAge }, time.Second, 100*365*24*time.Hour)},
		{Key: "max_memory", Default: "4GiB", Help: "`SIZE` of the memories of all sandboxes together", value: bytes(func(c *Config) *int64 { return &c.MaxMemory }, mib, math.MaxInt64)},
		{Key: "max_instances", Absent: "four for each processor", Help: "`N` calls of one plugin at a time", value: number(func(c *Config) *int { return &c.MaxInstances }, 0, 100_000)},
		limit("memory", "256MiB", "`SIZE` of a sandbox's memory", bytes(func(c *Config) *int64 { return &c.Limits.Memory }, 64*kib, 4*gib)),
		limit("kernel_memory", "64MiB", "`SIZE` of input, output, vars and messages of a call", bytes(func(c *Config) *int64 { return &c.Limits.KernelMemory }, 64*kib, 4*gib)),
		limit("output", "16MiB", "`SIZE` of a call's output", bytes(func(c *Config) *int64 { return &c.Limits.Output }, 1, 4*gib)),
		limit("log", "1MiB", "`SIZE` of what a call may log", bytes(func(c *Config) *int64 { return &c.Limits.Log }, 1, gib)),
		limit("stack", "32MiB", "`SIZE` of a call's stack", bytes(func(c *Config) *int64 { return &c.Limits.Stack }, 64*kib, 256*mib)),
		limit("fuel", "0", "`N` ticks that a call may take; 0: as many as its time allows", number64(func(c *Config) *int64 { return &c.Limits.Fuel }, 0, math.MaxInt64)),
		limit("run_time", "5m", "`TIME` that a call may take", duration(func(c *Config) *time.Duration { return &c.Limits.RunTime }, time.Millisecond, 365*24*time.Hour)),
		limit("module", "64MiB", "`SIZE` of a module file", bytes(func(c *Config) *int64 { return &c.Limits.Module }, kib, 4*gib)),
		limit("http_response", "16MiB", "`SIZE` of a response that a plugin fetches", bytes(func(c *Config) *int64 { return &c.Limits.HTTPResponse }, 1, gib)),
		limit("vars", "1MiB", "`SIZE` of a plugin's vars", bytes(func(c *Config) *int64 { return &c.Limits.Vars }, 1, gib)),
		{Key: "plugin_config", Absent: "none", Many: true, Hidden: true, Also: "set", Help: "a plugin's config, `PLUGIN.KEY=VALUE`, over what its manifest says; in the file: plugins, with keys below each",
			value: pluginConfig()},
	}
}
