package host

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// maxManifest bounds a manifest file, modules in base64 apart, in bytes.
const maxManifest = 1 << 20

// manifestLimit bounds a manifest file when its modules may have that many bytes together.
func manifestLimit(modules int64) int64 { return maxManifest + modules/3*4 + 4 }

// ParseManifest decodes and checks a manifest. Unknown keys and bad values are errors of CodeInvalid that name the file and the key.
// The file's name serves the messages alone.
func ParseManifest(file string, data []byte) (*abi.Manifest, error) {
	bad := func(format string, args ...any) error {
		return abi.Errorf(abi.CodeInvalid, "%s: %s", file, fmt.Sprintf(format, args...))
	}
	var m abi.Manifest
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return nil, bad("%s", jsonProblem(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, bad("there is something after the manifest's closing brace")
	}
	size := len(data)
	for _, w := range m.Wasm {
		size -= base64.StdEncoding.EncodedLen(len(w.Data))
	}
	if size > maxManifest {
		return nil, bad("the manifest has more than %d bytes besides its modules", maxManifest)
	}
	if key, problem := checkManifest(&m); key != "" {
		return nil, bad("%s: %s", key, problem)
	}
	return &m, nil
}

var unknownField = regexp.MustCompile(`unknown field "(.*)"`)

// jsonProblem says in a manifest author's words what encoding/json found.
func jsonProblem(err error) string {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	var b64 base64.CorruptInputError
	switch match := unknownField.FindStringSubmatch(err.Error()); {
	case match != nil:
		if match[1] == "url" {
			return `wasm: unknown key "url": plugins are not loaded from the network; fetch the module and give its path`
		}
		return fmt.Sprintf("unknown key %q", match[1])
	case errors.As(err, &typ):
		return fmt.Sprintf("%s: a %s cannot be a JSON %s", typ.Field, typ.Type, typ.Value)
	case errors.As(err, &b64):
		return fmt.Sprintf("wasm: data is not base64: %v", err)
	case errors.As(err, &syntax):
		return fmt.Sprintf("not valid JSON at byte %d: %v", syntax.Offset, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "not valid JSON: it ends too early"
	}
	return err.Error()
}

// checkManifest returns the first key with a bad value and what is wrong with it; the key is empty if all is well.
func checkManifest(m *abi.Manifest) (key, problem string) {
	if key, problem = checkModules(m.Wasm); key != "" {
		return key, problem
	}
	if mem := m.Memory; mem != nil {
		switch {
		case mem.MaxPages > 65536:
			return "memory.max_pages", "a Wasm memory has at most 65536 pages"
		case mem.MaxHTTPResponseBytes != nil && *mem.MaxHTTPResponseBytes < 0:
			return "memory.max_http_response_bytes", "must not be negative"
		case mem.MaxVarBytes != nil && *mem.MaxVarBytes < 0:
			return "memory.max_var_bytes", "must not be negative"
		}
	}
	if m.TimeoutMS > math.MaxInt64/uint64(time.Millisecond) {
		return "timeout_ms", "too large"
	}
	for host, guest := range m.AllowedPaths {
		if strings.TrimPrefix(host, "ro:") == "" || !strings.HasPrefix(guest, "/") {
			return "allowed_paths", fmt.Sprintf("%q: %q: want a folder on the host and an absolute path in the guest", host, guest)
		}
	}
	if t := m.Taskhost; t != nil {
		return checkTaskhost(t)
	}
	return "", ""
}

func checkModules(modules []abi.ManifestWasm) (key, problem string) {
	names := map[string]bool{}
	for i, w := range modules {
		key := fmt.Sprintf("wasm[%d]", i)
		switch {
		case (w.Path == "") == (len(w.Data) == 0):
			return key, "give either path or data"
		case w.Name != "" && names[w.Name]:
			return key + ".name", fmt.Sprintf("%q is there twice", w.Name)
		case reservedModule(w.Name):
			return key + ".name", fmt.Sprintf("%q belongs to the host", w.Name)
		case w.Name == "" && i < len(modules)-1:
			return key + ".name", "every module but the last needs a name that others can import from"
		case w.Hash != "" && !sha256Hex.MatchString(w.Hash):
			return key + ".hash", "want 64 hexadecimal digits"
		}
		names[w.Name] = true
	}
	return "", ""
}

var sha256Hex = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

func checkTaskhost(t *abi.ManifestTaskhost) (key, problem string) {
	if problem := isolationProblem(t.Isolation); problem != "" {
		return "taskhost.isolation", problem
	}
	for _, f := range []struct {
		key   string
		value int64
	}{
		{"max_instances", int64(t.MaxInstances)},
		{"max_output_bytes", t.MaxOutputBytes},
		{"max_kernel_bytes", t.MaxKernelBytes},
		{"max_log_bytes", t.MaxLogBytes},
		{"max_stack_bytes", t.MaxStackBytes},
		{"max_fuel", t.MaxFuel},
		{"cancel_grace_ms", int64(t.CancelGraceMS)},
	} {
		if f.value < 0 {
			return "taskhost." + f.key, "must not be negative"
		}
	}
	switch {
	case t.CancelGraceMS > 10_000:
		return "taskhost.cancel_grace_ms", "must be at most 10000"
	case t.MaxStackBytes > 0 && (t.MaxStackBytes < minStack || t.MaxStackBytes > maxStack):
		return "taskhost.max_stack_bytes", fmt.Sprintf("must be at least %d and at most %d", minStack, maxStack)
	case t.MaxInstances > 1<<20:
		return "taskhost.max_instances", "must be at most 1048576"
	case t.MaxKernelBytes > 4<<30:
		return "taskhost.max_kernel_bytes", "must be at most 4 GiB"
	case t.MaxKernelBytes > 0 && t.MaxKernelBytes < pageSize:
		return "taskhost.max_kernel_bytes", "must be at least 65536"
	}
	if problem := extensionsProblem(t.Interprets); problem != "" {
		return "taskhost.interprets", problem
	}
	if len(t.StubImports) > maxStubPatterns {
		return "taskhost.stub_imports", fmt.Sprintf("at most %d", maxStubPatterns)
	}
	for _, p := range t.StubImports {
		if !strings.ContainsAny(p, ".*") || len(p) > maxStubPattern {
			return "taskhost.stub_imports", fmt.Sprintf("%q is not MODULE.NAME, in which * stands for anything", clip(p, abi.MaxName))
		}
	}
	for k, v := range t.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.Contains(v, "\x00") {
			return "taskhost.env", fmt.Sprintf("%q cannot be in an environment", k)
		}
	}
	for _, a := range t.Args {
		if strings.Contains(a, "\x00") {
			return "taskhost.args", "an argument cannot hold a zero byte"
		}
	}
	return "", ""
}

// Bounds on taskhost.stub_imports: entries, and the bytes of one.
const (
	maxStubPatterns = 100
	maxStubPattern  = 500
)

// isolationProblem is what is wrong with an isolation; empty: nothing.
func isolationProblem(i abi.Isolation) string {
	switch i {
	case "", abi.IsolationPristine, abi.IsolationReuse, abi.IsolationFresh:
		return ""
	}
	return fmt.Sprintf("%q is none of pristine, reuse, fresh", i)
}

// manifestLimits lays the manifest's limits over the host's.
func manifestLimits(host abi.Limits, m *abi.Manifest) abi.Limits {
	l := host
	if mem := m.Memory; mem != nil {
		if mem.MaxPages > 0 {
			l.Memory = int64(mem.MaxPages) * pageSize
		}
		if mem.MaxHTTPResponseBytes != nil {
			l.HTTPResponse = *mem.MaxHTTPResponseBytes
			if l.HTTPResponse == 0 {
				l.HTTPResponse = -1 // no body at all
			}
		}
		if mem.MaxVarBytes != nil {
			l.Vars = *mem.MaxVarBytes
			if l.Vars == 0 {
				l.Vars = -1
			}
		}
	}
	if m.TimeoutMS > 0 {
		l.RunTime = time.Duration(m.TimeoutMS) * time.Millisecond
	}
	if t := m.Taskhost; t != nil {
		for _, f := range []struct {
			to   *int64
			from int64
		}{{&l.Output, t.MaxOutputBytes}, {&l.KernelMemory, t.MaxKernelBytes}, {&l.Log, t.MaxLogBytes}, {&l.Stack, t.MaxStackBytes}, {&l.Fuel, t.MaxFuel}} {
			if f.from > 0 {
				*f.to = f.from
			}
		}
	}
	return l
}
