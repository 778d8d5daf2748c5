package host

import "testing"

func TestReadableNames(t *testing.T) {
	for name, want := range map[string]string{
		"main.process": "main.process", "": "", "_Z": "_Z", "_ZN": "_ZN", "_ZNE": "_ZNE", "_ZN3fooE": "foo", "_ZN9fooE": "_ZN9fooE",
		"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE":                            "core::fmt::Formatter::pad",
		"_ZN44_$LT$$RF$T$u20$as$u20$core..fmt..Display$GT$3fmt17h4f2b8c0a1d3e5f67E": "<&T as core::fmt::Display>::fmt",
		"_ZN5chunk9Sentences4nextEv":                                                "chunk::Sentences::next",
		"_ZNK5chunk9Sentences4sizeEv":                                               "chunk::Sentences::size",
		"_Z5upperPKc":                                                               "upper", "_ZNSt6vectorIiE4sizeEv": "_ZNSt6vectorIiE4sizeEv",
	} {
		if got := readableName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func FuzzReadableName(f *testing.F) {
	f.Add("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE")
	f.Fuzz(func(t *testing.T, name string) {
		if got := readableName(name); len(got) > len(name)+2 {
			t.Errorf("%q became %q", name, got)
		}
	})
}
