package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/plugins/internal/plugintest"
)

var set = plugintest.Set

func TestFormat(t *testing.T) {
	plugintest.Table(t, process, []plugintest.Row{
		{nil, `{"b":1.50,"a":[12345678901234567890,"<é>"],"e":{}} [] 1`, "{\n  \"b\": 1.50,\n  \"a\": [\n    12345678901234567890,\n    \"<é>\"\n  ],\n  \"e\": {}\n}\n[]\n1\n"},
		{set("indent=0"), "\ufeff{ \"b\" : 1e5 ,\n\"a\": \"\\u003c\"}", "{\"b\":1e5,\"a\":\"\\u003c\"}\n"},
		{set("indent=0", "sort_keys=true"), `{"b":{"d":1.50,"c":"<"},"a":null}`, `{"a":null,"b":{"c":"<","d":1.50}}` + "\n"},
		{nil, "", ""},
	})
}

func TestQuery(t *testing.T) {
	plugintest.Table(t, queryAlone, []plugintest.Row{
		{set("query=.a[]", "indent=0"), `{"a":[1,{"c":2,"b":12345678901234567890.5}]} {"a":["x"]}`, "1\n{\"b\":12345678901234567890.5,\"c\":2}\n\"x\"\n"},
		{set("query=.a + 1"), `{"a":12345678901234567890}`, "12345678901234567891\n"},
		{set("query=map(.n) | add", "slurp=true"), "{\"n\":1}\n{\"n\":2}\n", "3\n"},
		{set("query=.name", "raw=true"), `{"name":"a\tb"} {"name":null}`, "a\tb\nnull\n"},
		{set("query=.[] | select(.n >= $least) | .s", `args={"least":2}`, "raw=true"), `[{"n":1,"s":"a"},{"n":2,"s":"b"}]`, "b\n"},
		{set(`query=test("^A"; "i")`), `"abc"`, "true\n"},
		{set("query=$ENV | length"), "1", "0\n"},
		{set("query=., halt"), "1 2", "1\n"},
		{set(`query=try error("x") catch .`), "1", "\"x\"\n"},
		{set("query=empty"), "1", ""},
		{set("query=[.[] | {name, n: .n}]"), `[{"name":"a","n":1.0}]`, "[\n  {\n    \"n\": 1.0,\n    \"name\": \"a\"\n  }\n]\n"},
	})
	if got := plugintest.Run(t, process, `{"a":1}`, "query=.a"); got != "1\n" {
		t.Errorf("process with a query: %s", got)
	}
}

// dashboard is a large document of real life: the panels of a monitoring page.
func dashboard(tb testing.TB) string { return plugintest.File(tb, "deploy/grafana/taskhost.json") }

func TestARealDocument(t *testing.T) {
	source := dashboard(t)
	titles := plugintest.Run(t, queryAlone, source, "query=[.. | objects | select(.targets) | .title] | unique | .[]", "raw=true")
	if strings.Count(titles, "\n") < 10 {
		t.Errorf("titles of panels: %s", titles)
	}
	// All layouts have the same meaning.
	want := plugintest.Run(t, queryAlone, source, "query=.", "indent=0")
	for _, config := range [][]string{{"indent=0"}, {"indent=7"}, {"sort_keys=true"}} {
		laid := plugintest.Run(t, formatAlone, source, config...)
		if got := plugintest.Run(t, queryAlone, laid, "query=.", "indent=0"); got != want {
			t.Errorf("%s: another meaning", config)
		}
	}
	if again := plugintest.Run(t, formatAlone, plugintest.Run(t, formatAlone, source, "indent=0")); again != plugintest.Run(t, formatAlone, source) {
		t.Error("a layout on one line loses something")
	}
}

const person = `{
  "type": "object",
  "required": ["name"],
  "additionalProperties": false,
  "properties": {
    "name": {"type": "string", "minLength": 1},
    "mail": {"type": "string", "format": "email"},
    "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}}
  },
  "$defs": {"tag": {"enum": ["a", "b"]}}
}`

func TestValidate(t *testing.T) {
	good := "{\"name\": \"x\", \"tags\": [\"a\"]}\n{\"name\":\"y\", \"mail\": \"no\"}\n"
	if got := plugintest.Run(t, validateAlone, good, "schema="+person); got != good {
		t.Errorf("got %q", got)
	}
	bad := "{\"name\": \"x\",\n \"tags\": [\"a\", \"c\"]}\n{\"name\": 7,\n  \"more\": 1}"
	var report struct {
		Valid  bool
		Values int
		Errors []failure
	}
	if err := json.Unmarshal([]byte(plugintest.Run(t, validateAlone, bad, "schema="+person, "report=true")), &report); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range report.Errors {
		got = append(got, tell([]failure{f}))
	}
	want := "line 2, column 16: /tags/1: value must be one of 'a', 'b'\n" +
		"line 3, column 1: /: additional properties 'more' not allowed\n" +
		"line 3, column 10: /name: got number, want string"
	if report.Valid || report.Values != 2 || strings.Join(got, "\n") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, "\n"), want)
	}
	// The manifests of the plugins that ship fit a schema of manifests.
	const manifest = `{"type": "object", "required": ["taskhost"], "properties": {"taskhost": {"type": "object", "required": ["description", "functions"],
		"properties": {"functions": {"type": "object", "minProperties": 2, "additionalProperties": {"required": ["description"]}}}}}}`
	for _, name := range []string{"agent/agent", "processors/csv/csv", "processors/json/json", "processors/markdown/markdown"} {
		plugintest.Run(t, validateAlone, plugintest.File(t, "plugins/"+name+".json"), "schema="+manifest)
	}
}

func TestWhatCannotBeDoneIsInvalidAndSaysWhy(t *testing.T) {
	plugintest.Refuse(t, []plugintest.Refused{
		{formatAlone, "{\"a\": 1,\n  b: 2}", nil, "line 2, column 3: invalid character 'b'"},
		{formatAlone, `{"a"`, nil, "line 1, column 5: the JSON ends early"},
		{formatAlone, "\xff", nil, "invalid UTF-8 at byte 0"},
		{formatAlone, "1", set("indent=17"), "config indent: give a number from 0 to 16"},
		{queryAlone, "1", nil, "config query is missing; set it, as in query="},
		{queryAlone, "1", set("query=.a]"), `config query, column 3: unexpected token "]"`},
		{queryAlone, "1", set("query=nope(1)"), "function not defined: nope/1"},
		{queryAlone, "1", set("query=$x"), "variable not defined: $x"},
		{queryAlone, "1", set("query=.", "args=[1]"), "config args: give a JSON object"},
		{queryAlone, "1", set("query=.[]"), "query: cannot iterate over: number (1)"},
		{queryAlone, "1", set(`query=error("no such item")`), "query: no such item"},
		{queryAlone, "1", set(`query=range(infinite) | "` + strings.Repeat("x", 1<<20) + `"`), "the results have more than 64 MiB"},
		{queryAlone, "1", set(`query=import "a" as a; 1`), `cannot load module: "a"`},
		{validateAlone, "1", nil, "config schema is missing"},
		{validateAlone, "", set("schema={}"), "there is no JSON value"},
		{validateAlone, "1", set("schema={"), "config schema: line 1, column 2: the JSON ends early"},
		{validateAlone, "1", set(`schema={"type": "text"}`), "config schema, line 1, column 10: /type: value must be one of"},
		{validateAlone, "1", set(`schema={"$ref": "https://example.com/x.json"}`), "nothing is loaded from elsewhere: put that into $defs"},
		{validateAlone, "1", set(`schema={"pattern": "("}`), "config schema"},
		{validateAlone, `{"name":"x","mail":"no"}`, set("schema="+person, "formats=true"), "/mail: 'no' is not valid email"},
		{validateAlone, strings.Repeat("{}\n", 8), set("schema=" + person), "line 5, column 1: /: missing property 'name'; and 3 more"},
	})
}

func TestProgressOfManyValues(t *testing.T) {
	r := plugintest.Call(queryAlone, strings.Repeat("{\"a\":1}\n", 1000), "query=.a")
	if len(r.Progress) != 3 || r.Progress[2].Message != "768 values" || r.Progress[2].Fraction < 0.7 {
		t.Errorf("%+v", r.Progress)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add(`{"a":[1,2]}`, ".a[] | . + 1", "{}")
	f.Add(`[1e400]`, "map(tostring)", `{"type":"array"}`)
	f.Fuzz(func(t *testing.T, source, query, schema string) {
		if strings.ContainsAny(query, "*") || strings.Contains(query, "r") { // may run for ever: repeat, range, recurse, recursion
			return
		}
		for _, f := range []func() int32{queryAlone, formatAlone, validateAlone} {
			r := plugintest.Call(f, source, "query="+query, "schema="+schema)
			if r.Code != 0 && !r.Invalid {
				t.Errorf("%q, %q, %q: %s", source, query, schema, r.Error)
			}
		}
	})
}
