package egress

import (
	"net/http"

	"github.com/taskhost/taskhost/abi"
)

// checkRedirect is asked before each redirect is followed; via are the requests so far, the oldest first.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL.Host
	if len(via) > maxRedirects {
		return abi.Errorf(abi.CodeUnavailable, "http_request: host %q redirects more than %d times", from, maxRedirects)
	}
	if err := c.admit(req.URL); err != nil {
		e := *abi.AsError(err)
		e.Message += "; the redirect came from " + from
		return &e
	}
	// net/http keeps these for other ports and subdomains, and adds a Referer.
	if strayed(req, via) {
		for _, name := range []string{"Authorization", "Cookie", "Cookie2", "Www-Authenticate", "Referer"} {
			req.Header.Del(name)
		}
	}
	return nil
}

// strayed reports whether the chain of redirects ever left the scheme, host and port that it began with.
func strayed(req *http.Request, via []*http.Request) bool {
	first := via[0].URL
	for _, r := range append(via[1:len(via):len(via)], req) {
		if r.URL.Scheme != first.Scheme || r.URL.Host != first.Host {
			return true
		}
	}
	return false
}
