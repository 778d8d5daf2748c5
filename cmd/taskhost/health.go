package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/internal/config"
)

func (a *app) healthCommand() *cli.Command {
	return &cli.Command{
		Name: "health", Usage: "ask the server of a configuration, on this machine, whether it is ready: for the health checks of containers",
		UsageText: "taskhost health [--live] [--config FILE] [--listen ADDR]",
		Description: "It finds the server by the settings that serve has: listen and tls.cert, from the configuration file, the environment or flags.\n" +
			"The exit code is 0 when the server is ready, with --live when it answers at all, and 1 otherwise.",
		Flags:  append(configFlags(), &cli.BoolFlag{Name: "live", Usage: "ask whether it lives, not whether it is ready", DisableDefaultText: true}),
		Action: a.healthAction,
	}
}

func (a *app) healthAction(c *cli.Context) error {
	l, err := a.loadConfig(c)
	if err != nil {
		return err
	}
	path := "/readyz"
	if c.Bool("live") {
		path = "/healthz"
	}
	ctx, cancel := context.WithTimeout(c.Context, 10*time.Second)
	defer cancel()
	answer, err := askHealth(ctx, &l.Config, path)
	if err != nil {
		return err
	}
	a.console.printf("taskhost: %s\n", oneLine(answer))
	return nil
}

// askHealth asks the first address that the server of a configuration listens on.
func askHealth(ctx context.Context, cfg *config.Config, path string) (string, error) {
	network, addr, url := "tcp", cfg.Listen[0], "http://localhost"+path
	if socket, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", socket
	} else {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return "", err
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			addr = net.JoinHostPort("localhost", port)
		}
		if cfg.TLSCert != "" {
			url = "https://localhost" + path
		}
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		// It is this machine's own server, under whatever name its certificate is, and nothing is told to it.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &unready{string(text)}
	}
	return string(text), err
}

// unready is what a server says that is not ready.
type unready struct {
	text string
}

func (e *unready) Error() string { return "not ready: " + oneLine(e.text) }
