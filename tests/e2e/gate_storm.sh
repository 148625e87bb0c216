#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# New connections one after the other through a real guest: every one arrives,
# and nothing is left of them in gate, device server or monitor. STORM=60000 is
# the long form: what a guest with hardware virtualization opens in a minute.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/host_servers.sh"
count=${STORM:-3000}
python3 - >"$T/port" <<'E' &
import socket
s = socket.create_server(("127.0.0.1", 0), backlog=4096)
print(s.getsockname()[1], flush=True)
while True:
    c = s.accept()[0]
    try:
        c.send(b"x")
    except OSError:
        pass
    c.close()
E
server=$!
port=$(port_in "$T/port")
trap 'kill $server; cleanup' EXIT
C() { timeout $((900 + count / 20)) "$COVE" "$@" </dev/null 2>&1; }
storm() { C exec box ./storm host.cove.internal "$port" "$1" 64; }

# NAME, descriptors, KB, ticks of CPU: a line for each of our processes. Of its
# memory what is no file: whether those pages are private depends on who else
# runs the same program.
figures() {
	local p
	for p in $(our_processes); do
		echo "$(cat "/proc/$p/comm")" \
			"$(find "/proc/$p/fd" -type l | wc -l)" \
			"$(awk '/^(Anonymous|Swap):/ { n += $2 } END { print n }' \
				"/proc/$p/smaps_rollup")" \
			"$(awk '{ print $14 + $15 }' "/proc/$p/stat")"
	done | sort
}
open_files() { awk '{ print $1, $2 }' "$1"; }
# No process has more open than before.
settled() {
	figures >"$T/after"
	paste -d' ' <(open_files "$T/before") <(open_files "$T/after") |
		awk '$1 != $3 || $4 > $2 { bad = 1 } END { exit bad || !NR }'
}
# Nothing of what went before is still being closed.
calm() {
	figures >"$T/earlier"
	sleep 1
	figures >"$T/before"
	[ "$(open_files "$T/earlier")" = "$(open_files "$T/before")" ]
}

cp "$BUILD/tests/guest/storm" "$W"
C policy allow "host:$port" >/dev/null
ok "a sandbox" C create --name box --cpus 2 shell "$W"
cd "$W" || exit 1
like "warm" "$(storm 1000)" "1000 connections, 0 wrong"
wait_for 120 calm
out=$(storm "$count")
like "every connection arrives" "$out" "$count connections, 0 wrong"
echo "# $out"
# The last ones are still being closed.
ok "no descriptor is left of them" wait_for 120 settled
while read -r name _ kb ticks _ _ kb2 ticks2; do
	echo "# $name: $kb KB, then $kb2 KB;" \
		"$(((ticks2 - ticks) * 10000 / count)) us of CPU a connection"
	case $name in
	cove-qemu) ;; # holds what the guest has touched
	cove-*) ok "$name has not grown" [ "$kb2" -lt $((kb + 512)) ] ;;
	esac
done < <(paste -d' ' "$T/before" "$T/after")
like "the log is whole" "$(C policy log box --verify)" "box: intact"
plan_done
