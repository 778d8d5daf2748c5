package builtin

import (
	"os"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

// TestPrepareKeepsLines checks that statements stay in their lines, whatever is taken out of the script before them.
func TestPrepareKeepsLines(t *testing.T) {
	script := `// A comment.
interface Point {
  x: number; // 3
  y: number;
}

type Name = string;

const greeting: string = "hello"; // 9

/* Another
   comment. */
export function process(input: string): string {
  const p: Point = { x: 1, y: 2 };

  // In the function.
  const text = ` + "`a\n  ${p.x}\n\n    b`" + `; // 17 to 20
  throw new Error(greeting + text + input); // 21
}
enum Colour { Red, Green } // 23
export const last = Colour.Green as number;
`
	for _, file := range []string{"a.ts", "a.mts"} {
		out, err := prepare(file, []byte(script))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(out), "\n")
		for at, want := range map[int]string{
			9: `const greeting = "hello";`, 13: "export function process(input) {", 14: "const p = { x: 1, y: 2 };", 17: "const text = `a", 18: "  ${p.x}", 19: "", 20: "    b`;",
			21: "throw new Error(greeting + text + input);",
		} {
			if at > len(lines) || strings.TrimSpace(lines[at-1]) != strings.TrimSpace(want) {
				t.Errorf("%s: line %d is not %q:\n%s", file, at, want, out)
			}
		}
	}
}

func TestPrepareSyntax(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"a.js", "export function process( {\n", "a.js:2:1: "},
		{"a.js", "let x: string = 1\n", "a.js:1:6: "},
		{"a.ts", "\nlet x: = 1\n", "a.ts:2:8: "},
	} {
		_, err := prepare(c.file, []byte(c.text))
		if abi.CodeOf(err) != abi.CodeRefused || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: the error is %v, want %s", c.text, err, c.want)
		}
	}
	out, err := prepare("a.js", []byte("export class C {\n  static #n = 1;\n  static has(x) { return #n in x; }\n}\n"))
	if err != nil || strings.Contains(string(out), "#n in") {
		t.Errorf("what the interpreter does not know is left: %v\n%s", err, out)
	}
}

func TestEmbedded(t *testing.T) {
	src, err := loadJS()
	if err != nil {
		t.Fatalf("%v (run make interpreters)", err)
	}
	if want, err := os.ReadFile("interpreters/js.wasm"); err != nil || string(want) != string(src.Wasm) {
		t.Errorf("the module is another: %v", err)
	}
}

// FuzzVLQ checks that no source map is too odd.
func FuzzVLQ(f *testing.F) {
	f.Add("AAAA;AACA,EAAE;;AAgBC")
	f.Add("//////////")
	f.Fuzz(func(t *testing.T, mappings string) {
		code := strings.Repeat("x;\n", 10)
		out := inTheirLines(code, []byte(`{"mappings": "`+mappings+`"}`))
		if strings.ReplaceAll(string(out), "\n", "") != strings.ReplaceAll(code, "\n", "") {
			t.Errorf("the code is %q", out)
		}
	})
}
