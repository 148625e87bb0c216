#!/usr/bin/env bash
# timeout: 1800
# A command runs in its own microVM; exec is exact about bytes and status.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1

boot_id=/proc/sys/kernel/random/boot_id
out=$("$COVE" run --rm -- sh -c "uname -r; cat $boot_id" 2>"$T/err")
is "run exits 0" $? 0
like "run prints a kernel" "$out" '^[0-9]+\.[0-9]+'
[ -n "$(sed -n 2p <<<"$out")" ] && [ "$(sed -n 2p <<<"$out")" != "$(cat $boot_id)" ]
result $? "the kernel is the guest's, not the host's" "$out"
is "run --rm leaves no sandbox" "$("$COVE" ls -q)" ""

"$COVE" run --rm -- sh -c 'exit 7' 2>/dev/null
is "the exit status is the command's" $? 7
"$COVE" run --rm -- sh -c 'kill -TERM $$' 2>/dev/null
is "a signal is 128 + its number" $? 143

ok "create" "$COVE" create --name box shell "$W"
is "exec passes stdin and stdout" \
	"$(echo hi | "$COVE" exec -i box cat)" "hi"
out=$("$COVE" exec box sh -c 'echo out; echo err >&2' 2>"$T/err")
is "stdout is stdout" "$out" "out"
is "stderr is stderr" "$(cat "$T/err")" "err"
is "without -i stdin is empty" "$(echo lost | "$COVE" exec box wc -c | tr -d ' ')" 0
is "arguments are not seen by a shell" \
	"$("$COVE" exec box printf '%s|' 'a b' '$HOME' '' '*')" 'a b|$HOME||*|'
is "exec -e and -w" \
	"$("$COVE" exec -e A=1 -e B='x y' -w /tmp box sh -c 'echo $A $B $PWD')" \
	"1 x y /tmp"
is "exec -u root" "$("$COVE" exec -u root box id -u)" 0
is "the default user" "$("$COVE" exec box id -un)" agent
is "password-less sudo" "$("$COVE" exec box sudo id -u)" 0
is "COVE_NAME" "$("$COVE" exec box sh -c 'echo $COVE_NAME')" box
is "COVE_ID is the id of inspect" "$("$COVE" exec box sh -c 'echo $COVE_ID')" \
	"$(field box 'o["id"]')"
is "the host name" "$("$COVE" exec box hostname)" box
status "not found is 127" 127 "$COVE" exec box no-such-command
status "not executable is 126" 126 "$COVE" exec box /etc/passwd
is "the working directory is the workspace" "$("$COVE" exec box pwd)" "$W"

# 1 GB each way at once, checked at both ends; the guest only copies.
bytes=${COVE_TEST_BYTES:-1000000000}
sum=$(openssl enc -aes-128-ctr -pass pass:x -nosalt -pbkdf2 -in /dev/zero \
	2>/dev/null | head -c "$bytes" | tee >(sha256sum >"$T/sum.in") |
	"$COVE" exec -i box cat | sha256sum)
wait_for 60 test -s "$T/sum.in"
is "$bytes bytes in and out through exec are intact" "$sum" "$(cat "$T/sum.in")"

# Detached commands run on.
ok "exec -d" "$COVE" exec -d box sh -c 'touch /tmp/started; sleep 300'
ok "the detached command runs" wait_for 60 "$COVE" exec box test -e /tmp/started

# Stop keeps the disk, start brings it back, rm frees it.
"$COVE" exec box sh -c 'echo kept > ~/kept; sync'
ok "stop" "$COVE" stop box
is "state stopped" "$(state_of box)" stopped
is "exec starts a stopped sandbox" "$("$COVE" exec box sh -c 'cat ~/kept')" kept
ok "cp in" "$COVE" cp "$TOP/README.md" box:/tmp/r
ok "cp out" "$COVE" cp box:/tmp/r "$T/r"
ok "cp is exact" cmp "$TOP/README.md" "$T/r"
mkdir -p "$T/tree/a/b" && echo 1 >"$T/tree/a/b/f" && ln -s a/b "$T/tree/l"
ok "cp of a tree in" "$COVE" cp "$T/tree" box:/home/agent/
ok "cp of a tree out" "$COVE" cp box:/home/agent/tree "$T/back"
ok "the tree is the same" diff -r "$T/tree" "$T/back"
status "rm without -f refuses a running sandbox" 1 "$COVE" rm box
ok "rm -f" "$COVE" rm -f box
is "no sandbox is left" "$("$COVE" ls -q)" ""
is "no disk is left" "$(ls -A "$COVE_HOME/state/sandboxes" 2>/dev/null)" ""
is "the workspace is untouched" "$(ls -A "$W")" ""
ok "version" "$COVE" version
plan_done
