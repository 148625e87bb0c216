#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/run-tests believes nobody: what a test says is counted, and a test
# that says nothing, too little or too late has failed. Speaks TAP.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/scripts" "$tree/tests/e2e" "$tree/build/meson-info"
cp "$top/scripts/run-tests" "$tree/scripts/"
n=0
failed=0

run() { # wanted last line, wanted status, name; the script from stdin
	local out rc

	{
		echo '#!/bin/bash'
		cat
	} >"$tree/tests/e2e/t.sh"
	chmod +x "$tree/tests/e2e/t.sh"
	out=$("$tree/scripts/run-tests" -b "$tree/build" -s e2e 2>&1)
	rc=$?
	n=$((n + 1))
	if [ $rc -eq "$2" ] && [ "$(tail -n 1 <<<"$out")" = "$1" ]; then
		echo "ok $n - $3"
	else
		echo "not ok $n - $3"
		printf '%s\n' "exit $rc" "$out" | sed 's/^/# /'
		failed=1
	fi
}

unset COVE_MUST_RUN
run "2 passed, 0 failed, 0 skipped" 0 "all is well" <<'END'
echo ok 1 - a
echo '  ok 2 - b'
echo 1..2
END
run "1 passed, 1 failed, 0 skipped" 1 "one fails" <<'END'
echo 1..2; echo ok 1 - a; echo not ok 2 - b
exit 1
END
run "1 passed, 0 failed, 1 skipped" 0 "one is skipped" <<'END'
echo 1..2; echo ok 1; echo 'ok 2 - b # SKIP no kvm'
END
run "0 passed, 0 failed, 1 skipped" 0 "all is skipped" <<'END'
echo '1..0 # SKIP no kvm'
END
run "1 passed, 1 failed, 0 skipped" 1 "fewer than planned" <<'END'
echo 1..2; echo ok 1
END
run "3 passed, 0 failed, 0 skipped" 0 "two groups in one program" <<'END'
echo 1..2; echo ok 1; echo ok 2; echo 1..1; echo ok 1
END
run "1 passed, 1 failed, 0 skipped" 1 "no plan" <<'END'
echo ok 1
END
run "1 passed, 1 failed, 0 skipped" 1 "good words, bad exit status" <<'END'
echo 1..1; echo ok 1; exit 3
END
run "0 passed, 1 failed, 0 skipped" 1 "silence" <<'END'
END
run "1 passed, 2 failed, 0 skipped" 1 "bail out" <<'END'
echo 1..2; echo ok 1; echo 'Bail out! no disk'; exit 1
END
run "1 passed, 1 failed, 0 skipped" 1 "not done in time" <<'END'
# timeout: 10
echo 1..1; echo ok 1; exec tail -f /dev/null
END
COVE_MUST_RUN=1
export COVE_MUST_RUN
run "1 passed, 1 failed, 0 skipped" 1 "COVE_MUST_RUN: no skips" <<'END'
echo 1..2; echo ok 1; echo 'ok 2 - b # SKIP no kvm'
END
unset COVE_MUST_RUN

cat >"$tree/tests/e2e/t.sh" <<'END'
#!/bin/bash
trap 'echo gone >"$0.gone"; exit 1' TERM
echo 1..1
echo begun >"$0.begun"
# A trap waits for the command under way: one that lasts could miss the signal.
while :; do sleep 0.2; done
END
mkfifo "$tree/tests/e2e/t.sh.begun"
"$tree/scripts/run-tests" -b "$tree/build" -s e2e >"$tree/out" 2>&1 &
runner=$!
read -r _ <"$tree/tests/e2e/t.sh.begun"
kill "$runner"
wait "$runner"
rc=$?
n=$((n + 1))
if [ $rc -eq 1 ] && grep -q interrupted "$tree/out" &&
	[ -e "$tree/tests/e2e/t.sh.gone" ]; then
	echo "ok $n - told to end, it ends its tests and says so"
else
	echo "not ok $n - told to end, it ends its tests and says so"
	sed 's/^/# /' "$tree/out"
	failed=1
fi

out=$("$tree/scripts/run-tests" -b "$tree/build" -s e2e nosuch 2>&1)
rc=$?
n=$((n + 1))
[ $rc -eq 1 ] && echo "ok $n - no such test" ||
	{ echo "not ok $n - no such test"; echo "# $out"; failed=1; }

echo "1..$n"
exit $failed
