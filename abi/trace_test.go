package abi_test

import (
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

func TestParseTraceParent(t *testing.T) {
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for text, want := range map[string]abi.Trace{
		"00-" + id + "-" + span + "-01":              {ID: id, Span: span, Sampled: true},
		"00-" + id + "-" + span + "-00":              {ID: id, Span: span},
		"00-" + id + "-" + span + "-02":              {ID: id, Span: span},
		"00-" + id + "-" + span + "-ff":              {ID: id, Span: span, Sampled: true},
		"01-" + id + "-" + span + "-01":              {ID: id, Span: span, Sampled: true},
		"cc-" + id + "-" + span + "-01-what-is-next": {ID: id, Span: span, Sampled: true},
	} {
		got, ok := abi.ParseTraceParent(text)
		if !ok || got != want {
			t.Errorf("%s: %+v, %v", text, got, ok)
		}
		if again, ok := abi.ParseTraceParent(got.String()); !ok || again != got {
			t.Errorf("%s is %s, which is %+v, %v", text, got, again, ok)
		}
	}
	for _, text := range []string{
		"", "00", "00-" + id + "-" + span, "ff-" + id + "-" + span + "-01",
		"00-" + strings.ToUpper(id) + "-" + span + "-01",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01",
		"00-" + id + "-" + strings.Repeat("0", 16) + "-01",
		"00-" + id + "-" + span + "-01-more", "01-" + id + "-" + span + "-01x", "01-" + id + "-" + span + "-01-\n",
		"01-" + id + "-" + span + "-01-" + strings.Repeat("x", abi.MaxTraceParent),
		"00-" + id + "-" + span + "-0g", "00_" + id + "-" + span + "-01", "0x-" + id + "-" + span + "-01",
	} {
		if got, ok := abi.ParseTraceParent(text); ok {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
