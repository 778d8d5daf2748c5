package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/taskhost/taskhost/abi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// from makes an Input of a file's text, variables and flags, each NAME=VALUE.
func from(t *testing.T, text string, env, flags []string) Input {
	t.Helper()
	file := filepath.Join(t.TempDir(), "taskhost.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	find := func(all []string, name string) (values []string) {
		for _, one := range all {
			if k, v, _ := strings.Cut(one, "="); k == name {
				values = append(values, v)
			}
		}
		return values
	}
	return Input{
		File:   file,
		Getenv: func(name string) string { return strings.Join(find(env, name), "") },
		Flag:   func(s Setting) ([]string, bool) { v := find(flags, s.Flag()); return v, len(v) > 0 },
	}
}

func value1(t *testing.T, l *Loaded, key string) Value {
	t.Helper()
	i := slices.IndexFunc(l.Values, func(v Value) bool { return v.Setting.Key == key })
	if i < 0 {
		t.Fatalf("there is no key %s", key)
	}
	return l.Values[i]
}

func TestPrecedence(t *testing.T) {
	text := "listen: 127.0.0.1:1\nlog:\n  level: warn\n  format: json\nkeep.age: 5d\nconcurrency: 3\n"
	l, err := Load(from(t, text, []string{"TASKHOST_LOG_LEVEL=error", "TASKHOST_CONCURRENCY=4"}, []string{"concurrency=5"}))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string][3]string{
		"listen":      {"127.0.0.1:1", "file", "yaml:1"},
		"log.format":  {"json", "file", "yaml:4"},
		"log.level":   {"error", "environment", "$TASKHOST_LOG_LEVEL"},
		"concurrency": {"5", "flag", "--concurrency"},
		"keep.age":    {"5d", "file", "yaml:5"},
		"max_queue":   {"100000", "default", "default"},
		"tls.cert":    {"", "default", "default"},
	} {
		if v := value1(t, l, key); v.Text() != want[0] || string(v.Origin) != want[1] || !strings.HasSuffix(v.Where, want[2]) {
			t.Errorf("%s is %q, %s, %s", key, v.Text(), v.Origin, v.Where)
		}
	}
	if l.Concurrency != 5 || l.LogLevel != "error" || l.KeepAge != 5*24*time.Hour || l.MaxInput != 64<<20 {
		t.Errorf("%+v", l.Config)
	}
}

// TestEverySetting gives each setting its default as a flag, a variable and a key, and finds the same.
func TestEverySetting(t *testing.T) {
	names := map[string]bool{}
	for _, s := range Settings() {
		if s.Help == "" || s.Default == "" && s.Absent == "" || names[s.Flag()] || names[s.Env()] {
			t.Errorf("%s: no help, no default, or a name that is taken", s.Key)
		}
		names[s.Flag()], names[s.Env()] = true, true
		if s.Default == "" {
			continue
		}
		for what, in := range map[string]Input{
			"file": from(t, s.Key+": "+s.Default, nil, nil), "environment": from(t, "", []string{s.Env() + "=" + s.Default}, nil), "flag": from(t, "", nil, []string{s.Flag() + "=" + s.Default}),
		} {
			l, err := Load(in)
			if err != nil {
				t.Errorf("%s as %s: %v", s.Key, what, err)
			} else if v := value1(t, l, s.Key); v.Text() != s.Default || string(v.Origin) != what {
				t.Errorf("%s as %s is %q, %s", s.Key, what, v.Text(), v.Origin)
			}
		}
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"lissten: a":                         "yaml:1: there is no key lissten; did you mean listen?",
		"\nlog:\n  levl: debug":              "yaml:3: there is no key log.levl; did you mean log.level?",
		"tls_cert: a":                        "did you mean tls.cert?",
		"memory: 5":                          "did you mean limits.memory?",
		"nonsense: 5":                        "taskhost config show lists all keys",
		"log: debug":                         "log has keys below it: level, format",
		"listen: {a: b}":                     "listen takes a value",
		"listen: nowhere":                    `"nowhere" is no address`,
		"listen: 127.0.0.1:99999":            "the port must be",
		"concurrency: many":                  `"many" is no number`,
		"concurrency: -1":                    "between 0 and 10000",
		"concurrency: 1\nconcurrency: 2":     "yaml:2: concurrency is there twice, first in line 1",
		"concurrency:":                       "concurrency has no value",
		"concurrency: [1, 2]":                "concurrency takes a value",
		"log.level: loud":                    "is not one of debug, info, warn, error",
		"log: {level: debu}":                 "did you mean debug?",
		"max_input: 5x":                      "is no size",
		"max_input: 8GiB":                    "between 1 and 4GiB",
		"keep.age: soon":                     "is no duration",
		"keep.age: 0s":                       "it must be between",
		"metrics.native_histograms: perhaps": "neither true nor false",
		"traces.sample: 2":                   "no number from 0 to 1",
		"trusted_proxies: [10.0.0.0/99]":     "no CIDR",
		"tls.cert: a":                        "go together",
		"max_queue_bytes: 1MiB":              "less than max_input",
		"plugin_config: {text: upper}":       "each plugin is there once, with keys",
		"plugin_config: {'a/b': {c: d}}":     "cannot be the name of a plugin",
		"a: &x b\nlisten: *x":                "aliases",
		"- a":                                "there must be keys with values",
		"a: [":                               "it is no YAML",
		"listen: 127.0.0.1:1\n---\na: b":     "there is a second document",
		"data: \"a\\nb\"":                    "control character",
	} {
		_, err := Load(from(t, text, nil, nil))
		if abi.CodeOf(err) != abi.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\n\twant %s", text, err, want)
		}
	}
	_, err := Load(from(t, "lissten: a\nlog:\n  level: loud\n", []string{"TASKHOST_KEEP_TASKS=x"}, []string{"max-queue=x"}))
	for _, want := range []string{"lissten", "yaml:3: log.level", "$TASKHOST_KEEP_TASKS: keep.tasks", "--max-queue: max_queue"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\n\twant %s", err, want)
		}
	}
	if _, err := Load(Input{File: filepath.Join(t.TempDir(), "none")}); abi.CodeOf(err) != abi.CodeInvalid {
		t.Error(err)
	}
	for _, text := range []string{"", "# nothing\n", "null"} {
		if _, err := Load(from(t, text, nil, nil)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPluginConfigIsHidden(t *testing.T) {
	text := "plugin_config:\n  text:\n    ops: secret-a\n  my.plugin:\n    key.with.dots: secret-b\n"
	l, err := Load(from(t, text, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if l.PluginConfig["text"]["ops"] != "secret-a" || l.PluginConfig["my.plugin"]["key.with.dots"] != "secret-b" {
		t.Errorf("%v", l.PluginConfig)
	}
	v := value1(t, l, "plugin_config")
	if s := v.Text(); strings.Contains(s, "secret") || !strings.Contains(s, "text.ops=(hidden)") {
		t.Error(s)
	}
	l, err = Load(from(t, "", []string{"TASKHOST_PLUGIN_CONFIG=" + `{"my.plugin": {"a": "b,c"}}`}, nil))
	if err != nil || l.PluginConfig["my.plugin"]["a"] != "b,c" {
		t.Errorf("%v, %v", l.PluginConfig, err)
	}
	l, err = Load(from(t, "", nil, []string{"plugin-config=text.ops=a,b", "plugin-config=text.x=y"}))
	if err != nil || l.PluginConfig["text"]["ops"] != "a,b" || l.PluginConfig["text"]["x"] != "y" {
		t.Errorf("%v, %v", l.PluginConfig, err)
	}
	_, err = Load(from(t, "", []string{"TASKHOST_PLUGIN_CONFIG=secret-c"}, nil))
	if err == nil || strings.Contains(err.Error(), "secret-c") {
		t.Errorf("the error tells it: %v", err)
	}
}

func TestChanges(t *testing.T) {
	before, err := Load(from(t, "log.level: warn\nconcurrency: 2\n", nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	after, err := Load(from(t, "\nlog.level: info\nconcurrency: 2\nkeep.tasks: 5\n", nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, s := range after.Changes(before) {
		keys = append(keys, s.Key)
	}
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"keep.tasks", "log.level"}) {
		t.Errorf("%v", keys)
	}
}

// FuzzFile holds that a file that is taken is taken again, with the same values, as it is shown.
func FuzzFile(f *testing.F) {
	f.Add([]byte("listen: 127.0.0.1:1\nlog: {level: debug}\nplugin_config: {text: {a: b}}\nkeep:\n  age: 36h\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Check("f", data)
		if err != nil {
			return
		}
		for _, v := range l.Values {
			if len(v.Texts) == 0 {
				continue
			}
			var again Config
			if err := v.Setting.value.set(&again, v.Texts); err != nil {
				if v.Setting.Hidden {
					continue // names of plugins with dots are written as JSON
				}
				t.Fatalf("%s: %q: %v", v.Setting.Key, v.Texts, err)
			}
			if got := v.Setting.value.get(&again); !slices.Equal(got, v.Texts) && !v.Setting.Hidden {
				t.Errorf("%s: %q becomes %q", v.Setting.Key, v.Texts, got)
			}
		}
	})
}
