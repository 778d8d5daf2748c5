package host

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/egress"
)

// httpState is what http_status_code and http_headers tell of the last request.
type httpState struct {
	status  int
	headers map[string]string
}

func httpRequest(i *instance, stack []uint64) {
	i.http = httpState{}
	var meta struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
	}
	request := i.block("http_request", stack[0])
	if len(request) > maxRequestJSON {
		panic(abi.Errorf(abi.CodeInvalid, "http_request: the request has %d bytes besides its body, at most %d are allowed", len(request), maxRequestJSON))
	}
	if err := json.Unmarshal(request, &meta); err != nil {
		panic(abi.Errorf(abi.CodeInvalid, "http_request: the request is not valid JSON: %v", err))
	}
	body := append([]byte(nil), i.block("http_request", stack[1])...)
	i.free(stack[0])
	i.free(stack[1])
	ctx, release := i.stop.waiting()
	defer release()
	began := i.v.host.now()
	req := egress.Request{Method: meta.Method, URL: meta.URL, Headers: i.traced(meta.Headers), Body: body}
	resp, err := i.v.egress.Do(ctx, req)
	if err != nil && ctx.Err() != nil {
		err = interruption(context.Cause(ctx), i.stop.limit)
	}
	i.tellHTTP(&req, resp.Status, err, i.v.host.now()-began)
	if err != nil {
		panic(abi.AsError(err))
	}
	i.http = httpState{resp.Status, resp.Headers}
	stack[0] = i.put(resp.Body)
}

// maxRequestJSON bounds a request without its body before it is decoded, in bytes.
const maxRequestJSON = 1 << 20

func httpStatusCode(i *instance, stack []uint64) { stack[0] = uint64(uint32(i.http.status)) }

func httpHeaders(i *instance, stack []uint64) {
	stack[0] = 0
	if i.http.headers == nil {
		return
	}
	b, err := json.Marshal(i.http.headers)
	if err != nil {
		panic(abi.Errorf(abi.CodeInternal, "http_headers: %v", err))
	}
	stack[0] = i.put(b)
}

// traceHeader is the header that carries a trace on, W3C Trace Context.
const traceHeader = "traceparent"

// traced adds the call's traceparent to the headers of a guest's request, unless the guest has one of its own.
func (i *instance) traced(headers map[string]string) map[string]string {
	if i.call == nil {
		return headers
	}
	if _, ok := abi.ParseTraceParent(i.call.TraceParent); !ok {
		return headers
	}
	for name := range headers {
		if strings.EqualFold(name, traceHeader) {
			return headers
		}
	}
	if headers == nil {
		headers = make(map[string]string, 1)
	}
	headers[traceHeader] = i.call.TraceParent
	return headers
}

// tellHTTP tells of a request that has ended.
func (i *instance) tellHTTP(req *egress.Request, status int, err error, took time.Duration) {
	on := i.v.host.cfg.OnEvent
	if on == nil {
		return
	}
	e := i.v.event(EventHTTP)
	e.Duration, e.Err = took, err
	e.HTTP = HTTP{Method: methodWord(req.Method), Status: status}
	if u, err := url.Parse(req.URL); err == nil {
		e.HTTP.Host = clip(u.Host, abi.MaxName)
	}
	if i.call != nil {
		e.tell(i.call)
		e.Function = i.call.Function
	}
	on(e)
}

// methodWord is a method as events have it: a guest can send any token.
func methodWord(method string) string {
	switch m := strings.ToUpper(method); m {
	case "":
		return http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return m
	}
	return "_OTHER"
}
