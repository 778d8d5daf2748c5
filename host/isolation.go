package host

import "github.com/taskhost/taskhost/abi"

// sandbox is how a version reaches its isolation. This file is the only one that decides it.
type sandbox struct {
	// keep: an instance serves one call after another.
	keep bool
	// how is a sentence for people.
	how string
}

func sandboxFor(isolation abi.Isolation, form Form) sandbox {
	switch {
	case form == FormWASI:
		return sandbox{how: "an instance for each call: a WASI command runs once"}
	case isolation == abi.IsolationReuse:
		return sandbox{keep: true, how: "instances serve one call after another; state survives"}
	}
	return sandbox{how: "an instance for each call"}
}
