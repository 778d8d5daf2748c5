package taskhost

import (
	"encoding/json"
	"fmt"

	"github.com/taskhost/taskhost/sdk/go/internal/guest"
)

// Request is an HTTP request.
type Request struct {
	Method  string            // default GET
	URL     string            // http or https, to a host that the plugin's manifest allows
	Headers map[string]string // may be nil
	Body    []byte            // may be nil
}

// Response is the answer to a [Request].
type Response struct {
	Status  int
	Headers map[string]string // names in lower case; values of the same name joined with commas
	Body    []byte
}

// HTTP makes a request through the host. An answer with any status is an answer. What is not one ends the call, with an error of the
// host that a plugin cannot catch: a host that the manifest does not allow, no connection, a body past the manifest's bound.
func HTTP(r Request) (*Response, error) {
	meta, err := json.Marshal(struct {
		Method  string            `json:"method,omitempty"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers,omitempty"`
	}{r.Method, r.URL, r.Headers})
	if err != nil {
		return nil, err
	}
	status, headers, body := guest.HTTP(meta, r.Body)
	response := &Response{Status: status, Body: body}
	if len(headers) > 0 {
		if err := json.Unmarshal(headers, &response.Headers); err != nil {
			return nil, fmt.Errorf("headers of %s: %w", r.URL, err)
		}
	}
	return response, nil
}
