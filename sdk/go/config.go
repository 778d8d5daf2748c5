package taskhost

import "github.com/taskhost/taskhost/sdk/go/internal/guest"

// Config returns the value of a configuration key: from the call, else from the plugin's manifest.
// It is not ok when there is none; an empty value counts as none.
func Config(key string) (value string, ok bool) {
	b, ok := guest.Config(key)
	return string(b), ok
}

// Var returns a var: a value that a call before this one left with [SetVar]. Vars last as long as the sandbox, which by default is one
// call; the manifest's isolation "reuse" makes them last. A call of an agent with memory brings the vars that the one before it left, when
// that succeeded, under every isolation. It is not ok when there is none; an empty value counts as none.
func Var(key string) (value []byte, ok bool) { return guest.Var(key) }

// SetVar sets a var; nil or an empty value removes it. The host bounds the bytes of all vars together: past that the call ends.
func SetVar(key string, value []byte) { guest.SetVar(key, value) }
