#!/usr/bin/env bash
# What the command line says before any daemon is asked: help, usage errors,
# exit codes, no control characters, no question without a terminal.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1
export COVE_NO_START=1

commands=$("$COVE" help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
for c in run create exec ls inspect logs stop start rm prune cp doctor daemon \
	version help completion; do
	printf '%s\n' "$commands" | grep -qx "$c"
	result $? "help lists $c" "$commands"
done
for c in $commands; do
	out=$("$COVE" help "$c" 2>&1)
	rc=$?
	[ $rc -eq 0 ] && printf '%s' "$out" | grep -q "^Usage: cove $c"
	result $? "help $c" "exit $rc: $out"
	[ "$("$COVE" "$c" --help)" = "$out" ] && [ "$("$COVE" "$c" -h)" = "$out" ]
	result $? "$c --help is the same"
	wide=$(printf '%s\n' "$out" | awk 'length > 90')
	is "help $c fits the screen" "$wide" ""
done

status "no command is a usage error" 2 "$COVE"
is "and the help goes to stderr" "$("$COVE" 2>/dev/null)" ""
status "an unknown option before the command" 2 "$COVE" --frob ls
status "--version" 0 "$COVE" --version
status "--help" 0 "$COVE" --help
like "a slip of the finger is recognised" "$("$COVE" craete 2>&1)" \
	"did you mean 'create'"
like "the message names the option" "$("$COVE" ls --frob 2>&1)" -- '--frob'
like "and where to read more" "$("$COVE" ls --frob 2>&1)" 'cove help ls'
for line in 'run --rm -d' 'run shell ls' 'run --cpus 0' 'run --memory much' \
	'run --engine xen' 'run --timeout never' 'exec' 'exec box' \
	'exec -d -i box true' 'ls extra' 'ls -q --json' 'inspect' 'rm' \
	'rm --all box' 'cp a b' 'cp aa:/x bb:/y' 'cp aa:rel x' 'daemon frob' \
	'logs --source x box' 'completion csh' 'template frob' 'stop' 'start'; do
	# shellcheck disable=SC2086
	status "usage error: $line" 2 "$COVE" $line
done
for line in 'run ./missing' 'create ./missing' 'create --mount /tmp:rel' \
	'create --mount /tmp:/' 'create --mount /tmp:/a --mount /usr:/a' \
	'create /usr' 'exec BOX true' 'stop a/b' 'rm -f ..' 'inspect -- -x'; do
	# shellcheck disable=SC2086
	status "refused: $line" 1 "$COVE" $line
done

# Without a daemon, and not allowed to start one.
status "no daemon: 125" 125 "$COVE" ls
like "and how to start it" "$("$COVE" ls 2>&1)" 'cove daemon start'
is "nothing on stdout" "$("$COVE" ls 2>/dev/null)" ""
status "status tells it" 1 "$COVE" daemon status
is "status --json" "$("$COVE" daemon status --json | tr -d ' \n')" \
	'{"running":false}'
status "version needs no daemon" 0 "$COVE" version
ok "version --json is JSON" sh -c "'$COVE' version --json | python3 -m json.tool"
ok "doctor needs no daemon" sh -c "'$COVE' doctor | grep -q '^ok  *seccomp'"
ok "doctor --json" sh -c "'$COVE' doctor --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d[\"status\"] in (\"ok\", \"warn\", \"missing\")
for c in d[\"checks\"]:
    assert set(c) == {\"check\", \"status\", \"text\", \"fix\"}, c
    assert c[\"status\"] != \"missing\" or c[\"fix\"], c
assert len(d[\"checks\"]) > 12'"
out=$(PATH=/nonexistent "$COVE" doctor --json)
like "doctor names the package of what is missing" "$out" \
	'apt install qemu-system-x86'
status "and exits 1" 1 env PATH=/nonexistent "$COVE" doctor

# Output that nobody reads, or that cannot be written.
out=$("$COVE" help 2>&1 >/dev/full)
rc=$?
[ $rc -ne 0 ] && printf '%s' "$out" | grep -q 'standard output'
result $? "a full disk behind stdout is an error" "exit $rc: $out"
ok "closed standard descriptors" sh -c "'$COVE' version <&- 2>&- | grep -q cove"

# Nothing but text, whatever TERM says.
out=$(for c in $commands; do TERM=xterm-256color "$COVE" help "$c"; done
	TERM=xterm-256color "$COVE" doctor; TERM=xterm-256color "$COVE" ls 2>&1)
! printf '%s' "$out" | LC_ALL=C grep -q "$(printf '[\001-\010\013-\037]')"
result $? "no control characters without a terminal"
out=$("$COVE" inspect "$(printf 'a\033[2Jb')" 2>&1)
! printf '%s' "$out" | grep -q "$(printf '\033')"
result $? "no control characters from arguments either" "$out"
unset COVE_NO_START
plan_done
