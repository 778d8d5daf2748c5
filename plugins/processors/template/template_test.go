package main

import (
	"strings"
	"testing"

	"github.com/taskhost/taskhost/plugins/internal/plugintest"
)

var set = plugintest.Set

func TestTemplates(t *testing.T) {
	const data = `{"name":"Ada","n":3,"x":2.50,"big":12345678901234567890,"list":["a","b|c"],"none":null,"html":"<b>","flag":true}`
	for _, c := range []struct{ template, want string }{
		{"Hi {{.name}}: {{.n}} {{.x}} {{.big}} {{.flag}}", "Hi Ada: 3 2.5 1.2345678901234567e+19 true"},
		{"[{{.none}}{{.nope}}{{.nope.deeper}}]", "[]"},
		{"{{range $i, $e := .list}}{{if $i}}, {{end}}{{$e | upper}}{{end}}", "A, B|C"},
		{"{{.html}} {{.html | html}}", "<b> &lt;b&gt;"},
		{`{{.list | join "+"}} {{index .list 1 | cell}} {{json .list}}`, `a+b|c b\|c ["a","b|c"]`},
		{`{{.none | default "-"}} {{.name | default "-"}} {{default 0 .nope}}`, "- Ada 0"},
		{"{{add .n 1}} {{sub .n 1.5}} {{mul .n .n}} {{div .n 2}} {{div 4 2}} {{round 2 .x}} {{round 0 .n}}", "4 1.5 9 1.5 2 2.50 3"},
		{"{{if gt .n 2}}many{{end}}{{if eq .name `Ada`}} her{{end}}", "many her"},
		{"{{pad 5 .name}}|{{pad -5 .name}}|", "Ada  |  Ada|"},
		{`{{.name | lower | replace "a" "o"}} {{contains "d" .name}} {{split "d" .name}} {{trim " x "}} {{len (lines "a\nb\n")}}`, "odo true [A a] x 2"},
		{`{{define "row"}}<{{.}}>{{end}}{{range .list}}{{template "row" .}}{{end}}`, "<a><b|c>"},
		{"{{range .none}}x{{else}}nothing{{end}}", "nothing"},
	} {
		if got := plugintest.Run(t, process, data, "template="+c.template); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.template, got, c.want)
		}
	}
	plugintest.Table(t, eachAlone, []plugintest.Row{
		{set("template={{.a}};"), `[{"a":1},{"a":null},{}]`, "1;;;"},
		{set("template={{.}}\n"), "1\n\"x\"\n", "1\nx\n"},
		{set("template=x"), "[]", ""},
		{set("template=x"), "", ""},
	})
	plugintest.Table(t, textAlone, []plugintest.Row{
		{set("template={{range $i, $l := lines .}}{{add $i 1}}: {{$l}}\n{{end}}"), "a\nb\n", "1: a\n2: b\n"},
		{set("template=<{{.}}>"), "", "<>"},
	})
}

func TestARealManifestBecomesItsReference(t *testing.T) {
	manifest := plugintest.File(t, "plugins/processors/csv/csv.json")
	got := plugintest.Run(t, process, manifest, "template={{range $name, $f := .taskhost.functions}}| `{{$name}}` | {{cell $f.description}} |\n{{end}}", "missing=error")
	if strings.Count(got, "\n") != 6 || !strings.HasPrefix(got, "| `filter` | Some rows. ") {
		t.Errorf("%s", got)
	}
}

func TestWhatCannotBeDoneIsInvalidAndSaysWhy(t *testing.T) {
	plugintest.Refuse(t, []plugintest.Refused{
		{process, "1", nil, "config template is missing"},
		{process, "{}", set("template=a\n{{.x"), "config template, line 2: unclosed action"},
		{process, "{}", set("template={{nope}}"), `config template, line 1: function "nope" not defined`},
		{process, `{"a":"x"}`, set("template={{.a}}\n{{.a.b}}"), "config template, line 2, column 4: at <.a.b>: can't evaluate field b"},
		{process, `{}`, set("template={{.a}}", "missing=error"), `map has no entry for key "a"`},
		{process, `{}`, set("template=x", "missing=zero"), "config missing"},
		{process, "{\n", set("template=x"), "line 2, column 1: the JSON ends early"},
		{process, "1 2", set("template=x"), "line 1, column 3: something follows"},
		{process, "", set("template=x"), "there is no JSON value"},
		{process, "1", set(`template={{add "a" 1}}`), "add needs numbers, not a string"},
		{process, "1", set("template={{div 1 0}}"), "div by 0"},
		{process, "1", set("template={{pad 100000 .}}"), "10000 are the most"},
		{process, "1", set(`template={{define "a"}}{{pad 9999 "x"}}{{pad 9999 .}}{{template "a" .}}{{end}}{{template "a" .}}`), ""},
		{process, "1", set("template=" + strings.Repeat("{{pad 9999 .}}", 7000)), "the result has more than 64 MiB"},
		{eachAlone, "[1,\n{}]", set("template={{add . 1}}"), "item 2 at line 2, column 1: config template, line 1, column 2: at <add . 1>: error calling add"},
		{textAlone, "\xff", set("template=x"), "invalid UTF-8"},
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add(`{"a":[1,"x",null]}`, `{{range .a}}{{. | default "-" | cell}}{{end}}`)
	f.Fuzz(func(t *testing.T, source, template string) {
		for _, f := range []func() int32{process, eachAlone, textAlone} {
			if r := plugintest.Call(f, source, "template="+template); r.Code != 0 && !r.Invalid {
				t.Errorf("%q with %q: %s", source, template, r.Error)
			}
		}
	})
}
