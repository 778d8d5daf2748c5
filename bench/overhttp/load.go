package overhttp

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// result is what one round gave.
type result struct {
	rate     float64 // answers a second
	p50, p99 time.Duration
}

// load submits on n connections at once, each a request after the other, without more work of its own than writing and reading bytes.
func load(ctx context.Context, addr string, n int) (result, error) {
	request := []byte("POST /v1/tasks HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(payload)) + "\r\n\r\n" + payload)
	begin := time.Now().Add(warm)
	end := begin.Add(took)
	var group sync.WaitGroup
	times, failed := make([][]time.Duration, n), make(chan error, n)
	for i := range n {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			failed <- err
			break
		}
		group.Go(func() {
			defer c.Close()
			if err := c.SetDeadline(end.Add(time.Minute)); err != nil {
				failed <- err
				return
			}
			r := bufio.NewReader(c)
			for {
				began := time.Now()
				if began.After(end) {
					return
				}
				if _, err := c.Write(request); err != nil {
					failed <- err
					return
				}
				if err := readAnswer(r); err != nil {
					failed <- err
					return
				}
				if began.After(begin) {
					times[i] = append(times[i], time.Since(began))
				}
			}
		})
	}
	group.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return result{}, err
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	if len(all) == 0 {
		return result{}, fmt.Errorf("no answer on %d connections", n)
	}
	return result{float64(len(all)) / took.Seconds(), all[len(all)/2], all[len(all)*99/100]}, nil
}

var (
	created = []byte("HTTP/1.1 201 ")
	length  = []byte("content-length:")
)

// readAnswer reads an answer, which must be 201 with its length.
func readAnswer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, created) {
		rest, _ := r.Peek(r.Buffered())
		return fmt.Errorf("the answer is %s%.500s", line, rest)
	}
	size := -1
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		if len(line) > len(length) && bytes.EqualFold(line[:len(length)], length) {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(line[len(length):]))); err != nil {
				return err
			}
		}
	}
	if size < 0 {
		return fmt.Errorf("the answer has no length")
	}
	_, err = io.CopyN(io.Discard, r, int64(size))
	return err
}
