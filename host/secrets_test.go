package host_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// TestSecretsAfterEveryEnd plants a secret wherever a guest can, in calls that end in every way there is, and looks for it in the next.
func TestSecretsAfterEveryEnd(t *testing.T) {
	h := newHost(t, host.Config{})
	const secret = "SECRET#2"
	for _, isolation := range []string{"pristine", "fresh"} {
		swap(t, h, "secrets", fmt.Sprintf(`{"timeout_ms": 100, "memory": {"max_pages": 8},
			"taskhost": {"isolation": %q, "max_instances": 1, "max_stack_bytes": 65536}}`, isolation))
		for _, end := range []struct {
			function string
			code     abi.Code
		}{
			{"write", ""}, {"outputs", ""}, {"fails", abi.CodeInvalid}, {"traps", abi.CodeTrap}, {"exits", abi.CodeFailed},
			{"recurses", abi.CodeStackLimit}, {"spins", abi.CodeTimeout}, {"fills", abi.CodeMemoryLimit},
		} {
			for _, look := range []string{"read", "dirty", "sweep", "searches", "nothing"} {
				if end.code == "" {
					run(t, h, "secrets:"+end.function, secret)
				} else {
					fails(t, h, "secrets:"+end.function, secret, end.code)
				}
				if got := run(t, h, "secrets:"+look, ""); strings.Trim(got, "\x00") != "" {
					t.Errorf("%s: after %s, %s finds %.40q", isolation, end.function, look, strings.Trim(got, "\x00"))
				}
			}
		}
	}
}

// TestSecretsInReferences checks that globals which hold references or vectors are each call's own: the plugin has an instance for each.
// TestIsolationOfTables checks tables and segments.
func TestSecretsInReferences(t *testing.T) {
	h := newHost(t, host.Config{})
	for isolation, want := range map[string]byte{"pristine": 0, "fresh": 0, "reuse": 3} {
		swap(t, h, "secrets-refs", fmt.Sprintf(`{"taskhost": {"isolation": %q, "max_instances": 1}}`, isolation))
		for range 3 {
			run(t, h, "secrets-refs:write", "")
			if got := run(t, h, "secrets-refs:read", ""); got != string([]byte{want}) {
				t.Errorf("%s: the next call reads %x, want %d", isolation, got, want)
			}
		}
	}
}

// TestSecretsInFiles checks that a file of a granted folder which a call has left open is closed for the next.
func TestSecretsInFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret"), []byte("SECRET#3"))
	h := newHost(t, host.Config{})
	for isolation, want := range map[string]byte{"pristine": 0, "fresh": 0, "reuse": 3} {
		m := &abi.Manifest{
			AllowedPaths: map[string]string{"ro:" + dir: "/data"},
			Taskhost:     &abi.ManifestTaskhost{Isolation: abi.Isolation(isolation), MaxInstances: 1},
		}
		if _, err := h.Swap(t.Context(), "secrets-files", host.Source{Wasm: guest(t, "secrets-files"), Manifest: m}); err != nil {
			t.Fatal(err)
		}
		run(t, h, "secrets-files:write", "")
		if got := run(t, h, "secrets-files:read", ""); got != string([]byte{want}) {
			t.Errorf("%s: the next call has %x files open, want %d", isolation, got, want)
		}
	}
}

// TestSecretsInStreams checks that nothing of a command's input, output and log is there for the next, however the call ended.
func TestSecretsInStreams(t *testing.T) {
	for _, isolation := range []string{"pristine", "fresh"} {
		logs := &logBook{}
		h := newHost(t, host.Config{Logger: slogTo(logs)})
		swap(t, h, "secrets-streams", fmt.Sprintf(`{"timeout_ms": 30, "taskhost": {"isolation": %q, "max_instances": 1}}`, isolation))
		want := []string{}
		for _, end := range []struct {
			first string
			code  abi.Code
		}{{"s", ""}, {"t", abi.CodeTrap}, {"l", abi.CodeTimeout}, {"x", abi.CodeFailed}} {
			in := end.first + "SECRET, and more that is not read"
			if end.code == "" {
				run(t, h, "secrets-streams", in)
			} else {
				fails(t, h, "secrets-streams", in, end.code)
			}
			if got := run(t, h, "secrets-streams", ""); got != "" {
				t.Errorf("%s: after %s the next call gives %q", isolation, end.first, got)
			}
			if e := fails(t, h, "secrets-streams", "q", abi.CodeFailed); e.Message != "it exited with code 7" {
				t.Errorf("%s: after %s the next error says %q", isolation, end.first, e.Message)
			}
			if got := run(t, h, "secrets-streams", "another"); got != "another" {
				t.Errorf("%s: after %s the next call gives %q", isolation, end.first, got)
			}
			want = append(want, "INFO "+in[:8], "INFO another")
		}
		if got := logs.messages("plugin", "secrets-streams"); !slices.Equal(got, want) {
			t.Errorf("%s: the log says %q, want %q", isolation, got, want)
		}
	}
}

// TestSecretsInConfig checks that the config of one call is not that of the next.
func TestSecretsInConfig(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, isolation := range []string{"pristine", "reuse", "fresh"} {
		swap(t, h, "env", fmt.Sprintf(`{"taskhost": {"isolation": %q, "max_instances": 1}}`, isolation))
		call := abi.Call{Plugin: "env", Function: "config", Input: []byte("key"), Config: map[string]string{"key": "SECRET#4"}}
		if res, err := h.Run(t.Context(), call, nil); err != nil || string(res.Output) != "SECRET#4" {
			t.Errorf("%s: %q, %v", isolation, res.Output, err)
		}
		e := fails(t, h, "env:config", "key", abi.CodeFailed)
		wantCode(t, e, abi.CodeFailed, "no such key")
	}
}
