package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// DefaultURL is where a server listens unless it is told otherwise.
const DefaultURL = "http://127.0.0.1:8080"

// Config says where the server is, and how patient the client is. The zero Config talks to a server on this machine.
type Config struct {
	// BaseURL is the server's address, such as "https://tasks.example.com". A path in it stands before /v1. "unix:/run/taskhost.sock" is a server
	// that listens on a unix socket; it does not go with HTTPClient. Default: DefaultURL.
	BaseURL string
	// Token is sent with every request. Default: none, for a server without tokens.
	Token string
	// RootCAs are what an https server's certificate is checked against. Default: those of the system. It does not go with HTTPClient.
	RootCAs *x509.CertPool
	// HTTPClient sends the requests. It is copied: redirects are errors, whatever it says, and its Timeout must be zero, since requests
	// that wait and streams take as long as they take. Default: one of the client's own.
	HTTPClient *http.Client
	// UserAgent is sent with every request. Default: "taskhost-client".
	UserAgent string

	// RetryFor bounds how long a request is sent again that failed for a reason that may pass, from its first failure on. Default: 30 seconds.
	// Negative: every request is sent once.
	RetryFor time.Duration
	// Timeout bounds one try of a request, not counting the time that it asks the server to wait, nor the bytes of Input and Output.
	// Default: 1 minute; for an upload of a plugin ten times as long.
	Timeout time.Duration
	// MaxAnswer bounds the bytes of one answer that is kept in memory, that is of all but Input, Output and Partial. Default: 256 MiB.
	MaxAnswer int64
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	c.BaseURL = or(c.BaseURL, DefaultURL)
	c.UserAgent = or(c.UserAgent, "taskhost-client")
	c.RetryFor = or(c.RetryFor, 30*time.Second)
	c.Timeout = or(c.Timeout, time.Minute)
	c.MaxAnswer = or(c.MaxAnswer, 256<<20)
	return c
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// validate says what is wrong with a Config, and returns the address without a slash at its end.
func (c *Config) validate() (string, error) {
	if path := c.socket(); path != "" {
		if c.HTTPClient != nil || c.RootCAs != nil {
			return "", abi.Errorf(abi.CodeInvalid, "a unix socket goes with neither HTTPClient nor RootCAs")
		}
		return "http://localhost", c.validateRest()
	}
	u, err := url.Parse(c.BaseURL)
	switch {
	case strings.Contains(c.BaseURL, "@"): // not to be repeated
		return "", abi.Errorf(abi.CodeInvalid, "the address of the server holds a user or a password; give a token instead")
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return "", abi.Errorf(abi.CodeInvalid, "%.200q is not the address of a server: write for example %s", c.BaseURL, DefaultURL)
	case u.RawQuery != "" || u.Fragment != "":
		return "", abi.Errorf(abi.CodeInvalid, "%.200q has a query or a fragment, which the address of a server has not", c.BaseURL)
	}
	return strings.TrimRight(u.String(), "/"), c.validateRest()
}

// socket is the path of the unix socket that the server listens on; empty: it listens on a network.
func (c *Config) socket() string {
	path, _ := strings.CutPrefix(c.BaseURL, "unix:")
	if path == c.BaseURL {
		return ""
	}
	return path
}

// validateRest is validate for all but the address.
func (c *Config) validateRest() error {
	switch {
	case strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return abi.Errorf(abi.CodeInvalid, "the token holds a space or another byte that no token has")
	case strings.ContainsAny(c.UserAgent, "\r\n\x00"):
		return abi.Errorf(abi.CodeInvalid, "the user agent %.100q cannot be a header", c.UserAgent)
	case c.HTTPClient != nil && c.RootCAs != nil:
		return abi.Errorf(abi.CodeInvalid, "give one of HTTPClient and RootCAs: the client's transport knows its authorities")
	case c.HTTPClient != nil && c.HTTPClient.Timeout != 0:
		return abi.Errorf(abi.CodeInvalid, "HTTPClient has a Timeout, which would end waits and streams; bound them with their context, and requests with Config.Timeout")
	case c.Timeout < 0 || c.MaxAnswer < 0:
		return abi.Errorf(abi.CodeInvalid, "Timeout and MaxAnswer must not be negative")
	}
	return nil
}

// Client talks to one server. It is safe for concurrent use.
type Client struct {
	cfg   Config
	base  string // what requests are made of, without a slash at its end
	shown string // what errors name
	http  *http.Client
	own   *http.Transport // nil: the transport is somebody else's

	silence time.Duration // a stream without a byte for so long is dead
	backoff time.Duration // the first wait before something is tried again
}

// New makes a client. It sends nothing; see [Client.Ready]. Errors are CodeInvalid.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	base, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, base: base, shown: base, http: &http.Client{}, silence: 45 * time.Second, backoff: 100 * time.Millisecond}
	if cfg.HTTPClient != nil {
		*c.http = *cfg.HTTPClient
	} else {
		c.own = newTransport(cfg.RootCAs, cfg.socket())
		c.http.Transport = c.own
	}
	if cfg.socket() != "" {
		c.shown = cfg.BaseURL
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// newTransport is the usual one, with more connections that are kept for the next request. With a socket it connects to that.
func newTransport(roots *x509.CertPool, socket string) *http.Transport {
	t := &http.Transport{}
	if usual, ok := http.DefaultTransport.(*http.Transport); ok {
		t = usual.Clone()
	}
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 256
	if socket != "" {
		t.Proxy = nil
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
	}
	if roots != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return t
}

// Close closes connections that are kept for further requests, if they are the client's own. Requests under way go on, and further ones
// are possible.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// URL is the server's address.
func (c *Client) URL() string { return c.shown }
