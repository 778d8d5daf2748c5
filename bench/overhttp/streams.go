package overhttp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
)

// Streams is the word after the command with which it is the clients of another process, and not a bench.
const Streams = "idle-streams"

// streams opens many streams from another process, so that the memory is the server's alone, and tells what each costs.
func (s *system) streams(ctx context.Context) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	before, heapBefore := resident(), inUse()
	cmd := exec.CommandContext(ctx, self, Streams, s.server.addr, strconv.Itoa(idle))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	defer func() {
		in.Close()
		err = first(err, cmd.Wait())
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return fmt.Errorf("the clients answer %q: %w", line, err)
	}
	if n := s.events.Clients(); n != idle {
		return fmt.Errorf("%d streams are open", n)
	}
	after, heapAfter := resident(), inUse()
	fmt.Printf("\n%d idle streams of events: %.1f KiB of Go's heap and stacks each, %.1f KiB resident\n", idle,
		float64(heapAfter-heapBefore)/idle/1024, float64(after-before)/idle/1024)
	return nil
}

// inUse is what Go's heap and stacks hold.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// resident is the resident memory of this process, in bytes; 0 where the system does not tell.
func resident() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(data), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// Clients opens so many streams of a server, says so, and holds them until its input ends.
func Clients(addr, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	list := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range list {
			c.Close()
		}
	}()
	for range n {
		c, err := net.DialTimeout("tcp", addr, 30*time.Second)
		if err != nil {
			return err
		}
		list = append(list, c)
		if _, err := io.WriteString(c, "GET /v1/events HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
			return err
		}
	}
	for _, c := range list {
		line, err := bufio.NewReaderSize(c, 512).ReadString('\n')
		if err != nil || line != "HTTP/1.1 200 OK\r\n" {
			return fmt.Errorf("a stream answers %q: %w", line, err)
		}
	}
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
