package host_test

import (
	"maps"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// TestConfigPrecedence checks whose config a guest sees: the call's, then the host's for the plugin, then the manifest's.
func TestConfigPrecedence(t *testing.T) {
	fromHost := map[string]map[string]string{
		"env":   {"b": "host", "c": "host", "e": ""},
		"other": {"a": "nobody's"},
	}
	h := newHost(t, host.Config{PluginConfig: fromHost})
	swap(t, h, "env", `{"config": {"a": "manifest", "b": "manifest", "c": "manifest", "e": "manifest"}}`)
	ofCall := map[string]string{"c": "call", "d": "call"}
	get := func(key string, config map[string]string) (string, error) {
		res, err := h.Run(t.Context(), abi.Call{Plugin: "env", Function: "config", Input: []byte(key), Config: config}, nil)
		return string(res.Output), err
	}
	for key, want := range map[string]string{"a": "manifest", "b": "host", "c": "call", "d": "call"} {
		if got, err := get(key, ofCall); err != nil || got != want {
			t.Errorf("with a config of the call's own %s is %q, want %q: %v", key, got, want, err)
		}
	}
	if got, err := get("c", nil); err != nil || got != "host" {
		t.Errorf("the next call sees c as %q: the config of the call before is still there: %v", got, err)
	}
	_, err := get("d", nil)
	wantCode(t, err, abi.CodeFailed, "no such key")
	// An empty value is an empty block, which Extism's ABI cannot tell from none.
	_, err = get("e", nil)
	wantCode(t, err, abi.CodeFailed, "no such key")
	_, err = get("", nil)
	wantCode(t, err, abi.CodeFailed, "no such key")

	i := info(t, h, "env")
	if want := map[string]string{"a": "manifest", "b": "host", "c": "host", "e": ""}; !maps.Equal(i.Config, want) {
		t.Errorf("Inspect says that the config is %v, want %v", i.Config, want)
	}
	i.Config["a"] = "changed"
	if got, err := get("a", nil); err != nil || got != "manifest" {
		t.Errorf("changing what Inspect returned made a %q: %v", got, err)
	}
}

// TestVars checks that a var set is a var got, within one sandbox.
func TestVars(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "env", `{"taskhost": {"isolation": "reuse", "max_instances": 1}}`)
	fails(t, h, "env:var_get", "key", abi.CodeFailed)
	run(t, h, "env:var_set", "key some value")
	if got := run(t, h, "env:var_get", "key"); got != "some value" {
		t.Errorf("the var is %q", got)
	}
	run(t, h, "env:var_set", "key another")
	if got := run(t, h, "env:var_get", "key"); got != "another" {
		t.Errorf("the var is %q", got)
	}
	run(t, h, "env:var_unset", "key")
	run(t, h, "env:var_unset", "key") // there is nothing to unset
	fails(t, h, "env:var_get", "key", abi.CodeFailed)
	for want := range 5 {
		if got := run(t, h, "env:count", ""); got != string(rune('1'+want)) {
			t.Errorf("count gives %q, want %d", got, want+1)
		}
	}
}

// TestVarsArePristine checks that vars do not outlive their call unless the isolation is reuse.
func TestVarsArePristine(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, m := range []string{"", `{"taskhost": {"isolation": "pristine"}}`, `{"taskhost": {"isolation": "fresh"}}`} {
		swap(t, h, "env", m)
		for range 3 {
			if got := run(t, h, "env:count", ""); got != "1" {
				t.Errorf("with the manifest %q count gives %q, want 1", m, got)
			}
		}
	}
}

// TestInitialize checks that the start function and _initialize run once, in this order, before the first call.
func TestInitialize(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, isolation := range []string{"pristine", "reuse", "fresh"} {
		swap(t, h, "initialize", `{"taskhost": {"isolation": "`+isolation+`"}}`)
		for range 3 {
			if got := run(t, h, "initialize", ""); got != "si" {
				t.Errorf("%s: the order was %q, want si", isolation, got)
			}
		}
	}
	if got := functionNames(info(t, h, "initialize")); len(got) != 1 || got[0] != "order" {
		t.Errorf("the functions are %q; _initialize is not to be called", got)
	}
}
