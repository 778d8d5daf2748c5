package main

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/plugins/internal/plugintest"
)

var (
	set     = plugintest.Set
	formats = []string{"gzip", "zstd", "zlib", "deflate"}
)

func TestWhatIsCompressedComesBack(t *testing.T) {
	documents := plugintest.Documents(t)
	documents["nothing"] = ""
	documents["one byte"] = "x"
	documents["bytes"] = plugintest.ModuleFile(t, "github.com/klauspost/compress", "testdata/e.txt")
	documents["long"] = strings.Repeat(documents["README.md"], 250)
	for _, format := range formats {
		for name, text := range documents {
			for _, level := range []string{"1", "6", "9"} {
				small := plugintest.Run(t, process, text, "format="+format, "level="+level)
				if len(text) > 4000 && name != "bytes" && len(small) > len(text)/2 {
					t.Errorf("%s of %s, level %s: %d bytes became %d", format, name, level, len(text), len(small))
				}
				how := "format=auto"
				if format == "deflate" {
					how = "format=deflate"
				}
				if got := plugintest.Run(t, decompressAlone, small, how); got != text {
					t.Errorf("%s of %s, level %s: another text", format, name, level)
				}
				if name == "long" {
					break // once is enough
				}
			}
		}
	}
}

func TestOthersReadWhatItWritesAndItReadsWhatTheyWrite(t *testing.T) {
	text := plugintest.File(t, "README.md")
	r, err := stdgzip.NewReader(strings.NewReader(plugintest.Run(t, process, text)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != text {
		t.Errorf("%v", err)
	}
	var members bytes.Buffer // of a gzip file that was appended to
	for range 2 {
		w := stdgzip.NewWriter(&members)
		w.Name = "README.md"
		_, _ = io.WriteString(w, text)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := plugintest.Run(t, decompressAlone, members.String()); got != text+text {
		t.Errorf("two members: %d bytes", len(got))
	}
	// Frames one after the other, and one to skip, as tools for large files write them.
	frames := plugintest.Run(t, process, text, "format=zstd") + "\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + plugintest.Run(t, process, "end", "format=zstd")
	if got := plugintest.Run(t, decompressAlone, frames); got != text+"end" {
		t.Errorf("frames: %d bytes", len(got))
	}
}

func TestBombsAndWhatIsDamagedAreRefused(t *testing.T) {
	zeros := strings.Repeat("\x00", 20<<20)
	var calls []plugintest.Refused
	for _, format := range formats {
		bomb := plugintest.Run(t, process, zeros, "format="+format)
		if len(bomb) > 50_000 {
			t.Errorf("%s: %d bytes", format, len(bomb))
		}
		calls = append(calls, plugintest.Refused{F: decompressAlone, Input: bomb, Config: set("format=" + format), Why: "hold more than the 16777216 that config max_bytes allows"})
		if got := plugintest.Run(t, decompressAlone, bomb, "format="+format, "max_bytes=20M"); got != zeros {
			t.Errorf("%s: %d bytes", format, len(got))
		}
		if r := plugintest.Call(decompressAlone, bomb, "format="+format, "max_bytes=21M"); len(r.Progress) < 15 {
			t.Errorf("%s: %d reports", format, len(r.Progress))
		}
		small := plugintest.Run(t, process, plugintest.File(t, "README.md"), "format="+format)
		damaged := []byte(small)
		damaged[len(damaged)/2] ^= 0x10
		calls = append(calls,
			plugintest.Refused{F: decompressAlone, Input: small[:len(small)/2], Config: set("format=" + format), Why: "the " + format + " data ends early"},
			plugintest.Refused{F: decompressAlone, Input: small + "more", Config: set("format=" + format), Why: format},
		)
		if format != "deflate" { // which has no checksum
			calls = append(calls, plugintest.Refused{F: decompressAlone, Input: string(damaged), Config: set("format=" + format), Why: "the " + format + " data is damaged"})
		}
	}
	plugintest.Refuse(t, append(calls,
		plugintest.Refused{decompressAlone, "plain text", nil, "the input of 10 bytes is not gzip, zstd or zlib"},
		plugintest.Refused{decompressAlone, "", nil, "the input of 0 bytes"},
		plugintest.Refused{decompressAlone, "\x1f\x8b", nil, "the gzip data ends early"},
		plugintest.Refused{decompressAlone, "\x28\xb5\x2f\xfd\x04\x98\x00", nil, "the zstd data needs a window of more than 32 MiB"},
		plugintest.Refused{decompressAlone, "x", set("max_bytes=65M"), "config max_bytes"},
		plugintest.Refused{decompressAlone, "x", set("max_bytes=0"), "config max_bytes"},
		plugintest.Refused{process, "x", set("format=lzma"), `config format: "lzma"`},
		plugintest.Refused{process, "x", set("level=10"), "config level"},
	))
}

func FuzzDecompress(f *testing.F) {
	for _, format := range formats {
		f.Add([]byte(plugintest.Run(f, process, "some text, some text, some text", "format="+format)), format)
	}
	f.Fuzz(func(t *testing.T, input []byte, format string) {
		r := plugintest.Call(decompressAlone, string(input), "format="+format, "max_bytes=1M")
		if r.Code != 0 && !r.Invalid {
			t.Errorf("%q as %s: %s", input, format, r.Error)
		}
		if len(r.Output) > 1<<20 {
			t.Errorf("%d bytes", len(r.Output))
		}
		if r.Code == 0 {
			if again := plugintest.Run(t, decompressAlone, plugintest.Run(t, process, string(r.Output))); again != string(r.Output) {
				t.Errorf("%q does not come back", r.Output)
			}
		}
	})
}
