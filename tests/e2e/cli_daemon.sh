#!/usr/bin/env bash
# coved starts itself, once, and says why when it cannot.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1

pid_of() {
	COVE_NO_START=1 "$COVE" daemon status --json |
		python3 -c 'import json,sys; print(json.load(sys.stdin).get("pid", 0))'
}

is "nothing runs at first" "$(pid_of)" 0
is "ls starts coved and shows nothing" "$("$COVE" ls -q)" ""
pid=$(pid_of)
[ "$pid" -gt 0 ]
result $? "now it runs"
is "ls --json" "$("$COVE" ls --json | tr -d ' \n')" '{"sandboxes":[]}'
ok "start again is fine" "$COVE" daemon start
is "and is the same one" "$(pid_of)" "$pid"
is "its directory is / so that no mount is held" \
	"$(readlink "/proc/$pid/cwd")" /
is "the socket is for this user only" \
	"$(stat -c %a "$COVE_HOME/run/coved.sock")" 600
ok "restart" "$COVE" daemon restart
[ "$(pid_of)" != "$pid" ] && [ "$(pid_of)" -gt 0 ]
result $? "restart is another process"
ok "stop" "$COVE" daemon stop
is "it has ended when stop returns" "$(pid_of)" 0
status "stop again is fine" 0 "$COVE" daemon stop

# Ten at once find or start one.
for i in 1 2 3 4 5 6 7 8 9 10; do
	"$COVE" ls -q >"$T/race.$i" 2>&1 &
done
wait
is "ten at once: no complaint" "$(cat "$T"/race.*)" ""
n=0
for p in $(our_processes); do
	tr '\0' ' ' <"/proc/$p/cmdline" | grep -q '^coved ' && n=$((n + 1))
done
is "ten at once: one coved" "$n" 1

# Killed: the next command starts another one over the stale socket.
kill -9 "$(pid_of)"
ok "a stale socket is no obstacle" "$COVE" ls
"$COVE" daemon stop >/dev/null

# Ctrl-C of the person who happened to start it does not reach it.
setsid sh -c "'$COVE' ls -q; echo \$\$ >'$T/leader'; kill -INT 0" 2>/dev/null
[ "$(pid_of)" -gt 0 ]
result $? "it is not in the caller's process group"
"$COVE" daemon stop >/dev/null

# It cannot start: its own words, and 125.
mkdir "$T/broken"
echo "no directory" >"$T/broken/state"
out=$(COVE_HOME=$T/broken "$COVE" ls 2>&1)
is "a broken state directory is 125" $? 125
like "and is named" "$out" "coved did not start.*$T/broken/state"
out=$(COVE_LIBEXEC=$T "$COVE" ls 2>&1)
is "a missing coved is 125" $? 125
like "and is named too" "$out" "coved"

# Paths that are relative, or longer than a socket's name may be.
cd "$T" || exit 1
out=$(COVE_HOME=rel "$COVE" ls -q 2>&1)
is "COVE_HOME may be relative" "$?$out" 0
ok "and stays where it was meant" test -S "$T/rel/run/coved.sock"
COVE_HOME=rel "$COVE" daemon stop >/dev/null
long=$T/$(printf 'x%.0s' $(seq 120))
out=$(COVE_HOME=$long "$COVE" ls -q 2>&1)
is "COVE_HOME may be long" "$?$out" 0
COVE_HOME=$long "$COVE" daemon stop >/dev/null
plan_done
