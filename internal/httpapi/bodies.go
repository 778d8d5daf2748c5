package httpapi

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/taskhost/taskhost/abi"
)

// smallBody is the size up to which bodies are not counted.
const smallBody = 1 << 20

// bodyRoom bounds the bytes of the large bodies that are held at a time. A body takes of it as it comes: one that is announced and does
// not come keeps nobody out.
type bodyRoom struct {
	most int64
	used atomic.Int64
}

// take takes n bytes, if they are left.
func (b *bodyRoom) take(n int64) bool {
	if b.used.Add(n) > b.most {
		b.used.Add(-n)
		return false
	}
	return true
}

// within makes the reader of a request's body take of the room what it reads. A small body is read as it is. The caller calls release when
// the bytes are not held any more. A read for which there is no room fails with CodeUnavailable, and the connection closes then.
func (b *bodyRoom) within(w http.ResponseWriter, r *http.Request, body io.Reader) (counted io.Reader, release func()) {
	if n := r.ContentLength; n >= 0 && n <= smallBody {
		return body, func() {}
	}
	c := &countedBody{room: b, w: w, body: body}
	return c, c.release
}

// countedBody is a body that takes of the room.
type countedBody struct {
	room *bodyRoom
	w    http.ResponseWriter
	body io.Reader
	read int64
	held int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	c.read += int64(n)
	if c.read <= smallBody || c.read <= c.held {
		return n, err
	}
	more := (c.read+smallBody-1)/smallBody*smallBody - c.held
	if !c.room.take(more) {
		c.w.Header().Set("Connection", "close") // the rest of the body is not waited for
		return 0, abi.Errorf(abi.CodeUnavailable, "the bodies of other requests fill the %d bytes that there are for them: try again", c.room.most)
	}
	c.held += more
	return n, err
}

func (c *countedBody) release() {
	c.room.used.Add(-c.held)
	c.held = 0
}
