// Package config is the configuration of taskhost serve: one table of settings, of which each can be given in a file, as an environment
// variable and as a flag. A flag goes before the environment, that before the file, that before the default.
package config

import (
	"net/netip"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Config is a configuration that was checked, each setting by itself and all together. The table in settings.go says what each is.
type Config struct {
	Listen         []string
	Plugins        string
	Data           string
	Cache          string // empty: the user's cache folder, or one in Data
	Tokens         string // empty: a file in Data, if it is there
	TrustedProxies []netip.Prefix
	TLSCert        string
	TLSKey         string

	Concurrency  int // 0: the number of processors
	MaxQueue     int
	QueueBytes   int64
	MaxInput     int64
	Timeout      time.Duration // of tasks that set none; 0: none
	KeepTasks    int
	KeepBytes    int64
	KeepAge      time.Duration
	DrainTimeout time.Duration

	Limits       abi.Limits // of plugins; zero fields are defaults
	MaxMemory    int64
	MaxInstances int                          // 0: four for each processor
	PluginConfig map[string]map[string]string // plugin, key, value

	LogLevel  string
	LogFormat string

	MetricsAuth      string
	NativeHistograms bool
	TracesEndpoint   string
	TracesSample     float64

	AuditFile     string // empty: a file in Data
	AuditMaxBytes int64
	AuditMaxFiles int

	MaxConnections int
	MaxStreams     int
	MaxWaiting     int
	MaxUpload      int64
}

// check says what is wrong with settings that are right each by itself.
func (c *Config) check() error {
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return abi.Errorf(abi.CodeInvalid, "tls.cert and tls.key go together; one of them is missing")
	case c.MaxQueue > 0 && c.QueueBytes < c.MaxInput:
		return abi.Errorf(abi.CodeInvalid, "max_queue_bytes (%s) is less than max_input (%s): such a task could never wait", formatBytes(c.QueueBytes), formatBytes(c.MaxInput))
	}
	return nil
}
