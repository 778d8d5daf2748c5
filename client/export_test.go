package client

import (
	"io"
	"time"
)

// SetBackoff sets the first wait before something is tried again.
func SetBackoff(c *Client, d time.Duration) { c.backoff = d }

// SetSilence sets how long a stream may be without a byte.
func SetSilence(c *Client, d time.Duration) { c.silence = d }

// ReadEvents reads a stream of events to its end.
func ReadEvents(r io.Reader) (kinds, ids []string, data [][]byte, err error) {
	in := newEventReader(r, func() {})
	for {
		m, err := in.next()
		if err != nil {
			return kinds, ids, data, err
		}
		kinds, ids, data = append(kinds, m.event), append(ids, m.id), append(data, m.data)
	}
}
