// Package arch holds a test that keeps the direction of imports: see "Packages" in ARCHITECTURE.md. It has no code of its own.
package arch

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/taskhost/taskhost"

// rule says what the package pkg, and every package below it, may be built from. The rule with the longest match counts.
type rule struct {
	pkg     string   // path below the module
	own     []string // packages of this module that may be linked in, directly or not, with those below them; pkg is always allowed
	modules []string // other modules that may be linked in, directly or not
	why     string
}

var rules = []rule{
	{
		pkg: ".", why: "the root holds documentation, examples, and the SDKs' sources for the command",
	},
	{
		pkg: "abi", why: "the contract between all parts costs nothing to import",
	},
	{
		pkg: "host", own: []string{"abi"},
		modules: []string{"github.com/tetratelabs/wazero", "golang.org/x/sys", "github.com/ianlancetaylor/demangle"},
		why:     "who embeds the host gets the engine and nothing else; manager declares the interface that host satisfies",
	},
	{
		pkg: "manager", own: []string{"abi"},
		modules: []string{"github.com/google/uuid", "github.com/netresearch/go-cron"},
		why:     "who embeds the manager may run it on something other than our host",
	},
	{
		pkg: "manager/sqlitestore", own: []string{"abi", "manager"},
		modules: append([]string{"github.com/google/uuid", "github.com/netresearch/go-cron"}, sqlite...),
		why:     "SQLite is linked in by those who want tasks in a file, and nobody else",
	},
	{
		pkg: "monitor", own: []string{"abi", "host", "manager"},
		modules: append([]string{
			"github.com/tetratelabs/wazero", "golang.org/x/sys", "github.com/ianlancetaylor/demangle", "github.com/google/uuid", "github.com/netresearch/go-cron",
		}, slices.Concat(prometheus, opentelemetry)...),
		why: "monitoring listens to events; Prometheus and OpenTelemetry are linked in here and nowhere below",
	},
	{
		pkg: "client", own: []string{"abi", "manager"},
		modules: []string{"github.com/google/uuid", "github.com/netresearch/go-cron"},
		why:     "a program that talks to a server needs its words, and neither the engine nor the server",
	},
	{
		pkg: "sdk", own: []string{"abi"}, why: "what plugin authors import stays small",
	},
	{
		pkg: "internal/auth", own: []string{"abi"}, why: "who may do what concerns neither tasks nor plugins",
	},
	{
		pkg: "internal/audit", own: []string{"abi", "internal/auth"}, why: "who did what is written down without knowing what it was",
	},
	{
		pkg: "internal/systemd", own: []string{"abi"}, modules: []string{"golang.org/x/sys"}, why: "a protocol of its own",
	},
	{
		pkg: "internal/suggest", why: "names are compared without knowing what they name",
	},
	{
		pkg: "internal/project", own: []string{"abi"}, why: "sources are built without anything that runs what comes out",
	},
	{
		pkg: "internal/scaffold", own: []string{"abi", "internal/project", module}, why: "it writes files that others compile",
	},
	{
		pkg: "internal/config", own: []string{"abi", "internal/suggest"}, modules: []string{"go.yaml.in/yaml/v3"},
		why: "settings are texts, numbers and times; what they set is the business of cmd",
	},
	{
		pkg: "internal/plugindir", own: []string{"abi", "host"},
		modules: []string{"github.com/tetratelabs/wazero", "golang.org/x/sys", "github.com/ianlancetaylor/demangle"},
		why:     "it writes what the host reads",
	},
	{
		pkg: "internal/builtin", own: []string{"abi", "host"},
		modules: []string{"github.com/tetratelabs/wazero", "golang.org/x/sys", "github.com/ianlancetaylor/demangle"},
		why:     "interpreters are files for the host",
	},
	{
		pkg: "internal/cases", own: []string{"abi", "host"},
		modules: []string{"github.com/tetratelabs/wazero", "golang.org/x/sys", "github.com/ianlancetaylor/demangle"},
		why:     "cases are files and calls; where a plugin comes from does not concern them",
	},
	{
		pkg: "internal/httpapi", own: []string{"abi", "host", "manager", "internal/auth", "internal/plugindir"},
		modules: append([]string{
			"github.com/tetratelabs/wazero", "golang.org/x/sys", "github.com/ianlancetaylor/demangle", "github.com/google/uuid", "github.com/netresearch/go-cron",
		}, huma...),
		why: "the API speaks of tasks and plugins; metrics and stores are tied in by cmd",
	},
	{
		pkg: "internal/httpapi/ui", own: []string{"abi", "client", "manager", "internal/auth"},
		modules: []string{"github.com/google/uuid", "github.com/netresearch/go-cron"},
		why:     "the web page is a client like any other; the API comes to it as an http.Handler",
	},
	{
		pkg: "cmd/taskhost", own: []string{"abi", "client", "host", "manager", "monitor", "internal", module},
		modules: append([]string{
			"github.com/tetratelabs/wazero", "golang.org/x/sys", "github.com/ianlancetaylor/demangle", "github.com/google/uuid", "github.com/netresearch/go-cron",
			"github.com/urfave/cli/v2", "github.com/cpuguy83/go-md2man/v2", "github.com/russross/blackfriday/v2", "github.com/xrash/smetrics",
			"github.com/vbauerster/mpb/v8", "github.com/VividCortex/ewma", "github.com/acarl005/stripansi",
			"github.com/mattn/go-runewidth", "github.com/clipperhouse/uax29/v2", "github.com/rivo/uniseg", "golang.org/x/term",
			"go.yaml.in/yaml/v3",
		}, slices.Concat(prometheus, opentelemetry, sqlite, huma, bubbletea)...),
		why: "the CLI ties everything together; a new dependency is a decision, so it is listed",
	},
}

// prometheus is what client_golang is built from.
var prometheus = []string{
	"github.com/prometheus/client_golang", "github.com/prometheus/client_model", "github.com/prometheus/common",
	"github.com/prometheus/procfs", "github.com/beorn7/perks", "github.com/cespare/xxhash/v2", "github.com/munnerz/goautoneg",
	"github.com/klauspost/compress", "google.golang.org/protobuf", "github.com/kylelemons/godebug", "go.yaml.in/yaml/v2",
}

// opentelemetry is what the SDK for traces and its exporter are built from; the exporter's messages bring gRPC along.
var opentelemetry = []string{
	"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/log", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/sdk",
	"go.opentelemetry.io/otel/trace", "go.opentelemetry.io/otel/exporters/otlp/otlptrace",
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp", "go.opentelemetry.io/auto/sdk", "go.opentelemetry.io/proto/otlp",
	"github.com/cenkalti/backoff/v5", "github.com/go-logr/logr", "github.com/go-logr/stdr", "github.com/grpc-ecosystem/grpc-gateway/v2",
	"google.golang.org/grpc", "google.golang.org/genproto/googleapis/api", "google.golang.org/genproto/googleapis/rpc",
	"golang.org/x/net", "golang.org/x/text",
}

// huma is what the HTTP API's framework is built from.
var huma = []string{"github.com/danielgtaylor/huma/v2"}

// sqlite is what ncruces/go-sqlite3 is built from.
var sqlite = []string{
	"github.com/ncruces/go-sqlite3", "github.com/ncruces/go-sqlite3-wasm/v6", "github.com/ncruces/julianday", "golang.org/x/sys",
}

// bubbletea is what charm.land/bubbletea/v2 is built from.
var bubbletea = []string{
	"charm.land/bubbletea/v2", "github.com/charmbracelet/colorprofile", "github.com/charmbracelet/ultraviolet", "github.com/charmbracelet/x/ansi",
	"github.com/charmbracelet/x/term", "github.com/charmbracelet/x/termios", "github.com/charmbracelet/x/windows",
	"github.com/clipperhouse/displaywidth", "github.com/clipperhouse/uax29/v2", "github.com/lucasb-eyer/go-colorful", "github.com/muesli/cancelreader",
	"github.com/xo/terminfo", "golang.org/x/sync",
}

// listed is what go list tells of a package.
type listed struct {
	ImportPath string
	Standard   bool
	GoFiles    []string
	Imports    []string
	Deps       []string
	Module     *struct {
		Path string
		Main bool
	}
}

// TestImportDirections fails when a package is built from something that its rule does not name. Tests may import more:
// only what a program links in counts.
func TestImportDirections(t *testing.T) {
	pkgs := list(t)
	for path, p := range pkgs {
		if p.Module == nil || !p.Module.Main || len(p.GoFiles) == 0 {
			continue
		}
		rel := cmp.Or(strings.TrimPrefix(strings.TrimPrefix(path, module), "/"), ".")
		r, ok := ruleFor(rel)
		if !ok {
			t.Errorf("%s has no rule: add one to the table in internal/arch that says what it may be built from, and why", path)
			continue
		}
		for _, dep := range p.Deps {
			if bad := r.forbids(pkgs[dep]); bad != "" {
				t.Errorf("%s must not be built from %s (%s).\n\tThe way to it: %s\n\tBreak it, or change the rule in internal/arch.",
					path, bad, r.why, strings.Join(way(pkgs, path, dep), " -> "))
			}
		}
	}
}

func ruleFor(rel string) (rule, bool) {
	var found rule
	for _, r := range rules {
		if below(rel, r.pkg) && len(r.pkg) > len(found.pkg) {
			found = r
		}
	}
	return found, found.pkg != ""
}

// forbids returns what the rule does not allow of dep, or nothing.
func (r rule) forbids(dep listed) string {
	switch {
	case dep.Standard || dep.ImportPath == "":
		return ""
	case dep.Module == nil:
		return dep.ImportPath
	case dep.Module.Main:
		rel := strings.TrimPrefix(dep.ImportPath, module+"/")
		if below(rel, r.pkg) || slices.ContainsFunc(r.own, func(own string) bool { return below(rel, own) }) {
			return ""
		}
		return rel
	case slices.Contains(r.modules, dep.Module.Path):
		return ""
	}
	return "the module " + dep.Module.Path
}

func below(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// way is the shortest chain of imports between two packages.
func way(pkgs map[string]listed, from, to string) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range pkgs[queue[0]].Imports {
			if _, seen := before[next]; !seen {
				before[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	var chain []string
	for at := to; at != ""; at = before[at] {
		chain = append(chain, at)
	}
	slices.Reverse(chain)
	return chain
}

func list(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,GoFiles,Imports,Deps,Module", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	pkgs := map[string]listed{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
}
