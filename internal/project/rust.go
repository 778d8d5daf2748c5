package project

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// maxRlibs bounds how many compiled SDKs are kept.
const maxRlibs = 8

const (
	rustTarget   = "wasm32-unknown-unknown"
	debianRustc  = "/usr/bin/rustc"
	installRust  = "on Debian, apt-get install rustc libstd-rust-dev-wasm32; with rustup, rustup target add " + rustTarget
	installCargo = "Cargo.toml names crates besides taskhost: on Debian, apt-get install cargo; or get it from https://rustup.rs"
)

// buildRust calls rustc itself when the project needs nothing but the SDK in its folder sdk, which is compiled once and kept; cargo else.
func (b *builder) buildRust(ctx context.Context) error {
	rustc, libdir, err := b.rustc(ctx)
	if err != nil {
		return err
	}
	if !b.needsOnlySDK() {
		return b.cargo(ctx, rustc)
	}
	args := b.rustFlags()
	if sdk := filepath.Join("sdk", "src", "lib.rs"); exists(filepath.Join(b.Dir, sdk)) {
		rlib, err := b.rustSDK(ctx, rustc, libdir, sdk)
		if err != nil {
			return err
		}
		args = append(args, "--extern", "taskhost="+rlib)
	}
	return b.run(ctx, rustc, append(args, "--crate-name", crateName(b.Name), "--crate-type", "cdylib", "-o", b.out, filepath.Join("src", "lib.rs"))...)
}

func (b *builder) rustFlags() []string {
	flags := []string{"--edition", "2021", "--target", rustTarget, "-C", "opt-level=s", "-C", "panic=abort"}
	if b.Debug {
		return append(flags, "-C", "debuginfo=1")
	}
	return append(flags, "-C", "strip=debuginfo")
}

// rustc finds a compiler that has the target, and the folder of its libraries. The one in PATH goes first; Debian's has the target
// where rustup's often has not.
func (b *builder) rustc(ctx context.Context) (t tool, libdir string, err error) {
	names := []string{"rustc", debianRustc}
	if name := os.Getenv("RUSTC"); name != "" {
		names = []string{name}
	}
	found := false
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		found = true
		libdir := b.ask(ctx, path, "--print", "target-libdir", "--target", rustTarget)
		if libdir != "" && exists(libdir) {
			return tool{name: path}, libdir, nil
		}
	}
	if ctx.Err() != nil {
		return t, "", b.errorf(abi.CodeCancelled, "the build was cancelled: %w", context.Cause(ctx))
	}
	if found {
		return t, "", b.errorf(abi.CodeNotFound, "rustc is here, but the target %s is not installed: %s", rustTarget, installRust)
	}
	return t, "", b.missing(tool{name: names[0], install: installRust})
}

// rustSDK returns the compiled SDK, from the cache if it was compiled from the same sources in the same way.
func (b *builder) rustSDK(ctx context.Context, rustc tool, libdir, source string) (string, error) {
	key, err := b.rustKey(libdir, filepath.Dir(source))
	if err != nil {
		return "", b.errorf(abi.CodeInvalid, "%w", err)
	}
	rlib := filepath.Join(b.shared, "libtaskhost-"+key+".rlib")
	if exists(rlib) {
		return rlib, nil
	}
	if old, _ := filepath.Glob(filepath.Join(escape(b.shared), "libtaskhost-*.rlib")); len(old) >= maxRlibs {
		for _, file := range old {
			_ = os.Remove(file) // another build may have done so
		}
	}
	work, err := os.MkdirTemp(b.shared, "new-")
	if err != nil {
		return "", b.errorf(abi.CodeInvalid, "%w", err)
	}
	defer os.RemoveAll(work)
	fresh := filepath.Join(work, "libtaskhost.rlib")
	args := append(b.rustFlags(), "-C", "codegen-units=1", "-C", "embed-bitcode=no",
		"--crate-name", "taskhost", "--crate-type", "rlib", "--cap-lints", "allow", "-o", fresh, source)
	if err := b.run(ctx, rustc, args...); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, rlib); err != nil {
		return "", b.errorf(abi.CodeInvalid, "%w", err)
	}
	return rlib, nil
}

// rustKey is the same for the same compiler, flags and sources.
func (b *builder) rustKey(libdir, sources string) (string, error) {
	st, err := os.Stat(libdir)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, libdir, st.ModTime().UnixNano(), b.rustFlags())
	root := filepath.Join(b.Dir, sources)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s\n", strings.TrimPrefix(path, root), len(data), data)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

// needsOnlySDK tells whether Cargo.toml, if there is one, asks for nothing that rustc cannot do alone.
func (b *builder) needsOnlySDK() bool {
	if exists(filepath.Join(b.Dir, "build.rs")) {
		return false
	}
	f, err := os.Open(filepath.Join(b.Dir, "Cargo.toml"))
	if err != nil {
		return true
	}
	defer f.Close()
	section := ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		key, _, isKey := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[] ")
			known := []string{"package", "lib", "dependencies", "dev-dependencies", "profile.release", "profile.dev"}
			if !slices.Contains(known, section) {
				return false
			}
		case isKey && section == "dependencies" && strings.TrimSpace(key) != "taskhost":
			return false
		}
	}
	return lines.Err() == nil
}

// cargo builds the project with all that Cargo.toml asks for.
func (b *builder) cargo(ctx context.Context, rustc tool) error {
	target := filepath.Join(b.cache, "cargo")
	t := tool{name: "cargo", install: installCargo, env: []string{"CARGO_TARGET_DIR=" + target, "RUSTC=" + rustc.name}}
	if b.Debug {
		t.env = append(t.env, "CARGO_PROFILE_RELEASE_DEBUG=1", "CARGO_PROFILE_RELEASE_STRIP=none")
	}
	if err := b.run(ctx, t, "build", "--quiet", "--lib", "--release", "--target", rustTarget); err != nil {
		return err
	}
	built, _ := filepath.Glob(filepath.Join(escape(target), rustTarget, "release", "*.wasm"))
	if len(built) != 1 {
		return b.errorf(abi.CodeFailed, "cargo made %d .wasm files, not one: Cargo.toml needs [lib] with crate-type = [\"cdylib\"]; if it was "+
			"renamed, remove the folder %s", len(built), BuildDir)
	}
	if err := copyFile(built[0], b.out); err != nil {
		return b.errorf(abi.CodeFailed, "%w", err)
	}
	return nil
}

// crateName makes a plugin's name one that a crate can have.
func crateName(name string) string {
	name = strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToLower(strings.TrimRight(name, ".-_")))
	if name[0] >= '0' && name[0] <= '9' {
		name = "p" + name
	}
	return name
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
