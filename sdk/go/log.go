package taskhost

import (
	"fmt"

	"github.com/taskhost/taskhost/sdk/go/internal/guest"
)

// Level is the level of a message.
type Level int32

// The levels.
const (
	LevelTrace Level = iota
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
)

// Log writes a message to the host's log, formatted as by fmt.Sprintf. Below the host's level it does nothing, formatting included.
// The host bounds the bytes that one call can log: past that the call ends.
func Log(level Level, format string, args ...any) {
	if !Logs(level) {
		return
	}
	guest.Log(int32(level), fmt.Sprintf(format, args...))
}

// Logs tells whether the host takes messages of a level.
func Logs(level Level) bool { return int32(level) >= guest.LogLevel() }
