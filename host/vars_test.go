package host_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// callVars are vars as a call brings them; the arguments are names and values in turn.
func callVars(pairs ...string) map[string][]byte {
	m := map[string][]byte{}
	for n := 0; n < len(pairs); n += 2 {
		m[pairs[n]] = []byte(pairs[n+1])
	}
	return m
}

// TestVarsOfACall checks that a call that brings vars sees those, gives them back as it has left them, and neither sees nor changes the
// instance's, under every isolation.
func TestVarsOfACall(t *testing.T) {
	h := newHost(t, host.Config{})
	for isolation, third := range map[string]string{"pristine": "101", "reuse": "102", "fresh": "101"} {
		swap(t, h, "vars", fmt.Sprintf(`{"taskhost": {"isolation": %q, "max_instances": 1}}`, isolation))
		if got := run(t, h, "vars:count", ""); got != "101" {
			t.Errorf("%s: of the instance's vars n becomes %s, want 101", isolation, got)
		}
		for _, c := range []struct {
			function   string
			vars, left map[string][]byte
			output     string
			code       abi.Code
		}{
			{"count", callVars("n", "7", "other", "x"), callVars("n", "8", "other", "x"), "8", ""},
			{"count", callVars("n", "8", "other", "x"), callVars("n", "9", "other", "x"), "9", ""},
			{"count", callVars(), callVars("n", "1"), "1", ""},
			{"get", callVars("n", "7"), callVars("n", "7"), "7", ""},
			{"get", callVars("other", "x"), nil, "", abi.CodeFailed},
			{"get", map[string][]byte{"n": nil}, nil, "", abi.CodeFailed},
			{"unset", callVars("n", "7"), callVars(), "", ""},
			{"unset", callVars("other", "x"), callVars("other", "x"), "", ""},
			{"fails", callVars("n", "7"), nil, "", abi.CodeFailed},
			{"get", nil, nil, run(t, h, "vars:get", ""), ""},
		} {
			before := fmt.Sprint(c.vars)
			res, err := h.Run(t.Context(), abi.Call{Plugin: "vars", Function: c.function, Vars: c.vars}, nil)
			if abi.CodeOf(err) != c.code || string(res.Output) != c.output || !reflect.DeepEqual(res.Vars, c.left) {
				t.Errorf("%s: %s with %s gives %q and leaves %s, want %s: %v", isolation, c.function, before, res.Output, res.Vars, c.left, err)
			}
			if fmt.Sprint(c.vars) != before {
				t.Errorf("%s: %s changes the caller's vars from %s to %s", isolation, c.function, before, c.vars)
			}
		}
		if got := run(t, h, "vars:count", ""); got != third {
			t.Errorf("%s: of the instance's vars n becomes %s, want %s", isolation, got, third)
		}
		res, err := h.Run(t.Context(), abi.Call{Plugin: "vars", Function: "traps", Vars: callVars("n", "7")}, nil)
		if abi.CodeOf(err) != abi.CodeTrap || res.Vars != nil {
			t.Errorf("%s: a call that traps leaves %s: %v", isolation, res.Vars, err)
		}
		if got := run(t, h, "vars:count", ""); got != "101" {
			t.Errorf("%s: after a trap n becomes %s, want 101", isolation, got)
		}
	}
}

// TestVarsOfACallLimit checks the bound on what a guest makes of the vars that a call brings: more than it allows can come, but not grow.
func TestVarsOfACallLimit(t *testing.T) {
	h := newHost(t, host.Config{Limits: abi.Limits{Vars: 1000}})
	swap(t, h, "env", "")
	long := strings.Repeat("v", 900)
	vars := callVars("a", long, "b", long)
	for _, c := range []struct {
		function, input, output string
		code                    abi.Code
	}{
		{"var_get", "a", long, ""},
		{"var_set", "a " + strings.Repeat("w", 900), "", ""},
		{"var_set", "a " + long[1:], "", ""},
		{"var_unset", "a", "", ""},
		{"var_set", "a " + long + "v", "", abi.CodeKernelMemoryLimit},
		{"var_set", "c v", "", abi.CodeKernelMemoryLimit},
	} {
		res, err := h.Run(t.Context(), abi.Call{Plugin: "env", Function: c.function, Input: []byte(c.input), Vars: vars}, nil)
		if abi.CodeOf(err) != c.code || string(res.Output) != c.output {
			t.Errorf("%s %.10q: %v", c.function, c.input, err)
		}
		if c.code != "" {
			wantCode(t, err, c.code, "memory.max_var_bytes")
		} else if len(res.Vars["b"]) != 900 {
			t.Errorf("%s %.10q leaves b with %d bytes", c.function, c.input, len(res.Vars["b"]))
		}
	}
	res, err := h.Run(t.Context(), abi.Call{Plugin: "env", Function: "var_set", Input: []byte("c " + long[:800]), Vars: callVars("a", "1")}, nil)
	if err != nil || len(res.Vars) != 2 || len(res.Vars["c"]) != 800 {
		t.Errorf("within the limit there are %d vars: %v", len(res.Vars), err)
	}
	swapTo(t, h, "none", guest(t, "env"), `{"memory": {"max_var_bytes": 0}}`)
	res, err = h.Run(t.Context(), abi.Call{Plugin: "none", Function: "var_get", Input: []byte("a"), Vars: callVars("a", "1")}, nil)
	if err != nil || string(res.Output) != "1" {
		t.Errorf("a plugin that may keep no vars reads %q: %v", res.Output, err)
	}
	_, err = h.Run(t.Context(), abi.Call{Plugin: "none", Function: "var_set", Input: []byte("a 2"), Vars: callVars("a", "1")}, nil)
	wantCode(t, err, abi.CodeDenied, "max_var_bytes")
}

// TestHammerVars makes many calls at once that begin with the same map, and as many with the instance's vars, which all instances share
// until they change them.
func TestHammerVars(t *testing.T) {
	h := newHost(t, host.Config{MaxInstances: 4})
	swap(t, h, "vars", "")
	vars := callVars("n", "7", "other", "x")
	var all sync.WaitGroup
	for n := range 8 {
		call, want := abi.Call{Plugin: "vars", Function: "count", Vars: vars}, "8"
		if n%2 == 1 {
			call.Vars, want = nil, "101"
		}
		all.Go(func() {
			for range 50 {
				res, err := h.Run(t.Context(), call, nil)
				if err != nil || string(res.Output) != want || (res.Vars == nil) != (call.Vars == nil) {
					t.Errorf("count gives %q, want %s; vars %s: %v", res.Output, want, res.Vars, err)
				}
				if res.Vars != nil {
					res.Vars["mine"] = nil
				}
			}
		})
	}
	all.Wait()
	if string(vars["n"]) != "7" || len(vars) != 2 {
		t.Errorf("the caller's vars are %s", vars)
	}
}

// TestUnusedStateCostsNothing checks that a call that neither changes vars nor saves nor logs allocates nothing for them.
func TestUnusedStateCostsNothing(t *testing.T) {
	if raceDetector {
		return // it allocates
	}
	h := newHost(t, host.Config{})
	swap(t, h, "noop", "")
	vars := map[string][]byte{}
	for n := range 1000 {
		vars[fmt.Sprint(n)] = []byte("value")
	}
	call := abi.Call{Plugin: "noop", Vars: vars, Checkpoint: make([]byte, abi.MaxCheckpoint), Save: func([]byte) error { return nil }}
	n := testing.AllocsPerRun(1000, func() {
		if res, err := h.Run(t.Context(), call, nil); err != nil || len(res.Vars) != 1000 || res.Log != nil {
			t.Errorf("%d vars, log %v: %v", len(res.Vars), res.Log, err)
		}
	})
	if n != 0 {
		t.Errorf("a call allocates %v times", n)
	}
}
