#!/bin/sh
# Checks the tools that build the plugins of testdata, make modules for tests and run beside them, and names or installs what is missing.
#
#   toolchains.sh check     says what is missing, and fails when something is
#   toolchains.sh install   the same, but as root on a Debian system installs it with apt-get first
#   toolchains.sh check|install interpreters   only what builds the interpreters; when that is missing it fails and says nothing
#
# Environment: CLANG, RUSTC, WAT2WASM, NPM, GO: the commands to use.
set -u
CLANG=${CLANG:-clang} RUSTC=${RUSTC:-rustc} WAT2WASM=${WAT2WASM:-wat2wasm} NPM=${NPM:-npm} GO=${GO:-go}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

has() { command -v "$1" >/dev/null 2>&1; }

go_works() { has "$GO" && GOOS=wasip1 GOARCH=wasm "$GO" list runtime >/dev/null 2>&1; }

c_works() {
	printf '#include <stdio.h>\nint main(void) { return puts("x") < 0; }\n' >"$dir/c.c"
	has "$CLANG" && "$CLANG" --target=wasm32-wasi -o "$dir/c.wasm" "$dir/c.c" >/dev/null 2>&1
}

# Debian's rustc finds Debian's libraries; another one may come first in PATH.
rust_works() {
	[ "$RUSTC" = rustc ] && [ -x /usr/bin/rustc ] && RUSTC=/usr/bin/rustc
	printf '#[no_mangle] pub extern "C" fn f() -> i32 { 0 }\n' >"$dir/r.rs"
	has "$RUSTC" && "$RUSTC" --target wasm32-unknown-unknown --crate-type cdylib -o "$dir/r.wasm" "$dir/r.rs" >/dev/null 2>&1
}

wat_works() {
	printf '(module)' >"$dir/w.wat"
	has "$WAT2WASM" && "$WAT2WASM" -o "$dir/w.wasm" "$dir/w.wat" >/dev/null 2>&1
}

# Tests let wasm-opt make modules of random bytes.
opt_works() {
	printf 'some bytes' >"$dir/o.bytes"
	has wasm-opt && wasm-opt --quiet --translate-to-fuzz "$dir/o.bytes" --output "$dir/o.wasm" >/dev/null 2>&1
}

# The race detector of go test needs a C compiler for this machine.
race_works() { has "$(GOFLAGS='' "$GO" env CC)"; }

# Tests look at the web page with a browser.
browser_works() { has chromium && chromium --version >/dev/null 2>&1; }

npm_works() { has "$NPM" && "$NPM" --version >/dev/null 2>&1; }

# Tests have a real Prometheus scrape a taskhost, and promtool check the alerts.
prometheus_works() { has prometheus && has promtool; }

# keep_prometheus_off masks the service that comes with Debian's prometheus, which would listen on port 9090 from then on: tests start
# their own. `systemctl unmask prometheus` undoes it. Where a service of that name is there already, or no systemd runs, it does nothing.
keep_prometheus_off() {
	if [ -d /run/systemd/system ] && ! systemctl cat prometheus.service >/dev/null 2>&1; then
		systemctl mask prometheus.service >/dev/null 2>&1
	fi
}

# missing prints the Debian packages that would bring what does not work.
missing() {
	c_works || echo clang lld wasi-libc libclang-rt-dev-wasm32
	npm_works || echo nodejs npm
	[ "$part" = interpreters ] && return
	rust_works || echo rustc libstd-rust-dev-wasm32
	wat_works || echo wabt
	opt_works || echo binaryen
	browser_works || echo chromium
	race_works || echo gcc libc6-dev
	prometheus_works || echo prometheus
	has curl || echo curl ca-certificates
}

part=${2:-}
if ! go_works; then
	echo "toolchains: $GO does not work; install Go 1.26 or later" >&2
	exit 1
fi
packages=$(missing | tr '\n' ' ')
if [ -n "$packages" ] && [ "${1:-check}" = install ] && has apt-get && [ "$(id -u)" = 0 ]; then
	echo "toolchains: installing $packages"
	case " $packages" in *" prometheus "*) keep_prometheus_off ;; esac
	# shellcheck disable=SC2086
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >"$dir/log" 2>&1 || {
		tail -n 20 "$dir/log" >&2
		exit 1
	}
	packages=$(missing | tr '\n' ' ')
fi
if [ -n "$packages" ]; then
	[ "$part" = interpreters ] && exit 1
	echo "toolchains: some plugins of testdata cannot be built, or their tests not run. On Debian: apt-get install $packages" >&2
	exit 1
fi
