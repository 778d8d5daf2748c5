package testdata_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// jsonKeys are the keys of a struct and of those in it, the inner ones with the outer name before them.
func jsonKeys(t reflect.Type, prefix string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var keys []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, jsonKeys(inner, prefix+name+".")...)
		} else {
			keys = append(keys, prefix+name)
		}
	}
	return keys
}

func TestTheManifestsReferenceHasEveryKey(t *testing.T) {
	page := read(t, "../docs/write-a-plugin.md")
	keys := jsonKeys(reflect.TypeFor[abi.Manifest](), "")
	if len(keys) < 15 {
		t.Fatalf("keys %v", keys)
	}
	keys = append(keys, jsonKeys(reflect.TypeFor[abi.ManifestWasm](), "")...)
	for _, key := range keys {
		if !strings.Contains(page, "`"+key+"`") {
			t.Errorf("%s is missing", key)
		}
	}
	example := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(page)
	if example == nil {
		t.Fatal("no example")
	}
	if _, err := host.ParseManifest("example.json", []byte(example[1])); err != nil {
		t.Error(err)
	}
}

func TestTheReferenceOfFunctionsHasEachOfOurs(t *testing.T) {
	page := read(t, "../docs/guest-functions.md")
	for _, name := range []string{abi.ModuleEnv, abi.ModuleUser, abi.ModuleWASI, abi.FuncProgress, abi.FuncCancelled, abi.FuncMetricAdd,
		abi.FuncMetricSet, abi.FuncMetricObserve, abi.FuncInvalidInput, abi.FuncCheckpointSave,
		abi.FuncCheckpointLoad, abi.FuncRead, abi.FuncWrite} {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("%s is missing", name)
		}
	}
}

// rustc is what the plugins are built with, see plugins.mk.
func rustc() string {
	if name := os.Getenv("RUSTC"); name != "" {
		return name
	}
	if _, err := os.Stat("/usr/bin/rustc"); err == nil {
		return "/usr/bin/rustc"
	}
	return "rustc"
}

// Each example says in its first line what builds it. Those of a page are built into a folder, named by their languages.
func buildExamples(t *testing.T, folder string, pages ...string) (names []string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	var examples [][]string
	for _, page := range pages {
		examples = append(examples, regexp.MustCompile("(?s)```\\w+\n((?://|;;) (\\S+): ([^\n]*)\n.*?)```").FindAllStringSubmatch(read(t, page), -1)...)
	}
	for _, e := range examples {
		dir := t.TempDir()
		source, file, command := e[1], e[2], e[3]
		if err := os.WriteFile(filepath.Join(dir, file), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		switch filepath.Ext(file) {
		case ".go":
			command = "go mod init example.com/upper && go mod edit -require github.com/taskhost/taskhost@v0.0.0 -replace github.com/taskhost/taskhost=" +
				root + " && " + command
		case ".rs":
			command = strings.ReplaceAll(command, "rustc ", rustc()+" ")
		case ".ts": // as npm install does with a folder
			command = `mkdir -p node_modules/@taskhost && ln -s "$SDK/assemblyscript" node_modules/@taskhost/sdk && ` + command
		}
		build := exec.Command("sh", "-c", command)
		build.Dir = dir
		build.Env = append(os.Environ(), "SDK="+filepath.Join(root, "sdk"), "PATH="+filepath.Join(root, "testdata/upper-as/node_modules/.bin")+":"+os.Getenv("PATH"))
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		name := strings.TrimPrefix(filepath.Ext(file), ".")
		if err := os.Rename(filepath.Join(dir, strings.TrimSuffix(file, filepath.Ext(file))+".wasm"), filepath.Join(folder, name+".wasm")); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func TestTheExamplesOfAllLanguagesBuildAndRun(t *testing.T) {
	plugins := t.TempDir()
	names := buildExamples(t, plugins, "../docs/guest-functions.md")
	if want := []string{"go", "rs", "c", "cc", "ts", "wat"}; !slices.Equal(names, want) {
		t.Fatalf("examples %v", names)
	}
	h := open(t, host.Config{Dir: plugins})
	for _, name := range names {
		if got := succeed(t, h, name, "Hello, you\n"); got != "HELLO, YOU\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestTheExamplesOfTheSDKsBuildAndRun(t *testing.T) {
	plugins := t.TempDir()
	names := buildExamples(t, plugins, "../sdk/rust/README.md", "../sdk/c/README.md", "../sdk/assemblyscript/README.md")
	if want := []string{"rs", "c", "ts"}; !slices.Equal(names, want) {
		t.Fatalf("examples %v", names)
	}
	h := open(t, host.Config{Dir: plugins})
	for _, name := range names {
		if got := succeed(t, h, name, "hello"); got != "HELLO!" {
			t.Errorf("%s: %q", name, got)
		}
		if got := succeed(t, h, name, "hello", "mark=?"); got != "HELLO?" {
			t.Errorf("%s with a mark: %q", name, got)
		}
		if _, _, err := call(t, h, abi.Call{Plugin: name, Function: "process"}); abi.CodeOf(err) != abi.CodeInvalid {
			t.Errorf("%s of nothing: %v", name, err)
		}
		if got := succeed(t, h, name+":greet", `{"name": "Ada", "times": 2}`); got != `{"text":"Hello, Ada. Hello, Ada. "}` {
			t.Errorf("%s: greet gives %s", name, got)
		}
	}
}
