package taskhost

import (
	"errors"

	"github.com/taskhost/taskhost/sdk/go/internal/guest"
)

// SaveCheckpoint keeps state for a later attempt of the task, which gets it from [LoadCheckpoint] and goes on from there instead of
// beginning anew: after an error, a timeout, a crash of the host, or on a newer version of the plugin. It takes the place of the one saved
// before; nil or an empty state forgets it. It returns when the state is stored, which may take some milliseconds: save after each part
// of the work that is worth more than that.
//
// An error says why it was not kept, and the one before stays: it is larger than 64 KiB, the host's store failed, or the call keeps none,
// since it is no attempt of a task. Mostly it is right to go on without.
func SaveCheckpoint(state []byte) error {
	if message := guest.SaveCheckpoint(state); message != "" {
		return errors.New(message)
	}
	return nil
}

// LoadCheckpoint returns the state that was saved last with [SaveCheckpoint], by this attempt of the task or an earlier one; nil if there
// is none. The caller may keep and change it.
func LoadCheckpoint() []byte { return guest.LoadCheckpoint() }
