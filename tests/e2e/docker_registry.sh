# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian's docker-registry for a test: source it after lib.sh.

# registry_start: serves $T/store as $T/registry.yml says, whose port is @PORT@;
# sets port and registry, the process. Nobody can hold a port for it: if another
# has taken it meanwhile, it ends, and gets the next one. Not one of those that
# the kernel gives away by itself.
registry_start() {
	mkdir -p "$T/store"
	for _ in 1 2 3 4 5 6 7 8 9; do
		port=$((10000 + RANDOM % 20000))
		sed "s/@PORT@/$port/" "$T/registry.yml" >"$T/registry-$port.yml"
		docker-registry serve "$T/registry-$port.yml" \
			>>"$T/registry.log" 2>&1 &
		registry=$!
		wait_for 120 registry_decided && kill -0 "$registry" 2>/dev/null &&
			return 0
		kill "$registry" 2>/dev/null
		wait "$registry"
	done
	return 1
}

# It has ended, or listens itself: a socket in state 0A with this port is its.
registry_decided() {
	local inode
	kill -0 "$registry" 2>/dev/null || return 0
	inode=$(awk -v port="$(printf ':%04X' "$port")" \
		'$4 == "0A" && $2 ~ port "$" { print $10 }' /proc/net/tcp)
	[ -n "$inode" ] &&
		find "/proc/$registry/fd" -lname "socket:\[$inode\]" | grep .
}
