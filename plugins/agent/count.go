package main

import (
	"fmt"
	"time"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

type countArgs struct {
	Steps   int  `json:"steps"`    // 1 to maxSteps, default 10
	DelayMS *int `json:"delay_ms"` // milliseconds to wait in each step, 0 to maxDelay; default 100, or 0 when there is work
	Work    int  `json:"work"`     // rounds of computing in each step, 0 to maxWork, default 0
}

type countReply struct {
	Counted   int    `json:"counted"`
	ElapsedMS int64  `json:"elapsed_ms"`
	Checksum  string `json:"checksum"` // of the computing: the same for the same steps and work
}

const (
	maxSteps = 1_000_000
	maxDelay = 60_000
	maxWork  = 1_000_000_000
)

// countSteps counts, reporting each step, so that there is something to watch and to cancel.
func countSteps(args countArgs) (reply countReply, err error) {
	if args.Steps == 0 {
		args.Steps = 10
	}
	delay := 0
	switch {
	case args.DelayMS != nil:
		delay = *args.DelayMS
	case args.Work == 0:
		delay = 100
	}
	for _, a := range []struct {
		name        string
		value, most int
	}{{"steps", args.Steps, maxSteps}, {"delay_ms", delay, maxDelay}, {"work", args.Work, maxWork}} {
		if a.value < 0 || a.value > a.most {
			return reply, taskhost.InvalidInputf("argument %s: %d is not between 0 and %d", a.name, a.value, a.most)
		}
	}
	start := time.Now()
	sum := uint64(14695981039346656037)
	taskhost.Progress(0, args.Steps, "")
	for i := range args.Steps {
		sum = compute(sum, args.Work)
		if !wait(time.Duration(delay)*time.Millisecond) || taskhost.Cancelled() {
			return reply, fmt.Errorf("%w after %d of %d steps", taskhost.ErrCancelled, i, args.Steps)
		}
		taskhost.Progress(i+1, args.Steps, fmt.Sprintf("counted to %d", i+1))
	}
	return countReply{args.Steps, time.Since(start).Milliseconds(), fmt.Sprintf("%016x", sum)}, nil
}

func compute(sum uint64, rounds int) uint64 {
	for i := range rounds {
		sum = (sum ^ uint64(i&0xff)) * 1099511628211
	}
	return sum
}

// wait waits for d, and less when the task is cancelled. It sleeps in short pieces, since nothing interrupts a sandbox's sleep.
func wait(d time.Duration) bool {
	const piece = 10 * time.Millisecond
	for end := time.Now().Add(d); ; {
		rest := time.Until(end)
		if rest <= 0 {
			return true
		}
		if taskhost.Cancelled() {
			return false
		}
		time.Sleep(min(rest, piece))
	}
}
