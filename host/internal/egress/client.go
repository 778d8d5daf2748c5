package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// The bounds of one Client that no policy sets.
const (
	maxRedirects      = 10
	maxRequestHeader  = 64 << 10  // names and values
	maxResponseHeader = 256 << 10 // as net/http counts
	maxConnsPerHost   = 32        // more requests wait for a connection
	maxIdleConns      = 16
	maxIdlePerHost    = 4
	idleTimeout       = 30 * time.Second
	defaultTimeout    = 10 * time.Second
)

// Policy says what a Client may reach and how much it may use. The zero Policy reaches nothing.
type Policy struct {
	// AllowedHosts are the hosts that may be reached; see the package's documentation. Default: none.
	AllowedHosts []string
	// MaxResponse bounds the body of a response, in bytes, after decompression. Default: abi.DefaultLimits().HTTPResponse;
	// negative: no body at all.
	MaxResponse int64
	// ConnectTimeout bounds looking the name up and connecting, and once more the TLS handshake. Default: 10 s.
	// The request as a whole is bounded by its context alone.
	ConnectTimeout time.Duration
	// RootCAs are the certificate authorities that servers are checked against. Default: the system's.
	RootCAs *x509.CertPool
	// Resolver looks names up. Default: one that works like net.DefaultResolver.
	Resolver *net.Resolver
}

// Client makes requests within a policy. It keeps connections for later requests, and shares them with nobody. It is safe for
// concurrent use.
type Client struct {
	allowed     hostList
	maxResponse int64
	timeout     time.Duration
	resolver    *net.Resolver
	transport   *http.Transport
	http        *http.Client
}

// Request is one request. Do changes nothing of it and uses nothing of it after it returned.
type Request struct {
	Method  string            // default: GET
	URL     string            // http or https; a user and a password in it become basic authentication
	Headers map[string]string // no two names that differ in case alone
	Body    []byte            // default: no body
}

// Response is the whole answer.
type Response struct {
	Status  int
	Headers map[string]string // names in lower case; the values of one name joined by ","
	Body    []byte
}

// New makes a Client. It fails with CodeInvalid when an entry of AllowedHosts is wrong, and names the entry.
func New(p Policy) (*Client, error) {
	allowed, err := parseHosts(p.AllowedHosts)
	if err != nil {
		return nil, err
	}
	c := &Client{allowed: allowed, maxResponse: p.MaxResponse, timeout: p.ConnectTimeout, resolver: p.Resolver}
	switch {
	case c.maxResponse == 0:
		c.maxResponse = abi.DefaultLimits().HTTPResponse
	case c.maxResponse < 0:
		c.maxResponse = 0
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.resolver == nil {
		c.resolver = &net.Resolver{}
	}
	c.transport = &http.Transport{
		Proxy:                  nil,
		DialContext:            c.dial,
		TLSClientConfig:        &tls.Config{RootCAs: p.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    c.timeout,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        maxConnsPerHost,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
	c.http = &http.Client{Transport: c.transport, CheckRedirect: c.checkRedirect}
	return c, nil
}

// CloseIdle closes the connections that no request uses, and ends the attempts to connect that no request waits for.
// The Client stays usable. Called after the last request, it leaves nothing behind.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// Do makes one request and reads the whole answer, whatever its status. When ctx ends, it returns the cause of that promptly.
//
// Otherwise its errors are of type *abi.Error, with the codes
//   - CodeInvalid: the method, the URL or a header is wrong;
//   - CodeDenied: the policy does not allow the host, the address that it has, or the target of a redirect;
//   - CodeOutputLimit: the body of the response is larger than MaxResponse;
//   - CodeUnavailable: there was no connection or no proper answer, or more than 10 redirects.
func (c *Client) Do(ctx context.Context, req Request) (Response, error) {
	if ctx.Err() != nil {
		return Response{}, context.Cause(ctx)
	}
	r, err := c.request(ctx, req)
	if err != nil {
		return Response{}, err
	}
	host := r.URL.Host
	resp, err := c.http.Do(r)
	if err != nil {
		return Response{}, failure(ctx, host, err)
	}
	defer resp.Body.Close()
	host = resp.Request.URL.Host // after redirects

	body, err := c.readBody(resp, host)
	if err != nil {
		return Response{}, failure(ctx, host, err)
	}
	headers := make(map[string]string, len(resp.Header))
	for name, values := range resp.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	return Response{Status: resp.StatusCode, Headers: headers, Body: body}, nil
}

// request checks everything that can be checked before a connection is made.
func (c *Client) request(ctx context.Context, req Request) (*http.Request, error) {
	method, err := parseMethod(req.Method)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(req.URL)
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "http_request: wrong URL: %v", withoutURL(err))
	}
	if err := c.admit(u); err != nil {
		return nil, err
	}
	headers, err := parseHeaders(req.Headers)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if len(req.Body) > 0 {
		body = bytes.NewReader(req.Body) // net/http rewinds it for redirects
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "http_request: %v", withoutURL(err))
	}
	r.Header = headers
	return r, nil
}

// admit puts the URL's host into its canonical form and checks it against the list.
func (c *Client) admit(u *url.URL) error {
	t, err := parseTarget(u)
	if err != nil {
		return err
	}
	u.Host = t.urlHost()
	if c.allowed.match(t.host, t.port) == grantNone {
		return notListed(u.Host)
	}
	return nil
}

// notListed is the refusal of a host that no entry matches.
func notListed(host string) *abi.Error {
	return abi.Errorf(abi.CodeDenied, "http_request: host %q is not allowed; list it in allowed_hosts of the plugin's manifest", host)
}

// readBody reads the body up to the bound.
func (c *Client) readBody(resp *http.Response, host string) ([]byte, error) {
	tooLarge := func() error {
		return abi.Errorf(abi.CodeOutputLimit, "http_request: the response of host %q is larger than %d bytes; raise max_http_response_bytes",
			host, c.maxResponse)
	}
	if resp.Request.Method != http.MethodHead && resp.ContentLength > c.maxResponse {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.maxResponse+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(body)) > c.maxResponse:
		return nil, tooLarge()
	}
	return body, nil
}

// failure is the error of a request that was under way.
func failure(ctx context.Context, host string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*abi.Error](err); ok {
		return e
	}
	return abi.Errorf(abi.CodeUnavailable, "http_request: host %q: %w", host, withoutURL(err))
}

// withoutURL takes the URL out of an error of net/http or net/url: it may hold secrets, and it may be long.
func withoutURL(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}
