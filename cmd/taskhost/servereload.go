package main

import (
	"context"
	"errors"
	"strings"

	"github.com/taskhost/taskhost/internal/config"
	"github.com/taskhost/taskhost/internal/systemd"
)

// reload reads the configuration again, with the tokens and the certificate, and tells what has to wait for a restart.
func (s *service) reload(ctx context.Context, load func() (*config.Loaded, error)) {
	if err := s.systemd.Reloading(); err != nil {
		s.log.Warn("systemd does not listen", "error", err)
	}
	err := s.reloadAll(load)
	if err != nil {
		s.log.Error("the configuration was read again, with faults; what is wrong stays as it was", "error", err)
	} else {
		s.log.Info("the configuration was read again")
	}
	s.record(ctx, "server.reload", "", err)
	_ = s.notify(systemd.Ready)
}

func (s *service) reloadAll(load func() (*config.Loaded, error)) error {
	errs := []error{s.tokens.Reload()}
	if s.certs != nil {
		errs = append(errs, s.certs.Reload())
	}
	if next, err := load(); err != nil {
		errs = append(errs, err)
	} else {
		s.take(next)
	}
	return errors.Join(errs...)
}

// take takes over from another configuration what can change while the server runs.
func (s *service) take(next *config.Loaded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var later []string
	now := *s.cfg
	for _, changed := range next.Changes(s.cfg) {
		if !changed.Live {
			later = append(later, changed.Key)
		}
	}
	now.LogLevel, now.DrainTimeout = next.LogLevel, next.DrainTimeout
	now.Values = append([]config.Value(nil), s.cfg.Values...)
	for i := range now.Values {
		if now.Values[i].Setting.Live {
			now.Values[i] = next.Values[i]
		}
	}
	s.cfg = &now
	s.log.setLevel(now.LogLevel)
	if len(later) > 0 {
		s.log.Warn("these settings have changed and need a restart", "keys", strings.Join(later, ", "))
	}
}
