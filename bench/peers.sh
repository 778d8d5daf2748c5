#!/bin/sh
# Checks the servers that bench measures beside taskhost, and installs what is missing: as root, on Debian. Otherwise it names it.
# No service is started: bench starts the servers itself.
set -u
policy=/usr/sbin/policy-rc.d

missing() {
	{ [ -x "$(pg_config --bindir 2>/dev/null)/initdb" ] || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 || echo postgresql
	command -v redis-server >/dev/null 2>&1 || echo redis-server
}

packages=$(missing | tr '\n' ' ')
if [ -n "$packages" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "bench: installing $packages"
	log=$(mktemp) || exit 1
	trap 'rm -f "$log"' EXIT
	if [ ! -e "$policy" ]; then # 101: the services that packages bring must not be started
		trap 'rm -f "$log" "$policy"' EXIT
		trap 'exit 1' HUP INT TERM
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || exit 1
	fi
	# shellcheck disable=SC2086
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		exit 1
	}
	packages=$(missing | tr '\n' ' ')
fi
if [ -n "$packages" ]; then
	echo "bench: servers to measure are missing. On Debian: apt-get install $packages" >&2
	exit 1
fi
