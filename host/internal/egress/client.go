// Package egress is the HTTP client that the http_request of guests goes through: it reaches only what a policy allows.
package egress

import (
	"context"
	"crypto/x509"
	"net"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Policy says what a Client may reach and how much it may use. The zero Policy reaches nothing.
type Policy struct {
	// AllowedHosts are the hosts that may be reached: names, addresses or patterns. Default: none.
	AllowedHosts []string
	// MaxResponse bounds the body of a response, in bytes. Default: abi.DefaultLimits().HTTPResponse; negative: no body at all.
	MaxResponse int64
	// DialTimeout bounds name look-up and connecting, and the TLS handshake after it, each. Default: 10 s.
	DialTimeout time.Duration
	// RootCAs are the certificate authorities that servers are checked against. Default: the system's.
	RootCAs *x509.CertPool
	// Resolver looks names up. Default: net.DefaultResolver.
	Resolver *net.Resolver
}

// Client makes requests within a policy. It is safe for concurrent use.
type Client struct{}

// Request is one request. The body is not changed, and not used after Do has returned.
type Request struct {
	Method  string // default: GET
	URL     string
	Headers map[string]string
	Body    []byte
}

// Response is the whole answer. Header names are in lower case; the values of one name are joined by ",".
type Response struct {
	Status  int
	Headers map[string]string
	Body    []byte
}

// New makes a Client; the error names the entry of AllowedHosts that is wrong.
func New(p Policy) (*Client, error) { return &Client{}, nil }

// Do makes one request.
func (c *Client) Do(ctx context.Context, req Request) (Response, error) {
	return Response{}, abi.Errorf(abi.CodeInternal, "http_request: not implemented")
}

// CloseIdle closes the connections that no request uses.
func (c *Client) CloseIdle() {}
