package auth

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// tokenFile opens a token file in a new folder.
func tokenFile(t testing.TB) *File {
	t.Helper()
	f, err := OpenFile(filepath.Join(t.TempDir(), "tokens.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// create makes a token and returns what its owner shows.
func create(t testing.TB, f *File, name string, role Role) string {
	t.Helper()
	_, text, err := f.Create(name, role, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTokenFileHoldsNoSecret(t *testing.T) {
	f := tokenFile(t)
	if f.Required() {
		t.Error("tokens are required, and there is none")
	}
	text := create(t, f, "ci", RoleSubmit)
	id, secret, ok := splitToken(text)
	if !ok || len(secret) < 50 {
		t.Fatalf("token %q", text)
	}
	data, err := os.ReadFile(f.Path())
	if err != nil || bytes.Contains(data, []byte(secret)) || !bytes.Contains(data, []byte(id)) {
		t.Errorf("the file is %s, %v", data, err)
	}
	if st, err := os.Stat(f.Path()); err != nil || ownRights && st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if e, ok := f.check(text); !ok || e.Principal() != (Principal{ID: id, Name: "ci", Role: RoleSubmit}) {
		t.Errorf("the token is not known: %v", e)
	}
	for _, wrong := range []string{"", "th_", "th__", id, secret, "th_" + id + "_", "th_" + id + "_" + secret[1:], text + "x", "TH" + text[2:], "th_zzz_" + secret, strings.Repeat("x", 5000)} {
		if _, ok := f.check(wrong); ok {
			t.Errorf("%q is taken for the token", wrong)
		}
	}
	if !f.Required() {
		t.Error("tokens are not required")
	}
}

func TestTokenFileIsReadAgain(t *testing.T) {
	f := tokenFile(t)
	other, err := OpenFile(f.Path(), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := create(t, f, "one", RoleRead)
	eventually(t, "the other process knows the token", func() bool { _, ok := other.check(text); return ok && other.Required() })
	if _, err := f.Remove("one"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other process knows that it is gone", func() bool { _, ok := other.check(text); return !ok })
	if !other.Required() {
		t.Error("without tokens left, the server would be open to all")
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("not in 5 seconds: %s", what)
		}
	}
}

func TestBrokenTokenFileKeepsTokens(t *testing.T) {
	var log bytes.Buffer
	f, err := OpenFile(filepath.Join(t.TempDir(), "tokens.json"), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	text := create(t, f, "one", RoleRead)
	for _, broken := range []string{
		"", "{", `{"tokens":[{}]}`, `{"token":[]}`, `{"tokens":[]} x`,
		`{"tokens":[{"id":"a","name":"n","role":"root","sha256":"` + strings.Repeat("0", 64) + `"}]}`,
		`{"tokens":[{"id":"a","name":"n","role":"read","sha256":"00"}]}`,
	} {
		if err := os.WriteFile(f.Path(), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := f.Reload(); abi.CodeOf(err) != abi.CodeInvalid {
			t.Errorf("%q: %v", broken, err)
		}
		_ = f.Reload()
		if _, ok := f.check(text); !ok {
			t.Fatalf("%q: the token is gone", broken)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 7 {
		t.Errorf("%d lines of log:\n%s", n, log.String())
	}
	if ownRights {
		if err := os.Chmod(f.Path(), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenFile(f.Path(), nil); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("a file that all can write to: %v", err)
		}
	}
	if err := os.Remove(f.Path()); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.check(text); ok || !f.Required() {
		t.Error("a file that is gone lets people in")
	}
}

func TestTokensAreChecked(t *testing.T) {
	f := tokenFile(t)
	create(t, f, "ci", RoleRead)
	for _, tc := range []struct {
		name    string
		role    Role
		expires time.Time
		code    abi.Code
	}{
		{"", RoleRead, time.Time{}, abi.CodeInvalid},
		{"a\nb", RoleRead, time.Time{}, abi.CodeInvalid},
		{strings.Repeat("x", 101), RoleRead, time.Time{}, abi.CodeInvalid},
		{"x", "root", time.Time{}, abi.CodeInvalid},
		{"x", "", time.Time{}, abi.CodeInvalid},
		{"x", RoleRead, time.Now().Add(-time.Hour), abi.CodeInvalid},
		{"ci", RoleRead, time.Time{}, abi.CodeConflict},
	} {
		if _, _, err := f.Create(tc.name, tc.role, tc.expires); abi.CodeOf(err) != tc.code {
			t.Errorf("%+v: %v", tc, err)
		}
	}
	if _, err := f.Remove("nobody"); abi.CodeOf(err) != abi.CodeNotFound {
		t.Error(err)
	}
	_, text, err := f.Create("short", RoleRead, time.Now().Add(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := f.check(text); !ok {
		t.Error("it has not expired yet")
	}
	eventually(t, "it has expired", func() bool { _, ok := f.check(text); return !ok })
}

// TestTokenFileHammer lets several processes' worth of files change one file at once.
func TestTokenFileHammer(t *testing.T) {
	if !ownRights {
		t.Log("there are no locks here: one at a time")
		return
	}
	path := filepath.Join(t.TempDir(), "tokens.json")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			f, err := OpenFile(path, nil)
			for n := range 5 {
				var text string
				if err == nil {
					_, text, err = f.Create(fmt.Sprint(i, "-", n), RoleRead, time.Time{})
				}
				if _, ok := f.check(text); err == nil && !ok {
					err = fmt.Errorf("token %d-%d is not there", i, n)
				}
			}
			if err == nil {
				_, err = f.Remove(fmt.Sprint(i, "-", 0))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f, err := OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tokens, err := f.Tokens(); err != nil || len(tokens) != 8*4 {
		t.Errorf("%d tokens, %v", len(tokens), err)
	}
}

// FuzzTokenFile holds that whatever is read as a token file can be used.
func FuzzTokenFile(f *testing.F) {
	f.Add([]byte(`{"tokens":[{"id":"a","name":"n","role":"read","created_at":"2026-01-02T03:04:05Z","sha256":"` + strings.Repeat("0", 64) + `"}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parse(data)
		if err != nil {
			return
		}
		for id, e := range s.tokens {
			if id != e.ID || !e.Role.Allows(RoleRead) || e.matches("") || e.matches(id) {
				t.Errorf("%+v", e)
			}
		}
	})
}

// FuzzToken holds that nothing but the token is taken for it.
func FuzzToken(f *testing.F) {
	file := tokenFile(f)
	text := create(f, file, "one", RoleAdmin)
	f.Add("th_")
	f.Add(text)
	f.Fuzz(func(t *testing.T, shown string) {
		if _, ok := file.check(shown); ok != (shown == text) {
			t.Errorf("%q: %v", shown, ok)
		}
	})
}

// TestNewTokenCountsAtOnce has another process make a token just after the file was looked at.
func TestNewTokenCountsAtOnce(t *testing.T) {
	f := tokenFile(t)
	other, err := OpenFile(f.Path(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Required() {
		t.Error("tokens are required, and there is none")
	}
	text := create(t, other, "new", RoleRead)
	f.last.Store(time.Now().Add(-lookSoon).UnixNano())
	if _, ok := f.check(text); !ok {
		t.Error("the token is not known")
	}
}
