# shellcheck shell=bash
# Shared by the end-to-end tests: one COVE_HOME per test, TAP output, clean-up
# also when a test fails. Source it first; call `plan_done` last.
#
# The kernel and the template come from the shared cache ($COVE_TEST_CACHE,
# made once by `make test-cache`); everything else is private to the test.

set -u
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${COVE_BUILD:-$TOP/build}
CACHE=${COVE_TEST_CACHE:-$TOP/.cache/dev/cache}
export COVE_LIBEXEC=${COVE_LIBEXEC:-$BUILD/bin}
COVE=$COVE_LIBEXEC/cove
T=$(mktemp -d "${TMPDIR:-/tmp}/cove-e2e.XXXXXX")
export COVE_HOME=$T/home
W=$T/work
mkdir -p "$COVE_HOME" "$W"
ln -s "$CACHE" "$COVE_HOME/cache"
n_test=0
n_fail=0

cleanup() {
	local pid
	"$COVE" rm -f --all >/dev/null 2>&1
	"$COVE" daemon stop >/dev/null 2>&1
	# Whatever still runs on our own run directory is ours to end.
	for pid in $(our_processes); do
		kill -9 "$pid" 2>/dev/null
	done
	chmod -R u+rwX "$T" 2>/dev/null
	rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 129' HUP INT TERM

# Pids of processes that have COVE_HOME of this very test in their environment.
our_processes() {
	local p
	for p in /proc/[0-9]*; do
		[ "$p" = "/proc/$$" ] && continue
		grep -qz "^COVE_HOME=$COVE_HOME\$" "$p/environ" 2>/dev/null ||
			continue
		case $(cat "$p/cmdline" 2>/dev/null | tr '\0' ' ') in
		*cove-devices* | *cove-gate* | *coved* | *cove-vmm* | *qemu-system* | *cove-image*)
			echo "${p#/proc/}" ;;
		esac
	done
}

result() { # status name [detail]
	n_test=$((n_test + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n_test - $2"
	else
		echo "not ok $n_test - $2"
		n_fail=$((n_fail + 1))
		[ -n "${3:-}" ] && printf '%s\n' "$3" | head -40 | sed 's/^/# /'
	fi
	return 0
}

ok() { # name command...
	local name=$1 out rc
	shift
	out=$("$@" 2>&1)
	rc=$?
	result "$rc" "$name" "exit $rc: $out"
}

is() { # name got want
	[ "$2" = "$3" ]
	result $? "$1" "got:  $2
want: $3"
}

like() { # name got extended-regexp
	printf '%s' "$2" | grep -Eq -- "$3"
	result $? "$1" "got:  $2
want: /$3/"
}

status() { # name want command...: exit status
	local name=$1 want=$2 out rc
	shift 2
	out=$("$@" 2>&1)
	rc=$?
	[ "$rc" -eq "$want" ]
	result $? "$name" "exit $rc, want $want: $out"
}

skip() { # name reason
	if [ "${COVE_MUST_RUN:-0}" = 1 ]; then
		result 1 "$1" "must run, but: $2"
	else
		n_test=$((n_test + 1))
		echo "ok $n_test - $1 # SKIP $2"
	fi
}

plan_done() {
	echo "1..$n_test"
	exit $((n_fail > 0))
}

# wait_for SECONDS command...: until it succeeds. Only for what has no event.
wait_for() {
	local until=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -ge "$until" ] && return 1
		sleep 0.1
	done
}

state_of() {
	"$COVE" inspect --json "$1" | python3 -c 'import json,sys
o = json.load(sys.stdin)
o = o[0] if isinstance(o, list) else o
print(o["state"])'
}

# field NAME expression: e.g. field box 'o["pids_host"]["engine"]'
field() {
	"$COVE" inspect --json "$1" | python3 -c 'import json,sys
o = json.load(sys.stdin)
o = o[0] if isinstance(o, list) else o
print(eval(sys.argv[1]))' "$2"
}
