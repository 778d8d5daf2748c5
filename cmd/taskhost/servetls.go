package main

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificates are a certificate and its key, from files that may change while the server runs.
type certificates struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate
	stats  [2]fs.FileInfo // of the files as they were looked at last
	looked time.Time
}

// certEvery is how often the files are looked at, at most.
const certEvery = time.Second

// loadCertificates reads a certificate and its key.
func loadCertificates(cert, key string, log *slog.Logger) (*certificates, error) {
	c := &certificates{cert: cert, key: key, log: log}
	if err := c.load(); err != nil {
		return nil, usagef("tls.cert and tls.key cannot be used: %v", err)
	}
	return c, nil
}

// load reads the files; c is locked, or not yet shared.
func (c *certificates) load() error {
	stats, err := c.stat()
	if err != nil {
		return err
	}
	c.stats, c.looked = stats, time.Now()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.now = &pair
	switch left := time.Until(pair.Leaf.NotAfter); {
	case left <= 0:
		c.log.Error("the certificate has expired", "file", c.cert, "not_after", pair.Leaf.NotAfter)
	case left < 14*24*time.Hour:
		c.log.Warn("the certificate expires soon", "file", c.cert, "not_after", pair.Leaf.NotAfter)
	}
	return nil
}

func (c *certificates) stat() (stats [2]fs.FileInfo, err error) {
	for i, path := range []string{c.cert, c.key} {
		if stats[i], err = os.Stat(path); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

// get is for tls.Config.GetCertificate.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= certEvery {
		c.looked = time.Now()
		if stats, err := c.stat(); err == nil && (changed(c.stats[0], stats[0]) || changed(c.stats[1], stats[1])) {
			_ = c.reload()
		}
	}
	return c.now, nil
}

func changed(before, now fs.FileInfo) bool {
	return !os.SameFile(before, now) || !before.ModTime().Equal(now.ModTime()) || before.Size() != now.Size()
}

// reload reads the files again. When they cannot be used, the certificate stays; c is locked.
func (c *certificates) reload() error {
	if err := c.load(); err != nil {
		c.log.Error("the certificate cannot be loaded; the one before stays", "file", c.cert, "key", c.key, "error", err)
		return err
	}
	c.log.Info("the certificate was loaded", "file", c.cert, "not_after", c.now.Leaf.NotAfter)
	return nil
}

// Reload reads the files now.
func (c *certificates) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.reload(); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	return nil
}

func (c *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}
