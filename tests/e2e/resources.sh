#!/usr/bin/env bash
# timeout: 1200
# Limits: refused when impossible, felt when hit, told as typed events.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1
cpus=$(nproc)
refused() { # name regexp args...
	local name=$1 re=$2 out rc
	shift 2
	out=$("$COVE" create --name no "$@" 2>&1)
	rc=$?
	[ $rc -ne 0 ] && [ $rc -ne 125 ] && printf '%s' "$out" | grep -Eq -- "$re"
	result $? "$name" "exit $rc: $out"
}
refused "too many cpus" "$cpus" --cpus $((cpus + 1))
refused "no cpus" "1" --cpus 0
refused "too much memory" "[0-9]" --memory 100T
refused "too little memory" "[0-9]" --memory 1M
refused "a disk too small" "[0-9]" --disk 1k
refused "a size that is none" "size|12x" --memory 12x
refused "a duration that is none" "duration|soon" --timeout soon
is "nothing is left behind" "$("$COVE" ls -q)$(ls -A "$COVE_HOME/state/sandboxes" 2>/dev/null)" ""

ok "create with limits" "$COVE" create --name lim --cpus "$cpus" --memory 512M \
	--disk 1G --docker-disk 512M --pids 200 "$W"
is "cpus" "$("$COVE" exec lim nproc)" "$cpus"
mem=$("$COVE" exec lim awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
[ "$mem" -gt 380 ] && [ "$mem" -le 512 ]
result $? "memory" "$mem MiB"
size=$("$COVE" exec lim df -m --output=size / | tail -1 | tr -d ' ')
[ "$size" -gt 800 ] && [ "$size" -le 1024 ]
result $? "disk" "$size MiB"
# Mounted after the first commands may run.
wait_for 300 "$COVE" exec lim mountpoint -q /var/lib/docker
size=$("$COVE" exec lim df -m --output=size /var/lib/docker | tail -1 | tr -d ' ')
[ "$size" -gt 380 ] && [ "$size" -le 512 ]
result $? "docker disk" "$size MiB"

"$COVE" exec lim python3 -c '
import os, time
n = 0
try:
    while n < 1000:
        if os.fork() == 0:
            time.sleep(600)
        n += 1
except OSError as e:
    print("refused after some:", n > 100, e.strerror)' >"$T/pids" 2>&1
like "the process limit is felt" "$(cat "$T/pids")" '^refused after some: True'
is "and the sandbox still answers" "$("$COVE" exec lim echo yes)" yes
"$COVE" exec lim pkill python3
ok "event quota.pids" wait_for 60 sh -c "'$COVE' inspect --json lim | grep -q quota.pids"

"$COVE" exec lim python3 -c '
x = []
while True:
    x.append(b"x" * (16 << 20))' >"$T/oom" 2>&1
result $(($? == 0)) "a process that takes all memory is killed" "$(cat "$T/oom")"
is "and the sandbox still answers after it" "$("$COVE" exec lim echo yes)" yes
ok "event oom" wait_for 60 sh -c "'$COVE' inspect --json lim | grep -q '\"oom\"'"

"$COVE" exec lim sh -c 'head -c 2000000000 /dev/zero >~/fill' >"$T/full" 2>&1
like "a full disk is ENOSPC inside" "$(cat "$T/full")" 'No space'
"$COVE" exec lim rm -f /home/agent/fill
is "and the sandbox still answers when it was full" "$("$COVE" exec lim echo yes)" yes

# Memory comes back to the host after the guest freed it.
rss() { awk '/^Rss/ {print int($2 / 1024)}' "/proc/$(field lim 'o["pids_host"]["engine"]')/smaps_rollup"; }
"$COVE" exec -u root lim sh -c 'sync; echo 3 >/proc/sys/vm/drop_caches'
coproc TOUCH { "$COVE" exec -i lim python3 -c '
import sys
x = bytearray(300 << 20)
for i in range(0, len(x), 4096): x[i] = 1
print("touched", flush=True)
sys.stdin.read()'; }
touch_pid=$TOUCH_PID # the variable goes with the process
read -r _ <&"${TOUCH[0]}"
high=$(rss)
eval "exec ${TOUCH[1]}>&-"
wait "$touch_pid"
given_back() { [ "$(rss)" -lt $((high - 150)) ]; }
wait_for 300 given_back
result $? "freed memory goes back to the host" "was $high MiB, is $(rss) MiB"

# Its life may be over before the boot is, on a slow machine.
"$COVE" create --name short --memory 512M --timeout 3s "$W"
ok "it is stopped when the time is over" \
	wait_for 300 sh -c "'$COVE' inspect --json short | grep -q '\"state\": *\"stopped\"'"
ok "event timeout" sh -c "'$COVE' inspect --json short | grep -q '\"timeout\"'"
like "logs tell it too" "$("$COVE" logs short)" timeout
plan_done
