package httpapi

import (
	"cmp"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits bound what clients may use. Zero fields mean their defaults.
type Limits struct {
	MaxInput  int64 // bytes of a task's raw input, and of the body of one submit; default 64 MiB
	MaxUpload int64 // bytes of an uploaded plugin; default 64 MiB
	MaxBody   int64 // bytes of other bodies; default 1 MiB
	MaxHeader int   // bytes of a request's line and headers; default 64 KiB

	HeaderTimeout time.Duration // for a request's line and headers; default 5 seconds
	IdleTimeout   time.Duration // of a connection between requests; default 2 minutes
	BodyTimeout   time.Duration // how far a body may lag behind MinRate; default 10 seconds
	MinRate       int64         // bytes a second at which bodies have to come and answers to be taken; default 4 KiB
	WriteTimeout  time.Duration // for what is written at one time, an event for example; default 10 seconds

	MaxWait    time.Duration // of ?wait=; default 5 minutes
	MaxWaiting int           // requests that wait for a task at a time; default 10,000
	MaxStreams int           // streams of events at a time; default 20,000
	MaxConns   int           // connections at a time; default 50,000
}

func (l Limits) withDefaults() Limits {
	l.MaxInput = cmp.Or(l.MaxInput, 64<<20)
	l.MaxUpload = cmp.Or(l.MaxUpload, 64<<20)
	l.MaxBody = cmp.Or(l.MaxBody, 1<<20)
	l.MaxHeader = cmp.Or(l.MaxHeader, 64<<10)
	l.HeaderTimeout = cmp.Or(l.HeaderTimeout, 5*time.Second)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, 2*time.Minute)
	l.BodyTimeout = cmp.Or(l.BodyTimeout, 10*time.Second)
	l.MinRate = cmp.Or(l.MinRate, 4<<10)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 10*time.Second)
	l.MaxWait = cmp.Or(l.MaxWait, 5*time.Minute)
	l.MaxWaiting = cmp.Or(l.MaxWaiting, 10_000)
	l.MaxStreams = cmp.Or(l.MaxStreams, 20_000)
	l.MaxConns = cmp.Or(l.MaxConns, 50_000)
	return l
}

// HTTPServer makes a server for a handler with the limits that keep slow and hostile clients from holding it. The bodies of all requests
// have to come at the pace of the limits, whether the handler reads them or the server passes them over. Handlers that write for longer
// move the deadline on themselves, as those of an API do; those beside it get WriteTimeout and a minute. Serve it on a [Listener]. Before
// its Shutdown, call [Events.Close]: streams do not end by themselves.
func HTTPServer(handler http.Handler, limits Limits, log *slog.Logger) *http.Server {
	l := limits.withDefaults()
	s := &http.Server{
		Handler:           paced(handler, &l),
		ReadHeaderTimeout: l.HeaderTimeout,
		IdleTimeout:       l.IdleTimeout,
		WriteTimeout:      l.WriteTimeout + time.Minute,
		MaxHeaderBytes:    max(l.MaxHeader-4096, 1), // the server adds 4,096
	}
	if log != nil {
		s.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	}
	return s
}

// Listener bounds the connections of a listener to Limits.MaxConns: more wait to be accepted.
func Listener(inner net.Listener, limits Limits) net.Listener {
	l := &listener{Listener: inner, slots: make(chan struct{}, limits.withDefaults().MaxConns), closed: make(chan struct{})}
	return l
}

type listener struct {
	net.Listener
	slots  chan struct{} // one token for each open connection
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &conn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type conn struct {
	net.Conn
	free func()
}

func (c *conn) Close() error {
	defer c.free()
	return c.Conn.Close()
}

// bodyReader reads a request's body with a deadline that moves with what has come. The server lifts the deadline when the body was read to
// its end, and then watches the connection; until then it stays, so that no client can hold the server with a body that never comes.
type bodyReader struct {
	limits  *Limits
	control *http.ResponseController
	body    io.ReadCloser
	made    time.Time
	began   time.Time // when it was read first
	set     time.Time // when the deadline was set last
	read    int64
	ended   bool
	err     error // why it ended, other than by its end
}

// pacedRequest is a request and its body, made at one time.
type pacedRequest struct {
	r    http.Request
	body bodyReader
}

// paced gives requests their bodyReader before a handler sees them.
func paced(next http.Handler, l *Limits) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		// A copy: the server looks at the body of its own one to see what was left.
		p := &pacedRequest{r: *r, body: bodyReader{limits: l, control: http.NewResponseController(w), body: r.Body, made: time.Now()}}
		p.r.Body = &p.body
		if r.ProtoMajor < 2 { // a stream of HTTP/2 whose deadline has passed cannot be read any more, and nobody waits for what is left of it
			p.body.allow(p.body.made, p.body.made.Add(l.BodyTimeout))
		}
		next.ServeHTTP(w, &p.r)
		p.body.leave()
	})
}

// newBody is the reader of a request's body, which bounds its size. The caller calls done when it has read what it wants.
func (a *API) newBody(w http.ResponseWriter, r *http.Request, limit int64) *bodyReader {
	b, ok := r.Body.(*bodyReader)
	if !ok { // not of an HTTPServer
		b = &bodyReader{limits: &a.cfg.Limits, control: http.NewResponseController(w), body: r.Body, made: time.Now()}
	}
	b.body = http.MaxBytesReader(w, b.body, limit)
	return b
}

func (b *bodyReader) allow(now, due time.Time) {
	b.set = now
	_ = b.control.SetReadDeadline(due)
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.ended { // the deadline is not ours any more
		return 0, io.EOF
	}
	now := time.Now()
	if b.began.IsZero() {
		b.began = now
	}
	if now.Sub(b.set) > b.limits.BodyTimeout/16 {
		due := b.began.Add(b.limits.BodyTimeout + time.Duration(float64(b.read)/float64(b.limits.MinRate)*float64(time.Second)))
		if most := now.Add(b.limits.BodyTimeout); due.After(most) { // what came fast is no credit for ever
			due = most
		}
		b.allow(now, due)
	}
	n, err := b.body.Read(p)
	b.read += int64(n)
	switch {
	case err == io.EOF:
		b.ended = true
	case err != nil:
		b.err = err
	}
	return n, err
}

// Close is for those that end a body early.
func (b *bodyReader) Close() error { return b.body.Close() }

// done gives the answer its time from now on.
func (b *bodyReader) done() {
	if now := time.Now(); now.Sub(b.made) > time.Second { // else it has it
		_ = b.control.SetWriteDeadline(now.Add(b.limits.WriteTimeout + time.Minute))
	}
}

// leave gives what is left of the body its time, for the server to pass it over.
func (b *bodyReader) leave() {
	if b.ended || b.err != nil || b.set.IsZero() {
		return
	}
	if now := time.Now(); now.Sub(b.set) > b.limits.BodyTimeout/2 {
		b.allow(now, now.Add(b.limits.BodyTimeout))
	}
}

// slowWriter writes an answer of any size with a deadline that moves with what was taken.
type slowWriter struct {
	http.ResponseWriter
	limits  *Limits
	control *http.ResponseController
}

func (a *API) newWriter(w http.ResponseWriter) *slowWriter {
	return &slowWriter{ResponseWriter: w, limits: &a.cfg.Limits, control: http.NewResponseController(w)}
}

const writePiece = 64 << 10

func (w *slowWriter) Write(p []byte) (n int, err error) {
	for {
		piece := p[n:min(n+writePiece, len(p))]
		_ = w.control.SetWriteDeadline(time.Now().Add(w.limits.WriteTimeout + time.Duration(len(piece))*time.Second/time.Duration(w.limits.MinRate)))
		m, err := w.ResponseWriter.Write(piece)
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// Unwrap is for http.ResponseController.
func (w *slowWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
