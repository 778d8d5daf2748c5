package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// message is one message of an event stream.
type message struct {
	id    string
	event string
	data  []byte
	retry time.Duration
}

// eventReader reads text/event-stream.
type eventReader struct {
	in    *bufio.Reader
	alive func() // called for every line
}

var errEventSize = errors.New("an event is larger than allowed")

func newEventReader(r io.Reader, alive func()) *eventReader {
	return &eventReader{bufio.NewReaderSize(r, 16<<10), alive}
}

// eventStream is the media type of a stream of events.
const eventStream = "text/event-stream"

// isEvents tells whether an answer says that it is a stream of events.
func isEvents(res *http.Response) bool {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && kind == eventStream
}

// next returns the next message. What the stream broke off in the middle of is none.
func (r *eventReader) next() (m message, err error) {
	size, any := 0, false
	for {
		line, err := r.line(maxEvent - size)
		if err != nil {
			return message{}, err
		}
		r.alive()
		if len(line) == 0 {
			if any {
				return m, nil
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		size += len(line)
		switch string(name) {
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				m.id, any = string(value), true
			}
		case "event":
			m.event, any = string(value), true
		case "data":
			if m.data != nil {
				m.data = append(m.data, '\n')
			}
			m.data, any = append(m.data, value...), true
			if m.data == nil {
				m.data = []byte{}
			}
		case "retry":
			if ms, err := strconv.Atoi(string(value)); err == nil && ms >= 0 && ms < 1<<30 {
				m.retry, any = time.Duration(ms)*time.Millisecond, true
			}
		}
	}
}

// line reads a line of at most max bytes, without its end. It is valid until the next call.
func (r *eventReader) line(max int) ([]byte, error) {
	var long []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if len(long)+len(part) > max+2 {
			return nil, errEventSize
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, part...)
			continue
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if long != nil {
			part = append(long, part...)
		}
		return bytes.TrimRight(part, "\r\n"), nil
	}
}
