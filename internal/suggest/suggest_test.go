package suggest

import "testing"

func TestDidYouMean(t *testing.T) {
	for _, tc := range []struct{ name, want string }{
		{"markdwon", "; did you mean markdown?"}, {"tex", "; did you mean text?"}, {"x", ""}, {"something", ""}, {"", ""},
	} {
		if got := DidYouMean(tc.name, []string{"text", "markdown", "agent"}); got != tc.want {
			t.Errorf("%q: %q", tc.name, got)
		}
	}
	if DidYouMean("x", nil) != "" || Close("ab", "ba") || !Close("limits", "limit") {
		t.Error("names that are not alike")
	}
}
