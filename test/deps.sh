#!/usr/bin/env bash
# Installs what the tests and the demo need and the machine lacks. It asks apt
# for nothing that is there already, and for root only when it has to install.
set -euo pipefail

missing=()

postgres() {
	[ -n "${MILLRACE_TEST_PG_BIN:-}" ] && return
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null
}
postgres || missing+=(postgresql)

# The race detector is linked by a C compiler.
command -v gcc >/dev/null || command -v "$(go env CC)" >/dev/null || missing+=(gcc libc6-dev)

command -v make >/dev/null || missing+=(make)

[ ${#missing[@]} -eq 0 ] && exit

if ! command -v apt-get >/dev/null; then
	echo "missing: ${missing[*]}; install them with this system's package manager" >&2
	exit 1
fi

root=()
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "missing: ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	root=(sudo)
	# Without somebody at the keyboard there is nobody to give a password.
	[ -t 0 ] || root+=(-n)
fi
as_root() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive "$@"; }

echo "installing ${missing[*]}"
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
	# Only the binaries are wanted, not a server that runs from now on.
	quiet=/etc/postgresql-common/createcluster.d/millrace.conf
	as_root mkdir -p "${quiet%/*}"
	echo 'create_main_cluster = false' | as_root tee "$quiet" >/dev/null
	trap 'as_root rm -f "$quiet"' EXIT
fi

log=$(mktemp)
if ! { as_root apt-get update && as_root apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	cat "$log" >&2
	rm -f "$log"
	exit 1
fi
rm -f "$log"
