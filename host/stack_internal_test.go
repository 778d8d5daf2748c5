package host

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestStacksOfBothProcessors checks the way from frame to frame on memory that looks as the engine leaves it.
func TestStacksOfBothProcessors(t *testing.T) {
	const low = 0x10000
	memory := make([]byte, 256)
	put := func(at int, v uint64) { binary.LittleEndian.PutUint64(memory[at:], v) }
	put(16, low+64) // a frame of amd64: the caller's, and the return address
	put(24, 0xaaa)
	put(64, low+160)
	put(72, 0xbbb)
	put(160, 0)
	put(168, 0xccc)
	if got, want := unwindAMD64(nil, memory, low, low+16), []uintptr{0xaaa, 0xbbb, 0xccc}; !slices.Equal(got, want) {
		t.Errorf("amd64: %#x, want %#x", got, want)
	}
	clear(memory)
	put(0, 32) // a frame of arm64: its size, a gap, what it holds; the return address, the size of the arguments, and these
	put(48, 0xaaa)
	put(56, 16)
	put(80, 0)
	put(96, 0xbbb)
	put(104, 0)
	put(112, 64)
	put(192, 0xccc)
	put(200, 48)
	if got, want := unwindARM64(nil, memory, low, low), []uintptr{0xaaa, 0xbbb, 0xccc}; !slices.Equal(got, want) {
		t.Errorf("arm64: %#x, want %#x", got, want)
	}
	for seed := range 2000 { // whatever the memory holds, they end and stay inside
		for i := range memory {
			memory[i] = byte((seed*31 + i*i*7 + seed>>3) & (0xff >> (seed % 8)))
		}
		unwindAMD64(nil, memory, 0, uintptr(seed%300))
		unwindARM64(nil, memory, 0, uintptr(seed%300))
	}
}

func TestFold(t *testing.T) {
	for ids, want := range map[string]string{
		"":                  "",
		"abc":               "a b c",
		"aab":               "a a b",
		"aaab":              "a a a b",
		"aaaab":             "aa+2 b",
		"xaaaaaaaaaab":      "x aa+8 b",
		"abababab":          "abab+4",
		"xabababababy":      "x abab+6 y",
		"abcabcabcabcabcx":  "abcabc+9 x",
		"aaaabbbb":          "aa+2 bb+2",
		"abababa":           "a b a b a b a",
		"abababacababababa": "a b a b a b a c abab+4 a",
	} {
		list := make([]uint64, len(ids))
		for i := range ids {
			list[i] = uint64(ids[i])
		}
		var got []string
		n := 0
		for _, s := range fold(list) {
			text := ids[s.from : s.from+s.frames]
			if s.more > 0 {
				text += fmt.Sprintf("+%d", s.more)
			}
			got = append(got, text)
			n += s.frames + s.more
		}
		if strings.Join(got, " ") != want || n != len(ids) {
			t.Errorf("%s: %s, want %s", ids, strings.Join(got, " "), want)
		}
	}
}

// TestEngineFrames checks what is read of the engine's text, which is what there is on other processors.
func TestEngineFrames(t *testing.T) {
	text := "wasm error: unreachable\nwasm stack trace:\n\t.third() i32\n\tlib.second(i32,i64) (i32,f64)\n\t.main.(*T).first(i64)\n\t.$7()\n" +
		"\t... maybe followed by omitted frames\n\nGo runtime stack trace:\ngoroutine 1"
	names, more := engineFrames(text)
	if got := strings.Join(names, " "); got != "third lib.second main.(*T).first $7" || !more {
		t.Errorf("%s, %t", got, more)
	}
	if names, more := engineFrames("wasm error: stack overflow"); names != nil || more {
		t.Errorf("%q, %t", names, more)
	}
}
