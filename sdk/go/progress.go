package taskhost

import (
	"errors"
	"math"

	"github.com/taskhost/taskhost/sdk/go/internal/guest"
)

// Progress reports that step of total steps are done, with a message for whoever watches, or "". A total of 0 means that it is not
// known. It is cheap, so a loop may call it each time round; what the watcher sees is thinned out by the host.
func Progress(step, total int, message string) {
	guest.Progress(clamp(step), clamp(total), math.NaN(), message)
}

// ProgressFraction reports progress as a number from 0 to 1.
func ProgressFraction(fraction float64, message string) { guest.Progress(0, 0, fraction, message) }

// Cancelled tells whether the task is to stop. A function that sees true can tidy up and return [ErrCancelled]; one that never asks
// is stopped all the same.
func Cancelled() bool { return guest.Cancelled() }

// ErrCancelled is what a function returns that stopped because of [Cancelled].
var ErrCancelled = errors.New("cancelled")

func clamp(n int) int32 { return int32(max(0, min(n, math.MaxInt32))) }
