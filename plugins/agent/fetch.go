package main

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

type fetchArgs struct {
	URL      string            `json:"url"`
	Method   string            `json:"method"` // default GET
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	MaxBytes int               `json:"max_bytes"` // of the body in the reply; default 1 MiB
}

type fetchReply struct {
	URL       string            `json:"url"`
	Status    int               `json:"status"`
	Headers   map[string]string `json:"headers"`
	Bytes     int               `json:"bytes"` // length of the whole body
	Truncated bool              `json:"truncated,omitempty"`
	Text      string            `json:"text,omitempty"` // the body when it is UTF-8
	Base64    []byte            `json:"base64,omitempty"`
}

const defaultMaxBytes = 1 << 20

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// fetchURL makes one HTTP request. An answer with any status is a result.
func fetchURL(args fetchArgs) (reply fetchReply, err error) {
	request, err := args.request()
	if err != nil {
		return reply, taskhost.InvalidInput(err)
	}
	taskhost.Progress(0, 1, request.Method+" "+args.URL)
	response, err := taskhost.HTTP(request)
	if err != nil {
		return reply, err
	}
	if err := countResponse(response); err != nil {
		return reply, err
	}
	body := response.Body
	reply = fetchReply{URL: args.URL, Status: response.Status, Headers: response.Headers, Bytes: len(body)}
	whole := utf8.Valid(body)
	if len(body) > args.MaxBytes {
		reply.Truncated = true
		body = body[:args.MaxBytes]
		for whole && !utf8.Valid(body) { // at most three bytes of a character that was cut
			body = body[:len(body)-1]
		}
	}
	if whole {
		reply.Text = string(body)
	} else {
		reply.Base64 = body
	}
	return reply, nil
}

// request checks the arguments and fills in the defaults.
func (a *fetchArgs) request() (r taskhost.Request, err error) {
	u, err := url.Parse(a.URL)
	switch {
	case a.URL == "":
		return r, fmt.Errorf("argument url is missing")
	case err != nil:
		return r, fmt.Errorf("argument url: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return r, fmt.Errorf("argument url: %q is not an http or https address", a.URL)
	case a.MaxBytes < 0:
		return r, fmt.Errorf("argument max_bytes: %d is negative", a.MaxBytes)
	}
	if a.MaxBytes == 0 {
		a.MaxBytes = defaultMaxBytes
	}
	r = taskhost.Request{Method: "GET", URL: a.URL, Headers: a.Headers, Body: []byte(a.Body)}
	if a.Method == "" {
		return r, nil
	}
	for _, m := range methods {
		if strings.EqualFold(m, a.Method) {
			r.Method = m
			return r, nil
		}
	}
	return r, fmt.Errorf("argument method: %q is none of %s", a.Method, strings.Join(methods, ", "))
}

func countResponse(r *taskhost.Response) error {
	class := taskhost.Labels{"class": fmt.Sprintf("%dxx", r.Status/100)}
	if err := taskhost.MetricAdd("fetch_responses_total", 1, class); err != nil {
		return err
	}
	return taskhost.MetricObserve("fetch_response_bytes", float64(len(r.Body)), nil)
}
