package testdata_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/builtin"
)

// What the contract suite does not say of scripts in JavaScript: what is special to the language, and to docs/javascript.md.

// scripts is a host with scripts, by the names of their files, and manifests for some of them.
func scripts(t *testing.T, files map[string]string) *host.Host {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, host.Config{Dir: dir})
}

// javascript are functions f of scripts, and what comes of calling them.
var javascript = map[string]struct {
	script string
	input  string
	output string
	code   abi.Code
	error  string // how the message begins
	detail string // a line of the detail
	log    string
}{
	"text in, text out":       {script: `export function f(text) { return [...text].reverse().join(""); }`, input: "añ🌍", output: "🌍ña"},
	"input that is no UTF-8":  {script: `export function f(text) { return text; }`, input: "a\xffb\xc3", output: "a\ufffdb\ufffd"},
	"half of a pair":          {script: `export function f() { return "a\ud83c" + "b"; }`, output: "a\ufffdb"},
	"bytes":                   {script: `export const f = b => { b.reverse(); return b.subarray(1); }; f.input = "bytes";`, input: "\x00\xfea", output: "\xfe\x00"},
	"an ArrayBuffer":          {script: `export const f = () => new Uint16Array([0x4241, 0x4443]).buffer;`, output: "ABCD"},
	"a DataView":              {script: `export const f = () => new DataView(new Uint8Array([65, 66, 67]).buffer, 1);`, output: "BC"},
	"no bytes":                {script: `export const f = b => b; f.input = "bytes"`},
	"nothing":                 {script: `export function f() {}`, input: "x"},
	"null":                    {script: `export const f = () => null;`},
	"a number":                {script: `export const f = () => 1.5;`, output: "1.5"},
	"false":                   {script: `export const f = () => false;`, output: "false"},
	"an object":               {script: `export const f = () => ({ a: [1, "é", null] });`, output: `{"a":[1,"é",null]}`},
	"a BigInt":                {script: `export const f = () => ({ a: 1n });`, code: abi.CodeFailed, error: "TypeError: "},
	"a cycle":                 {script: `export const f = () => { const o = {}; o.o = o; return o; };`, code: abi.CodeFailed, error: "TypeError: circular reference"},
	"JSON":                    {script: `export const f = o => o.a.length; f.input = "json";`, input: ` {"a": [1, 2]} `, output: "2"},
	"bad JSON":                {script: `export const f = o => o; f.input = "json";`, input: "{\n\"a\": }", code: abi.CodeInvalid, error: "the input is not JSON: unexpected token: '}' (line 2)"},
	"deep JSON":               {script: `export const f = o => 1; f.input = "json";`, input: strings.Repeat("[", 200_000), code: abi.CodeInvalid, error: "the input is not JSON: stack overflow"},
	"no JSON":                 {script: `export const f = o => o; f.input = "json";`, code: abi.CodeInvalid, error: "the input is not JSON: "},
	"a list of arguments":     {script: `export const f = ({ list, any }) => [list.length, any]; f.input = { list: "array", any: "any?" };`, input: `{"list": [1], "any": 2}`, output: "[1,2]"},
	"an argument's kind":      {script: `export const f = () => 1; f.input = { list: "array" };`, input: `{"list": {}}`, code: abi.CodeInvalid, error: "argument list: object where array belongs"},
	"async":                   {script: `export async function f(text) { const a = await text; await null; return { a }; }`, input: "x", output: `{"a":"x"}`},
	"async, fails":            {script: "export async function f() {\n  await null;\n  null.x;\n}", code: abi.CodeFailed, error: "TypeError: cannot read property 'x' of null (f.js:3)"},
	"async, the input":        {script: `export async function f() { await null; throw new InvalidInput("no"); }`, code: abi.CodeInvalid, error: "no"},
	"a thenable":              {script: `export const f = () => ({ then(done) { done("x"); } });`, output: "x"},
	"a promise in a promise":  {script: `export const f = () => new Promise(done => done(Promise.resolve("x")));`, output: "x"},
	"never":                   {script: `export const f = () => new Promise(() => {});`, code: abi.CodeFailed, error: "TypeError: the promise that it returned can never settle"},
	"nobody catches":          {script: `export const f = () => { Promise.reject(new Error("lost")); return "x"; };`, code: abi.CodeFailed, error: "lost", detail: "    at f (f.js:1)"},
	"somebody catches":        {script: `export const f = () => { Promise.reject(1).catch(() => {}); return "x"; };`, output: "x"},
	"what is put off":         {script: `export const f = () => { queueMicrotask(() => progress(1, 1)); return "x"; };`, output: "x"},
	"timers":                  {script: `export const f = () => new Promise(done => { let s = ""; setTimeout(x => done(s + x), 20, "b"); const t = setInterval(() => (s += "a"), 5); setTimeout(() => clearInterval(t), 12); });`, output: "aab"},
	"a timer that fails":      {script: `export const f = () => new Promise(() => setTimeout(() => { throw new Error("late"); }, 1));`, code: abi.CodeFailed, error: "late"},
	"timers left behind":      {script: `export const f = () => { setTimeout(() => log.info("no"), 0); return "x"; };`, output: "x"},
	"an error":                {script: "export function f() {\n  inner();\n}\nfunction inner() {\n  throw new Error(\"full\");\n}", code: abi.CodeFailed, error: "full", detail: "    at inner (f.js:5)"},
	"the stack":               {script: "export function f() {\n  inner();\n}\nfunction inner() {\n  throw new Error(\"full\");\n}", code: abi.CodeFailed, error: "full", detail: "    at f (f.js:2)"},
	"an error of one's own":   {script: `class Full extends Error {} export const f = () => { throw new Full("disk"); };`, code: abi.CodeFailed, error: "disk"},
	"a mistake":               {script: "export function f(s) {\n  return s.foo.bar;\n}", code: abi.CodeFailed, error: "TypeError: cannot read property 'bar' of undefined (f.js:2)"},
	"text is thrown":          {script: `export const f = () => { throw "text"; };`, code: abi.CodeFailed, error: "text"},
	"an object is thrown":     {script: `export const f = () => { throw { a: 1 }; };`, code: abi.CodeFailed, error: `{"a":1}`},
	"nothing is thrown":       {script: `export const f = () => { throw undefined; };`, code: abi.CodeFailed, error: "undefined"},
	"what has no text":        {script: `export const f = () => { throw { toJSON() { throw 1; }, toString() { throw 2; } }; };`, code: abi.CodeFailed, error: "it threw what cannot be made text"},
	"lines of a message":      {script: `export const f = () => { throw new Error("one\ntwo"); };`, code: abi.CodeFailed, error: "one", detail: "two"},
	"invalid input":           {script: `class Bad extends InvalidInput {} export const f = () => { throw new Bad("bad"); };`, code: abi.CodeInvalid, error: "bad"},
	"recursion":               {script: "export const f = n => {\n  const g = i => (i ? 1 + g(i - 1) : 0);\n  return g(+n);\n};", input: "2500", output: "2500"},
	"too deep":                {script: "export const f = () => {\n  const g = () => g() + 1;\n  return g();\n};", code: abi.CodeFailed, error: "InternalError: stack overflow (f.js:2)", detail: "    … "},
	"too deep, caught":        {script: `export const f = () => { const g = () => [1].map(g); try { g(); } catch (e) { return e.message; } };`, output: "stack overflow"},
	"deep JSON of its own":    {script: `export const f = () => JSON.parse("[".repeat(1e6));`, code: abi.CodeFailed, error: "SyntaxError: stack overflow (f.js:1)"},
	"too much memory":         {script: `export const f = () => { const a = []; for (;;) a.push(new Uint8Array(1 << 20)); };`, code: abi.CodeMemoryLimit, error: "it needs more memory than its limit"},
	"too many small things":   {script: `export const f = () => { let a = []; for (;;) a = [a]; };`, code: abi.CodeMemoryLimit, error: "it needs more memory than its limit"},
	"memory, caught":          {script: `export const f = () => { try { new Uint8Array(1e9); } catch (e) { return e.message; } };`, output: "out of memory"},
	"eval":                    {script: `export const f = text => String(eval(text));`, input: "6 * 7", output: "42"},
	"import":                  {script: `export const f = () => import("./other.js");`, code: abi.CodeFailed, error: `ReferenceError: cannot import "./other.js": a script is one file`},
	"numbers":                 {script: `export const f = () => [0.1 + 0.2, 5e-324, 1e21, 123456789012345680000, 1 / 3, -1e-7, 2 ** 53, Number("1e400") === Infinity].join();`, output: "0.30000000000000004,5e-324,1e+21,123456789012345680000,0.3333333333333333,-1e-7,9007199254740992,true"},
	"rounded numbers":         {script: `export const f = () => [2.5.toFixed(0), 0.125.toFixed(2), 1.005.toFixed(2), 0.05.toFixed(1), 99.99.toFixed(1), (-1.5).toFixed(0), 123.456.toPrecision(4), 25..toPrecision(1), 0.5.toExponential(0)].join();`, output: "3,0.13,1.00,0.1,100.0,-2,123.5,3e+1,5e-1"},
	"text of numbers":         {script: `export const f = () => { for (let i = 0; i < 5000; i++) { const x = (Math.random() - 0.5) * 10 ** Math.floor(Math.random() * 600 - 300); if (Number(String(x)) !== x || parseFloat(x.toPrecision(17)) !== x || JSON.parse(JSON.stringify(x)) !== x) return "wrong: " + x; } return "right"; };`, output: "right"},
	"newer parts":             {script: `export const f = () => [[1, 2].at(-1), "ab".at(-1), [3, 1, 2].toSorted(), [1, 2].toReversed(), [1, 2].with(0, 5), [1, 2, 3].findLast(x => x < 3), Object.hasOwn({ a: 1 }, "a"), Object.groupBy([1, 2, 3], x => x % 2 ? "odd" : "even")];`, output: `[2,"b",[1,2,3],[2,1],[5,2],2,true,{"odd":[1,3],"even":[2]}]`},
	"enumerable":              {script: `export const f = () => { const l = []; for (const i in [7]) l.push(i); return [l, Object.keys(globalThis)]; };`, output: `[["0"],[]]`},
	"base64":                  {script: `export const f = () => [btoa("hé\x00"), atob("aOkA") === "hé\x00", btoa(""), atob(" aA== "), btoa("ab")];`, output: `["aOkA",true,"","h","YWI="]`},
	"bad base64":              {script: `export const f = () => atob("a");`, code: abi.CodeFailed, error: "TypeError: atob: the string is not base64"},
	"base64 of more":          {script: `export const f = () => btoa("ā");`, code: abi.CodeFailed, error: "RangeError: btoa: "},
	"encoders":                {script: `export const f = () => [Array.from(new TextEncoder().encode("é\ud800")), new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0xc3, 0xa9, 0xff])), new TextDecoder().decode()];`, output: `[[195,169,239,191,189],"é` + "\ufffd" + `",""]`},
	"a fatal decoder":         {script: `export const f = b => new TextDecoder("utf8", { fatal: true }).decode(b); f.input = "bytes";`, input: "\xff", code: abi.CodeFailed, error: "TypeError: TextDecoder: the bytes are not UTF-8"},
	"a fatal decoder, and OK": {script: `export const f = b => new TextDecoder("utf8", { fatal: true }).decode(b); f.input = "bytes";`, input: "é\ufffd", output: "é\ufffd"},
	"random bytes":            {script: `export const f = () => { const a = crypto.getRandomValues(new Uint32Array(200)); return [new Set(a).size > 190, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())]; };`, output: "[true,true]"},
	"console":                 {script: `export const f = () => console.log("a", 1, null, undefined, { a: [1n, new Map([["k", 1]]), new Set([2])] }, () => 1, Symbol("s"), [new Error("e")]);`, log: `info a 1 null undefined {"a":["1n",{"k":1},[2]]} [function ] Symbol(s) ["Error: e"]`},
	"an error in the log":     {script: "export const f = () => console.error(\n  new TypeError(\"e\"));", log: "error TypeError: e\n    at f (f.js:2)"},
	"what is not logged":      {script: `export const f = () => { log.debug({ toJSON() { throw 1; } }); return log.enabled("debug"); };`, output: "false"},
	"a bad metric":            {script: `export const f = () => metrics.add("n", 1, { "bad-name": 1 });`, code: abi.CodeFailed, error: "metric n: "},
	"a var of JSON":           {script: `export const f = () => { vars.set("a", { b: 1 }); vars.set("c", "x"); return [vars.get("a", "json").b, vars.get("c"), vars.get("c", "bytes")[0], vars.get("d") === undefined]; };`, output: `[1,"x",120,true]`},
	"a var's kind":            {script: `export const f = () => vars.get("a", "yaml");`, code: abi.CodeFailed, error: `TypeError: "yaml" is none of "text", "bytes" and "json"`},
	"time":                    {script: `export const f = () => [Math.abs(Date.now() - new Date()) < 1000, performance.now() > 0, new Date(0).getTimezoneOffset()];`, output: "[true,true,0]"},
	// What quickjs.sed changes.
	"a variable too early": {script: `const t = f => { try { return f(); } catch (e) { return e.message; } };
		export const f = () => [t(() => { const g = x; let x = 1; }), t(() => { x = 1; let x; }), t(() => { const g = () => x; g(); let x = 1; }),
			t(() => { for (let i = 0; i < 2; i++) { if (i == 1) y; let y = i; y++; } }), t(() => { switch (2) { case 1: let x = 1; case 2: return x; } }),
			t(() => { for (let x of [x]); }), t(() => { let { a = b, b } = {}; }), t(() => { eval("x"); let x = 1; }), t(() => { new A(); class A {} })].map(s => s.replace(" is not initialized", "")).join("");`, output: "xxxyxxbxA"},
	"variables in loops": {script: `export const f = () => { const g = []; let s = 0; for (let i = 0; i < 3; i++) { let y = i; g.push(() => i++ + y); s += y; } g[0](); return [s, g.map(h => h())]; };`, output: "[3,[1,2,4]]"},
	"counting":           {script: `export const f = () => { let i = 2147483646; i++; i++; let d = -2147483647; d--; d--; let h = 0.5; h++; let s = "5"; const p = s++; let b = 1n; b++; let u; u++; return [i, d, h, s, p, String(b), u, i-- - i--]; };`, output: `[2147483648,-2147483649,1.5,6,5,"2",null,1]`},
	"text that grows": {script: `export const f = () => { let a = "0123456789".repeat(40), b = a, c = "x" + a, d = c; a += "é"; c += 1; let e = c; c = c + c; c += null; let g = ""; for (let i = 0; i < 1000; i++) { g += i; g += "\n" + i; }
		const h = []; let k = "k"; for (let i = 0; i < 3; i++) { h.push(k); k += i; h.push(() => k); } return [b.length, a.length, d.length, e.length, c.length, g.length, h.map(x => x.call?.() ?? x)]; };`, output: `[400,401,401,402,808,6780,["k","k012","k0","k012","k01","k012"]]`},
	"much text that grows":  {script: `export const f = () => { let s = ""; for (let i = 0; i < 300000; i++) s += "line " + i; return s.length; };`, output: "3188890"},
	"what text cannot take": {script: `export const f = () => { let s = "a"; try { s += Symbol("x"); } catch (e) { return [s, e.message]; } };`, output: `["a","cannot convert symbol to string"]`},

	"what has no number":      {script: `export const f = () => progress({ valueOf() { throw new Error("none"); } }, 1);`, code: abi.CodeFailed, error: "none"},
	"a view that lies":        {script: `class V extends Uint8Array { get byteLength() { return 1e6; } } export const f = () => new V(8);`, code: abi.CodeFailed, error: "RangeError: the view is larger"},
	"the other name":          {script: "\ufeffexport default function () { return 1; } export function f() { return 2; }", output: "2"},
	"a surrogate in progress": {script: `export const f = () => { progress(1, 2, "\ud83c"); progress(NaN); };`},
	"generators and classes":  {script: `class A { #x = 1; static s = 2; get x() { return this.#x; } } function* g() { yield* [1, 2]; } export const f = () => [new A().x, A.s, ...g()];`, output: "[1,2,1,2]"},
}

func TestJavaScript(t *testing.T) {
	files, plugins := map[string]string{}, map[string]string{}
	for name, c := range javascript {
		plugins[name] = fmt.Sprintf("case%d", len(plugins))
		files[plugins[name]+".js"] = c.script
		files[plugins[name]+".json"] = `{"memory": {"max_pages": 640}}`
	}
	h := scripts(t, files)
	for name, c := range javascript {
		t.Run(name, func(t *testing.T) {
			said := strings.NewReplacer("f.js", plugins[name]+".js")
			r, err := h.Run(t.Context(), abi.Call{Plugin: plugins[name], Function: "f", Input: []byte(c.input)}, nil)
			var log []string
			for _, line := range r.Log {
				log = append(log, line.Level+" "+line.Text)
			}
			if got, want := strings.Join(log, "\n"), said.Replace(c.log); got != want {
				t.Errorf("log %q, want %q", got, want)
			}
			if c.code == "" {
				if err != nil || string(r.Output) != c.output {
					t.Errorf("%q, %v, want %q", r.Output, err, c.output)
				}
				return
			}
			e := abi.AsError(err)
			if e == nil || e.Code != c.code || !strings.HasPrefix(e.Message, said.Replace(c.error)) || !strings.Contains("\n"+e.Detail, "\n"+said.Replace(c.detail)) {
				t.Errorf("%s, %v, want %s, %s", abi.CodeOf(err), err, c.code, said.Replace(c.error))
				if e != nil {
					t.Error(e.Detail)
				}
			}
		})
	}
}

func TestJavaScriptFunctions(t *testing.T) {
	h := scripts(t, map[string]string{
		"many.js":    `export function b() {} export const a = async () => 1; export class C {} export const d = 1; export { a as process }; export default () => 2;`,
		"unnamed.js": `export default text => text + "!";`,
		"one.mjs":    `const secret = () => 1; export const only = text => text + secret();`,
	})
	for name, want := range map[string]string{"many": "a b process; process", "unnamed": "process; process", "one": "only; only"} {
		p, err := h.Inspect(name)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range p.Functions {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " ") + "; " + p.Default; got != want {
			t.Errorf("%s has %s, want %s", name, got, want)
		}
	}
	if got := succeed(t, h, "unnamed", "x"); got != "x!" {
		t.Errorf("%q", got)
	}
}

func TestJavaScriptThatIsRefused(t *testing.T) {
	dir := t.TempDir()
	cases := map[string]struct{ script, want string }{
		"an error":        {"const a = 1;\nnull.x;\nexport const f = () => 1;", "f.js:2: TypeError: cannot read property 'x' of null"},
		"an error inside": {"export const f = () => 1;\nconst g = () => {\n  throw new RangeError('no');\n};\ng();", "f.js:3: RangeError: no"},
		"no function":     {"export const a = 1;", "it exports no function; begin one with: export function process"},
		"nothing":         {"", "it exports no function"},
		"an import":       {`import { a } from "lodash"; export const f = () => a;`, `cannot import "lodash": a script is one file`},
		"a kind":          {`export const f = () => 1; f.input = "yaml";`, `f.input is yaml: it can be "text", "bytes", "json"`},
		"an argument":     {`export const f = () => 1; f.input = { a: "float" };`, `f.input.a is float: it can be one of string, integer`},
		"a rejection":     {"export const f = () => 1;\nPromise.reject(new Error('late'));", "f.js:2: Error: late"},
	}
	plugins := map[string]string{}
	for name, c := range cases {
		plugins[name] = fmt.Sprintf("case%d", len(plugins))
		if err := os.WriteFile(filepath.Join(dir, plugins[name]+".js"), []byte(c.script), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := host.New(t.Context(), host.Config{Dir: dir, WatchInterval: -1, Interpreters: builtin.Interpreters()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	for name, c := range cases {
		p, err := h.Inspect(plugins[name])
		if want := strings.ReplaceAll(c.want, "f.js", plugins[name]+".js"); err != nil || !strings.Contains(p.Error, want) {
			t.Errorf("%s: %s, %s, %v, want %s", name, p.State, p.Error, err, want)
		}
	}
}

func TestJavaScriptSandbox(t *testing.T) {
	const script = `
		let calls = 0, list = [];
		const first = Math.random();
		export const count = () => ++calls;
		export const random = () => [Math.random(), Math.random(), first];
		export const late = () => { setInterval(() => list.push(1), 1); Promise.reject(1).catch(() => {}); };
		export const seen = async () => { await new Promise(done => setTimeout(done, 5)); return list.length; };
		let old;
		export const fails = () => { Promise.resolve().then(() => list.push(2)); setTimeout(() => { throw new Error("late"); }, 1); return new Promise(done => (old = done)); };
		export const fulfils = async () => { old?.("of the call before"); await null; await null; return "own"; };
		export const grow = () => { const a = []; for (let i = 0; i < 1e5; i++) { const o = { a }; o.o = o; } return a.length; };
	`
	h := scripts(t, map[string]string{
		"fresh.js": script, "kept.js": script, "kept.json": `{"taskhost": {"isolation": "reuse", "max_instances": 1}, "memory": {"max_pages": 800}}`,
	})
	for i := 1; i <= 3; i++ {
		if got := succeed(t, h, "fresh:count", ""); got != "1" {
			t.Errorf("call %d of a fresh sandbox: %s", i, got)
		}
		if got := succeed(t, h, "kept:count", ""); got != fmt.Sprint(i) {
			t.Errorf("call %d of a kept sandbox: %s", i, got)
		}
	}
	var a, b [3]float64
	for _, to := range []*[3]float64{&a, &b} {
		if err := json.Unmarshal([]byte(succeed(t, h, "fresh:random", "")), to); err != nil {
			t.Fatal(err)
		}
	}
	if a[0] == a[1] || a[0] == b[0] || a[1] == b[1] || a[2] != b[2] {
		t.Errorf("random numbers: %v, %v", a, b)
	}
	succeed(t, h, "kept:late", "")
	if got := succeed(t, h, "kept:seen", ""); got != "0" {
		t.Errorf("a timer of the call before ran %s times", got)
	}
	if _, _, err := call(t, h, abi.Call{Plugin: "kept", Function: "fails"}); err == nil || !strings.Contains(err.Error(), "late") {
		t.Errorf("%v", err)
	}
	if got := succeed(t, h, "kept:fulfils", ""); got != "own" {
		t.Errorf("a promise of the call before: %q", got)
	}
	for range 5 { // each leaves garbage in cycles
		succeed(t, h, "kept:grow", "")
	}
}

func TestJavaScriptHTTP(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", "a")
		w.Header().Add("X-Seen", "b")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode([]string{r.Method, r.Header.Get("Content-Type"), r.Header.Get("X-Sent"), string(body)})
	}))
	t.Cleanup(server.Close)
	h := scripts(t, map[string]string{
		"web.js": `
			export const request = url => {
				const r = http.request({ url, method: "POST", headers: { "X-Sent": 1, "X-Not": undefined }, body: { a: 1 } });
				return [r.status, r.ok, r.headers["x-seen"], r.body instanceof Uint8Array, r.text() === JSON.stringify(r.json()) + "\n", ...r.json()];
			};
			export const get = url => http.request(url).json();
			export const fetched = async url => {
				const r = await fetch(url, { method: "PUT", headers: new Headers([["X-Sent", "2"], ["Content-Type", "text/plain"]]), body: "b" });
				const again = new TextDecoder().decode(await r.arrayBuffer());
				return [r.status, r.ok, r.headers.get("X-SEEN"), [...r.headers.keys()].includes("x-seen"), (await r.text()) === again, ...(await r.json())];
			};
			export const denied = async () => { try { await fetch("http://127.0.0.2:1/"); } catch { return "caught"; } };
		`,
		"web.json": `{"allowed_hosts": ["127.0.0.1"]}`,
	})
	for function, want := range map[string]string{
		"request": `[201,true,"a,b",true,true,"POST","application/json","1","{\"a\":1}"]`,
		"get":     `["GET","","",""]`,
		"fetched": `[201,true,"a,b",true,true,"PUT","text/plain","2","b"]`,
	} {
		if got := succeed(t, h, "web:"+function, server.URL); got != want {
			t.Errorf("%s: %s, want %s", function, got, want)
		}
	}
	if _, _, err := call(t, h, abi.Call{Plugin: "web", Function: "denied"}); abi.CodeOf(err) != abi.CodeDenied {
		t.Errorf("another host: %v", err)
	}
}

// TestJavaScriptIsStopped checks that whatever a script waits for or works on ends when its time is over.
func TestJavaScriptIsStopped(t *testing.T) {
	h := scripts(t, map[string]string{
		"busy.js": `
			export const loop = () => { for (;;); };
			export const jobs = async () => { for (;;) await null; };
			export const sleep = () => new Promise(done => setTimeout(done, 60_000));
			export const regexp = () => /^(a+)+$/.test("a".repeat(64) + "b");
		`,
		"busy.json": `{"timeout_ms": 200}`,
	})
	for _, function := range []string{"loop", "jobs", "sleep", "regexp"} {
		start := time.Now()
		_, _, err := call(t, h, abi.Call{Plugin: "busy", Function: function})
		if abi.CodeOf(err) != abi.CodeTimeout || time.Since(start) > 10*time.Second {
			t.Errorf("%s: %v after %s", function, err, time.Since(start))
		}
	}
}

func TestTheExamplesOfJavaScriptRun(t *testing.T) {
	files := map[string]string{}
	for _, e := range regexp.MustCompile("(?s)```js\n// (\\S+\\.js)\n.*?```").FindAllStringSubmatch(read(t, "../docs/javascript.md"), -1) {
		files[e[1]] = strings.TrimSuffix(strings.TrimPrefix(e[0], "```js\n"), "```")
	}
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "seen")
	}))
	t.Cleanup(server.Close)
	files["watch.json"] = `{"allowed_hosts": ["127.0.0.1"]}`
	h := scripts(t, files)
	for _, c := range []struct{ step, input, output string }{
		{"orders:lines", "a\nb", "2"},
		{"orders:total", `{"items": [{"price": 1.5, "n": 2}]}`, `{"total":3}`},
		{"orders:xor", "\x00", "\xff"},
		{"orders:greet", `{"name": "Ada", "times": 2}`, `{"text":"Hello, Ada! Hello, Ada!"}`},
		{"watch", server.URL, "seen"},
	} {
		if got := succeed(t, h, c.step, c.input); got != c.output {
			t.Errorf("%s: %q, want %q", c.step, got, c.output)
		}
	}
}

// TestJavaScriptNumbers compares how numbers are read and written with what Go does.
func TestJavaScriptNumbers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var lines, want []string
	for range 4000 {
		var x float64
		switch random.IntN(4) {
		case 0:
			x = math.Float64frombits(random.Uint64() &^ (1 << 62)) // less than 2 in size, down to the smallest
		case 1:
			x = float64(random.Int64N(1e7)) / []float64{1, 8, 10, 1000, 1024}[random.IntN(5)] // ties and prices
		case 2:
			x = float64(random.Int64())
		default:
			x = (random.Float64() - 0.5) * math.Pow(10, float64(random.IntN(40)-20))
		}
		if math.IsNaN(x) || x == 0 {
			continue
		}
		shortest := strconv.FormatFloat(x, 'e', -1, 64)
		places := random.IntN(20)
		fixed := new(big.Rat).SetFloat64(x).FloatString(places)
		lines = append(lines, fmt.Sprintf("%s %d", strconv.FormatFloat(x, 'e', 16+random.IntN(3), 64), places))
		want = append(want, fmt.Sprintf("%s %s %t", shortest, fixed, true))
	}
	h := scripts(t, map[string]string{"numbers.js": `
		const go = text => text.replace(/e([+-])(\d)$/, "e$10$2");
		export function process(text) {
			return text.split("\n").map(line => {
				const [number, places] = line.split(" "), x = Number(number);
				return go(x.toExponential()) + " " + x.toFixed(places) + " " + (x === eval("(" + number + ")") && x === JSON.parse(number) && x === Number(String(x)));
			}).join("\n");
		}`})
	got := strings.Split(succeed(t, h, "numbers", strings.Join(lines, "\n")), "\n")
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("%s: got %s, want %s", lines[i], got[i], want[i])
		}
	}
}

// TestQuickJSPassesItsOwnTests runs those that come with its source, which is changed a little before it is compiled.
func TestQuickJSPassesItsOwnTests(t *testing.T) {
	files := map[string]string{}
	for _, name := range []string{"test_builtin", "test_closure", "test_language", "test_loop"} {
		text, err := json.Marshal(read(t, filepath.Join(build, "sources", "quickjs", "tests", name+".js")))
		if err != nil {
			t.Fatal(err)
		}
		files[name+".js"] = fmt.Sprintf("const text = %s;\nexport function process() { (0, eval)(text); return 'passed'; }", text) // they are no modules
	}
	h := scripts(t, files)
	for file := range files {
		if got := succeed(t, h, strings.TrimSuffix(file, ".js"), ""); got != "passed" {
			t.Errorf("%s: %s", file, got)
		}
	}
}
