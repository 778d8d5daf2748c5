package main

import (
	"encoding/csv"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/plugins/internal/plugintest"
)

var set = plugintest.Set

func debian(tb testing.TB) string { return plugintest.File(tb, "testdata/data/debian.csv") }

func TestToJSON(t *testing.T) {
	plugintest.Table(t, process, []plugintest.Row{
		{nil, "a,b\n1,x\n-2.50,\n", "[\n{\"a\":1,\"b\":\"x\"},\n{\"a\":-2.50,\"b\":null}\n]\n"},
		{set("lines=true"), "a,b\n1,x\n2,y", "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n"},
		{set("types=false", "lines=true"), "a,b\n1,\n", "{\"a\":\"1\",\"b\":\"\"}\n"},
		{set("lines=true"), "a,b,c,d,e,f\n007,true,1e3,+1,.5,0x1\n", `{"a":"007","b":true,"c":1e3,"d":"+1","e":".5","f":"0x1"}` + "\n"},
		{set("lines=true"), "n\n9007199254740993\n1e999\n-0\nNaN\n", "{\"n\":\"9007199254740993\"}\n{\"n\":\"1e999\"}\n{\"n\":\"-0\"}\n{\"n\":\"NaN\"}\n"},
		{set("lines=true"), "\ufeffa;a;\r\n", ""},
		{set("lines=true", "delimiter=;"), "\ufeffa;a;\r\n\"1;\"\"2\";é<\u2028;\"x\ny\"\r\n", `{"a":"1;\"2","a_2":"é<\u2028","column_3":"x\ny"}` + "\n"},
		{set("lines=true", "delimiter=tab", "header=false"), "1\tx\n", `{"column_1":1,"column_2":"x"}` + "\n"},
		{set("lines=true", "comment=#", "lazy_quotes=true"), "# no\na\n5\" disk\n", `{"a":"5\" disk"}` + "\n"},
		{set("lines=true"), "a,b\nshort\n", `{"a":"short","b":null}` + "\n"},
		{nil, "a,b\n", "[]\n"},
		{nil, "", "[]\n"},
	})
}

func TestARealTableGoesThroughEverything(t *testing.T) {
	source := debian(t)
	var rows []map[string]any
	if err := json.Unmarshal([]byte(plugintest.Run(t, process, source)), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 20 || rows[17]["series"] != "trixie" || rows[17]["version"] != 13.0 || rows[0]["eol-lts"] != nil {
		t.Errorf("%d rows, %v", len(rows), rows[17])
	}
	// Back again it is the same table, its short rows filled up.
	back := plugintest.Run(t, fromJSONAlone, plugintest.Run(t, process, source, "types=false"))
	if got, want := records(t, back), records(t, source); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// What has numbers goes back as it was written.
	if again := plugintest.Run(t, fromJSONAlone, plugintest.Run(t, process, source, "lines=true")); again != back {
		t.Errorf("got %q\nwant %q", again, back)
	}
	if got := plugintest.Run(t, filterAlone, source, `where=release >= 2015-01-01 and release < 2020 and codename != Stretch or series = "sid"`); strings.Count(got, "\n") != 4 ||
		!strings.Contains(got, "Jessie") || !strings.Contains(got, "Buster") || !strings.Contains(got, "Sid") {
		t.Errorf("filter: %s", got)
	}
}

// records are the rows of a table, each as long as the header.
func records(t *testing.T, source string) [][]string {
	t.Helper()
	r := csv.NewReader(strings.NewReader(source))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		for len(rows[i]) < len(rows[0]) {
			rows[i] = append(rows[i], "")
		}
	}
	return rows
}

func TestFromJSON(t *testing.T) {
	plugintest.Table(t, fromJSONAlone, []plugintest.Row{
		{nil, `[{"b":1.50,"a":"x,\"y\""},{"c":[1, {"d":null}],"a":null,"b":12345678901234567890}]`, "b,a,c\n1.50,\"x,\"\"y\"\"\",\n12345678901234567890,,\"[1,{\"\"d\"\":null}]\"\n"},
		{nil, "{\"a\":1}\n{\"a\":true}\n", "a\n1\ntrue\n"},
		{set("columns=c, a", "delimiter=tab"), `[{"a":1,"b":2}]`, "c\ta\n\t1\n"},
		{set("header=false"), `[{"a":"é\nf"}]`, "\"é\nf\"\n"},
		{set("escape_formulas=true"), `[{"a":"=1+1","b":-1,"c":"-1"}]`, "a,b,c\n'=1+1,-1,'-1\n"},
		{nil, "[]", ""},
		{nil, "", ""},
	})
}

func TestSelect(t *testing.T) {
	plugintest.Table(t, selectAlone, []plugintest.Row{
		{set("columns=c,a=first"), "a,b,c\n1,2,3\n", "c,first\n3,1\n"},
		{set("columns=-b"), "a,b,c\n1,2,3\n", "a,c\n1,3\n"},
		{set("columns=#3,#1", "header=false", "delimiter=;"), "1;2;3\n", "3;1\n"},
		{set(`columns="x,y",-z`), "\"x,y\",-z\n1,2\n", "\"x,y\",-z\n1,2\n"},
		{set("columns=a=b"), "a=b\n1\n", "a=b\n1\n"},
		{set("columns=a"), "", ""},
	})
}

func TestFilter(t *testing.T) {
	const source = "name,n\nA,1\nb b,10\nc,\n"
	for _, c := range []struct{ where, want string }{
		{"n > 9", "b b"}, {"n>=1", "A b b"}, {"n = 1.0", "A"}, {"n = '1.0'", ""}, {"n != 1", "b b c"}, {`n = ""`, "c"}, {"n != ''", "A b b"},
		{`name == "b b"`, "b b"}, {"name ~ ^[a-z]", "b b c"}, {"name !~ '[a-z]'", "A"}, {"n < 5 or name = c", "A c"},
		{"name = c or n > 5 and name = A", "c"}, {"'name' = 'it''s'", ""}, {"#2 <= 10 AND #1 > a", "b b"},
	} {
		got := plugintest.Run(t, filterAlone, source, "where="+c.where)
		names := strings.Join(strings.Fields(strings.NewReplacer("name,n", "", ",1", "", "0", "", ",", "").Replace(got)), " ")
		if names != c.want {
			t.Errorf("%s: %q, want %q", c.where, names, c.want)
		}
	}
	r := plugintest.Call(filterAlone, source, "where=n > 5", "header=true")
	if last := r.Progress[len(r.Progress)-1]; last.Message != "1 of 3 rows kept" || last.Fraction != 1 {
		t.Errorf("progress %+v", last)
	}
}

func TestStatistics(t *testing.T) {
	var s struct {
		Rows    int
		Columns []column
	}
	if err := json.Unmarshal([]byte(plugintest.Run(t, statsAlone, "a,b\n0.1,x\n0.2,\n-1e3,x\n")), &s); err != nil {
		t.Fatal(err)
	}
	a, b := s.Columns[0], s.Columns[1]
	if s.Rows != 3 || a.Numbers != 3 || *a.Min != -1000 || *a.Max != 0.2 || *a.Sum != -999.7 || *a.Distinct != 3 {
		t.Errorf("%+v", a)
	}
	if b.Numbers != 0 || b.Sum != nil || b.Empty != 1 || *b.Distinct != 1 || b.Longest != 1 || b.First != "x" || b.Last != "x" {
		t.Errorf("%+v", b)
	}
	var many strings.Builder
	many.WriteString("n\n")
	for i := range maxDistinct + 1 {
		many.WriteString(strconv.Itoa(i) + "\n")
	}
	r := plugintest.Call(statsAlone, many.String())
	if strings.Contains(string(r.Output), "distinct") || !strings.Contains(string(r.Output), `"rows": 10001`) || len(r.Progress) != 9 {
		t.Errorf("%s, %d reports", r.Output, len(r.Progress))
	}
}

func TestWhatCannotBeDoneIsInvalidAndSaysWhy(t *testing.T) {
	plugintest.Refuse(t, []plugintest.Refused{
		{process, "a\n\xff", nil, "invalid UTF-8 at byte 2 (line 2, column 1)"},
		{process, "a,b\n1,2\n1,2,3\n", nil, "line 3 has 3 fields, there are 2 columns"},
		{process, "a\n\"x\n", nil, "line 2, column 4: extraneous or missing \" in quoted-field; config lazy_quotes=true"},
		{process, "a", set("delimiter=ab"), `config delimiter: "ab"`},
		{process, "a", set("comment=,"), "is the delimiter"},
		{process, "a", set("types=x"), `config types: "x" is neither true nor false`},
		{process, strings.Repeat(",", maxColumns), nil, "10001 columns are more than 10000"},
		{fromJSONAlone, "[{\"a\":1},\n 2]", nil, "line 2, column 2: value 2 is not an object"},
		{fromJSONAlone, "[{\"a\":1},\n{\"a\" 1}]", nil, "line 2, column 5: expected colon"},
		{fromJSONAlone, "[{\"a\":1}", nil, "line 1, column 9: the JSON ends early"},
		{fromJSONAlone, "[] []", nil, "line 1, column 4: something follows the JSON value"},
		{selectAlone, "a", nil, "config columns is missing"},
		{selectAlone, "a", set("columns=b"), `config columns: there is no column "b"; there are a`},
		{selectAlone, "a,b", set("columns=-a,b"), `"b" is to be kept`},
		{filterAlone, "a", nil, "config where is missing"},
		{filterAlone, "a", set("where=a"), "a condition is a column, an operator and a value"},
		{filterAlone, "a", set("where=b = 1"), `there is no column "b"`},
		{filterAlone, "a", set("where=a =< 1"), `"=<" is none of the operators`},
		{filterAlone, "a", set("where=a = 1 2"), `"2" stands where and or or belongs`},
		{filterAlone, "a", set("where=a ~ '('"), "missing closing )"},
		{filterAlone, "a", set("where=" + strings.Repeat("a=1 and ", 64) + "a=1"), "more than 64 conditions"},
	})
}

// What encoding/csv reads is what the JSON says.
func FuzzToJSON(f *testing.F) {
	f.Add("a,b\n1,\"x\ny\"\n", ",")
	f.Add("a;a\n;\n", ";")
	f.Fuzz(func(t *testing.T, source, comma string) {
		r := plugintest.Call(process, source, "delimiter="+comma, "types=false")
		if r.Code != 0 {
			if !r.Invalid {
				t.Errorf("%q: %s", source, r.Error)
			}
			return
		}
		var rows []map[string]string
		if err := json.Unmarshal(r.Output, &rows); err != nil {
			t.Fatalf("%q: %v in %s", source, err, r.Output)
		}
		back := plugintest.Run(t, fromJSONAlone, string(r.Output))
		if len(rows) > 0 && plugintest.Run(t, process, back, "types=false") != string(r.Output) && !strings.Contains(source, "\r") {
			t.Errorf("%q became %q", source, back)
		}
	})
}
