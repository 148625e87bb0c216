#!/usr/bin/env bash
# A guest whose root talks garbage on every vsock port, replaces the agent's
# control stream and floods: coved and the device server live on, and another
# sandbox does not notice.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1
mkdir -p "$T/other"
cat >"$W/hostile.py" <<'PY'
import os, random, socket, struct, sys, time
random.seed(int(sys.argv[1])); end = time.monotonic() + float(sys.argv[2])
HOST = 2
def dial(port):
    s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); s.settimeout(5); s.connect((HOST, port)); return s
def frame(kind, p): return struct.pack("<IBBH", len(p), kind, 0, 0) + p
def rec(tag, p): return struct.pack("<HHI", tag, 0, len(p)) + p
held = []; n = 0
while time.monotonic() < end or n <= 20:
    port = random.choice([1024, 1024, 1024, 1025, 1026, 53, 3128, 0, 1, 22, 2375, random.randrange(1 << 32)])
    n += 1
    try:
        s = dial(port)
        kind = random.randrange(6)
        if kind == 0: s.sendall(os.urandom(random.randrange(1, 20000)))
        elif kind == 1: s.sendall(struct.pack("<IBBH", 0xffffffff, 1, 0, 0))
        elif kind == 2: s.sendall(frame(1, rec(1, b"\1\0\0\0") + rec(6, b"x" * 60000)))
        elif kind == 3: s.sendall(b"".join(frame(random.randrange(256), os.urandom(random.randrange(200))) for _ in range(50)))
        elif kind == 4: s.sendall(frame(1, b"")[:5])
        else: s.sendall(frame(9, rec(9, b"oom\0\n\"") + rec(3, os.urandom(500))) * 20)
        if random.random() < .3: held.append(s)
        else: s.close()
        if len(held) > 200: held.pop(0).close()
    except (OSError, OverflowError): pass
print("tried", n > 20)
PY
ok "create the hostile one" "$COVE" create --name evil --memory 512M "$W"
ok "create a bystander" "$COVE" create --name other --memory 512M "$T/other"
before=$("$COVE" daemon status --json)
is "20 s of garbage on every port" \
	"$("$COVE" exec -u root evil python3 "$W/hostile.py" $$ 20 2>&1 | tail -1)" "tried True"
is "the bystander did not notice" "$("$COVE" exec other echo fine)" fine
is "coved is the same process" \
	"$("$COVE" daemon status --json | grep -o '"pid": *[0-9]*')" \
	"$(printf '%s' "$before" | grep -o '"pid": *[0-9]*')"
# With cove-vmm the devices live in the monitor.
devices=$(field evil 'max(o["pids_host"].get("devices", 0), 0) or o["pids_host"]["engine"]')
is "its device server lives" "$(test -d "/proc/$devices" && echo yes)" yes
is "and it still answers itself" "$("$COVE" exec evil echo fine)" fine
ok "its listing is well-formed" sh -c "'$COVE' ls --json | python3 -m json.tool"

# Root in the guest kills or freezes the agent: the sandbox fails alone.
"$COVE" exec -u root evil sh -c 'kill -STOP 1; kill -9 1' >/dev/null 2>&1
is "PID 1 withstands signals from inside" "$("$COVE" exec evil echo fine)" fine
"$COVE" exec -d -u root evil sh -c 'echo 1 >/proc/sys/kernel/panic_on_oops; cat /dev/urandom >/dev/mem; echo o >/proc/sysrq-trigger'
ok "a guest that powers itself off is seen within 60 s" \
	wait_for 60 sh -c "'$COVE' inspect --json evil | grep -Eq '\"state\": *\"(stopped|failed)\"'"
is "the bystander still runs" "$("$COVE" exec other echo fine)" fine
is "the hostile one starts again" "$("$COVE" exec evil echo back)" back
plan_done
