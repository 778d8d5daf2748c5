package cases

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

// FuzzParseSpec: what is read and written again is read as the same, and what is refused says why, in the file's name.
func FuzzParseSpec(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"function":"f","config":{"a":"b"},"args":{"x":1}}`, `{"progress":[0.5,{"step":1}],"ticks_max":5}`,
		`{"progress":{"min":1,"max":2},"metrics":{"a{b=c}":1,"d":{"count":2}},"log":["x"]}`, `{"error":{"code":"invalid"}}`, `{"x":1}`, `[]`, `null`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSpec("x.json", []byte(text))
		if err != nil {
			if abi.CodeOf(err) != abi.CodeInvalid || !strings.HasPrefix(err.Error(), "x.json: ") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		(&Case{Spec: s}).Check(Outcome{})
		if s.Args != nil && !json.Valid(s.Args) {
			t.Fatalf("%q: args %s", text, s.Args)
		}
	})
}

// FuzzDiff: the edits lead from one text to the other, and a diff is empty for equal texts alone.
func FuzzDiff(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nc\n")
	f.Add("a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n")
	f.Add("", "x")
	f.Add("a\x00", "\xff")
	f.Add(strings.Repeat("same\n", 20), "x\n"+strings.Repeat("same\n", 18)+"y")
	f.Fuzz(func(t *testing.T, want, got string) {
		if d := Diff([]byte(want), []byte(got)); (d == "") != (want == got) {
			t.Fatalf("%q and %q: %q", want, got, d)
		}
		var old, new strings.Builder
		for _, e := range shortest(splitLines(want), splitLines(got)) {
			if e.op != '+' {
				old.WriteString(e.line)
			}
			if e.op != '-' {
				new.WriteString(e.line)
			}
		}
		if old.String() != want || new.String() != got {
			t.Fatalf("%q and %q: the edits make %q and %q", want, got, old.String(), new.String())
		}
	})
}
