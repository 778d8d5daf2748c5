package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/taskhost/taskhost/monitor"
)

// openMonitor makes what operators watch: metrics, logs of tasks, and traces if somebody takes them.
func (s *service) openMonitor(ctx context.Context) (err error) {
	if s.cfg.TracesEndpoint != "" {
		cfg := monitor.TracingConfig{Endpoint: s.cfg.TracesEndpoint, SampleRatio: s.cfg.TracesSample, ServiceVersion: version, Logger: s.log.Logger}
		if cfg.SampleRatio == 0 {
			cfg.SampleRatio = -1 // none, where no caller has decided
		}
		if s.tracing, err = monitor.NewTracing(ctx, cfg); err != nil {
			return usagef("traces.endpoint: %v", err)
		}
	}
	s.registry = prometheus.NewRegistry()
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.monitor, err = monitor.New(monitor.Config{
		Registerer: s.registry, Logger: s.log.tasks(), Tracing: s.tracing, NativeHistograms: s.cfg.NativeHistograms, Version: version,
	})
	return err
}
