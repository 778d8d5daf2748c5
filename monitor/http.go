package monitor

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// httpMetrics are the metrics of a server.
type httpMetrics struct {
	routes   *names
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	size     *prometheus.CounterVec
	active   prometheus.Gauge
	streams  prometheus.Gauge

	mu     sync.RWMutex
	series map[httpKey]*httpSeries // looked up once
}

type httpKey struct {
	route, method string
	status        int
}

type httpSeries struct {
	requests prometheus.Counter
	sent     prometheus.Counter
	duration *observer
}

func newHTTPMetrics(mk *maker) *httpMetrics {
	return &httpMetrics{
		routes: newNames(MaxNames), series: map[httpKey]*httpSeries{},
		requests: mk.counter("taskhost_http_requests_total", "Requests that the server has answered.", "route", "method", "code"),
		duration: mk.histogram("taskhost_http_request_duration_seconds",
			"Time of requests, without streams of events and requests that asked to wait.", durationBuckets(), "route", "method"),
		size:    mk.counter("taskhost_http_response_bytes_total", "Bytes of answers, without their headers.", "route", "method"),
		active:  mk.gauge("taskhost_http_requests_active", "Requests that are being answered, streams of events included.").WithLabelValues(),
		streams: mk.gauge("taskhost_http_event_streams", "Streams of events (SSE) that are open.").WithLabelValues(),
	}
}

// HTTP returns a handler that measures next. The label route is the pattern of the http.ServeMux that answered, or Request.Pattern as the
// handler left it: that of next itself, or of the one inside of [Route].
func (m *Monitor) HTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w, streams: m.http.streams}
		r = r.WithContext(context.WithValue(r.Context(), routeKey{}, rec))
		m.http.active.Inc()
		defer func() {
			m.http.active.Dec()
			fault := recover()
			if fault != nil && rec.status == 0 {
				rec.status = http.StatusInternalServerError
			}
			if rec.pattern == "" {
				rec.pattern = r.Pattern
			}
			m.http.ended(r, rec, began)
			if fault != nil {
				panic(fault)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// Route tells [Monitor.HTTP] which pattern answered, where handlers that copy the request stand between the two. Of several, the innermost
// counts.
func Route(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if rec, ok := r.Context().Value(routeKey{}).(*recorder); ok && rec.pattern == "" {
				rec.pattern = r.Pattern
			}
		}()
		next.ServeHTTP(w, r)
	})
}

type routeKey struct{}

// ended records a request.
func (m *httpMetrics) ended(r *http.Request, rec *recorder, began time.Time) {
	if rec.stream {
		m.streams.Dec()
	}
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	s := m.of(httpKey{rec.pattern, r.Method, rec.status})
	s.requests.Inc()
	s.sent.Add(float64(rec.sent))
	if rec.stream || waits(r.URL) {
		return
	}
	now := time.Now()
	s.duration.observe(now.Sub(began).Seconds(), now, func() prometheus.Labels {
		return exemplarLabels("", recordedTrace(r.Header.Get("Traceparent")))
	})
}

// waits reports whether a request asked for an answer that comes later.
func waits(u *url.URL) bool {
	return strings.Contains(u.RawQuery, "wait=")
}

// of finds the series of a key. Methods are whatever clients send, and so are statuses of handlers that pass on another's: both are bounded
// before anything is kept.
func (m *httpMetrics) of(key httpKey) *httpSeries {
	if key.method = methodLabel(key.method); key.status < 100 || key.status > 599 {
		key.status = 0
	}
	m.mu.RLock()
	s := m.series[key]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	route := key.route
	if _, path, ok := strings.Cut(route, " "); ok {
		route = path
	}
	if route == "" {
		route = "none"
	}
	route = m.routes.bound(route)
	code := other
	if key.status != 0 {
		code = strconv.Itoa(key.status)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	bounded := httpKey{route, key.method, key.status}
	if s = m.series[bounded]; s == nil {
		s = &httpSeries{
			requests: m.requests.WithLabelValues(route, key.method, code),
			sent:     m.size.WithLabelValues(route, key.method),
			duration: newObserver(m.duration.WithLabelValues(route, key.method)),
		}
		m.series[bounded] = s
	}
	if route != other { // patterns past the bound are not kept
		m.series[key] = s
	}
	return s
}

// methodLabel is a method as a label.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return other
}

// recorder is a ResponseWriter that sees what is answered.
type recorder struct {
	http.ResponseWriter
	streams prometheus.Gauge
	pattern string // of the mux that answered
	status  int
	sent    int64
	stream  bool
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
			w.stream = true
			w.streams.Inc()
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(b)
	w.sent += int64(n)
	return n, err
}

// Flush implements http.Flusher.
func (w *recorder) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush() // a writer that cannot needs none
}
