#!/usr/bin/env bash
# kill -9 of anything at any moment: no orphan, no lost sandbox, no leaked
# disk, a list that tells the truth. COVE_CRASH_LOOPS rounds (default 200).
# timeout: 3000
. "$(dirname "$0")/lib.sh"
LOOPS=${COVE_CRASH_LOOPS:-200}
cd "$W" || exit 1

daemon_pid() {
	"$COVE" daemon status --json 2>/dev/null |
		python3 -c 'import json,sys; print(json.load(sys.stdin)["pid"])' 2>/dev/null
}

# An engine killed: failed, the next exec starts it, what was fsynced is there.
ok "create" "$COVE" create --name keep --memory 512M "$W"
"$COVE" exec keep sh -c 'echo precious >~/f && python3 -c "
import os; fd = os.open(os.path.expanduser(\"~/f\"), os.O_RDWR); os.fsync(fd)"'
kill -9 "$(field keep 'o["pids_host"]["engine"]')"
# A matter of milliseconds, on a machine that is given its processors.
ok "ls says failed, unasked" \
	wait_for 60 sh -c "'$COVE' inspect --json keep | grep -q '\"state\": *\"failed\"'"
is "the next exec starts it with its fsynced data" \
	"$("$COVE" exec keep sh -c 'cat ~/f')" precious
# cove-vmm has the devices in its own process, which was just killed.
devices=$(field keep 'o["pids_host"].get("devices") or ""')
if [ -n "$devices" ]; then
	kill -9 "$devices"
	ok "a killed device server: failed as well" \
		wait_for 60 sh -c "'$COVE' inspect --json keep | grep -q '\"state\": *\"failed\"'"
	is "and it starts again" "$("$COVE" exec keep sh -c 'cat ~/f')" precious
fi

# A guest kernel panic.
"$COVE" exec -u root keep sh -c 'sync; echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger' >/dev/null 2>&1
ok "a guest panic: failed" \
	wait_for 60 sh -c "'$COVE' inspect --json keep | grep -q '\"state\": *\"failed\"'"
like "with the console's words in the reason" "$(field keep 'o["reason"]')" '[Pp]anic|sysrq'
is "and it starts again after a panic" "$("$COVE" exec keep sh -c 'cat ~/f')" precious

# coved killed while a sandbox runs: the next one adopts it.
before=$(field keep 'o["pids_host"]["engine"]')
kill -9 "$(daemon_pid)"
is "exec goes on after coved was killed" "$("$COVE" exec keep echo alive)" alive
is "the same engine was adopted" "$(field keep 'o["pids_host"]["engine"]')" "$before"
"$COVE" daemon stop >/dev/null
is "daemon stop leaves the sandbox running" "$("$COVE" exec keep echo alive)" alive

# Random moments. keep must never be touched by what happens to the others.
bad=0
kills=0
detail=
for i in $(seq "$LOOPS"); do
	pid=$(daemon_pid)
	case $((RANDOM % 4)) in
	0) "$COVE" create --name "v$((i % 3))" --memory 256M "$W" ;;
	1) "$COVE" exec "v$((i % 3))" true ;;
	2) "$COVE" stop -t 1s "v$((i % 3))" ;;
	3) "$COVE" rm -f "v$((i % 3))" ;;
	esac >/dev/null 2>&1 &
	op=$!
	python3 -c "import random,select; select.select([], [], [], random.random() ** 2 * 3)"
	if [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; then
		kills=$((kills + 1))
	fi
	wait $op
	# The next command starts a daemon, which puts everything in order.
	"$COVE" ls --json >"$T/ls.json" 2>"$T/ls.err" || {
		bad=$((bad + 1)); detail="$detail
round $i: ls failed: $(cat "$T/ls.err")"; continue; }
	python3 - "$T/ls.json" "$COVE_HOME" $(our_processes) >"$T/audit" <<'PY' || { bad=$((bad + 1)); detail="$detail
round $i: $(cat "$T/audit")"; }
import json, os, sys
boxes = json.load(open(sys.argv[1]))
boxes = boxes["sandboxes"] if isinstance(boxes, dict) else boxes
home, pids = sys.argv[2], set(map(int, sys.argv[3:]))
names = {b["name"] for b in boxes}
ok = True
def say(*a):
    global ok
    ok = False
    print(*a)
if "keep" not in names:
    say("keep is lost")
disks = set(os.listdir(home + "/state/sandboxes"))
ids = {b["id"] for b in boxes}
if disks - ids:
    say("leaked disks", disks - ids)
if ids - disks:
    say("lost disks", ids - disks)
claimed = set()
for b in boxes:
    live = [p for p in (b.get("pids_host") or {}).values() if p]
    if b["state"] in ("running", "paused", "unresponsive"):
        for p in live:
            claimed.add(p)
            if not os.path.exists(f"/proc/{p}"):
                say(b["name"], "says running, but", p, "is gone")
    elif b["state"] in ("creating", "starting", "stopping"):
        claimed.update(live)
engines = set()
for p in pids:
    try:
        c = open(f"/proc/{p}/cmdline").read()
    except OSError:
        continue
    if "qemu-system" in c or "cove-devices" in c or "cove-gate" in c or "cove-vmm" in c:
        engines.add(p)
if engines - claimed:
    say("orphans", engines - claimed)
sys.exit(not ok)
PY
done
[ "$bad" -eq 0 ]
result $? "$LOOPS rounds of kill -9 at random moments" "$bad bad: $detail"
[ "$kills" -ge $((LOOPS * 9 / 10)) ]
result $? "coved was there to be killed in nearly all of them" "$kills kills"
is "the bystander still runs, untouched" "$("$COVE" exec keep sh -c 'cat ~/f')" precious
plan_done
