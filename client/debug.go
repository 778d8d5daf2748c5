package client

import (
	"context"
	"net/http"
	"time"
)

// DebugBundle opens a server's debug bundle, a .tar.gz of what helps to understand a fault: versions, settings without secrets, metrics,
// goroutines, the last warnings. It needs the role admin.
func (c *Client) DebugBundle(ctx context.Context) (*Body, error) {
	r := newRequest(http.MethodGet, "debug", "bundle")
	r.accept, r.timeout = "*/*", time.Minute
	return c.open(ctx, r)
}
