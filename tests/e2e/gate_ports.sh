#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Published ports of a real guest: loopback, both families, ephemeral ones,
# restarts of everything, a busy port, --unpublish.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/host_servers.sh"
base=$(free_ports 4)
C() { timeout 600 "$COVE" "$@" </dev/null 2>&1; }
get() { curl -sS -m 300 "$@" 2>&1; }
port_of() { # guest port -> host port
	"$COVE" ports box --json | python3 -c 'import json,sys
for p in json.load(sys.stdin)["ports"]:
	if p["port"] == int(sys.argv[1]): print(p["host_port"])' "$1"
}
serve() { # guest port, text
	C exec -d box python3 -c "
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        b = b'$2 from %s' % self.client_address[0].encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(b)))
        self.end_headers()
        self.wfile.write(b)
    do_POST = lambda self: (self.rfile.read(int(self.headers['Content-Length'])), self.do_GET())
http.server.ThreadingHTTPServer(('127.0.0.1', $1), H).serve_forever()"
}
# A new coved answers before it has heard of the gate what that holds.
known() { wait_for 120 bash -c "'$COVE' ports box | grep -Eq '$1'"; }
closed() { get "http://127.0.0.1:$1/" | grep -Eq "refused|Failed|Couldn"; }
up() { wait_for 400 curl -sf -m 5 "http://127.0.0.1:$1/"; }

like "no port of the sandbox" "$(C create --name box -p 99999)" \
	"no port of the sandbox"
like "only TCP and UDP" "$(C create --name box -p 53:53/sctp)" "only TCP and UDP"
like "it is created with two ports" \
	"$(C create --name box -p "$base:8000" -p 9000 shell)" "box"
like "they are listed" "$(C ports box)" "localhost +$base +8000 +open"
like "and in inspect" "$(C inspect box)" "localhost:$base -> 8000"
like "nobody serves: the connection ends" "$(get "http://127.0.0.1:$base/")" \
	"reset|Empty reply"
serve 8000 one >/dev/null
serve 9000 two >/dev/null
up "$base"
like "over IPv4" "$(get "http://127.0.0.1:$base/")" "one from 127.0.0.1"
like "over IPv6" "$(get "http://[::1]:$base/")" "one from"
e=$(port_of 9000)
up "$e"
like "an ephemeral port" "$(get "http://localhost:$e/")" "two from"
own=$(ip -4 -o addr show scope global | awk '{ sub("/.*", "", $4); print $4; exit }')
if [ -n "$own" ]; then
	like "not from elsewhere" "$(get -m 3 "http://$own:$base/")" \
		"refused|timed out|[Ff]ailed"
else
	skip "not from elsewhere" "this host has no other address"
fi
head -c 5000000 /dev/urandom >"$W/big"
like "5 MB go up" "$(get --data-binary "@$W/big" \
	"http://127.0.0.1:$base/")" "one from"

python3 -c "import socket,time
s = socket.socket(); s.bind(('127.0.0.1', $base + 1)); s.listen(); time.sleep(3600)" &
busy=$!
trap 'kill $busy 2>/dev/null; cleanup' EXIT
wait_for 60 bash -c "exec 3<>/dev/tcp/127.0.0.1/$((base + 1))"
like "a busy port is refused in words" \
	"$(C ports box -p "$((base + 1)):8000")" "taken by another program"
status "with status 1" 1 "$COVE" ports box -p "$((base + 1)):8000"
like "create refuses it too" \
	"$(C create --name other -p "$((base + 1)):80" shell)" \
	"taken by another program"
kill "$busy"
C ports box -p "127.0.0.1:$((base + 2)):8000" >/dev/null
like "one is added" "$(get "http://127.0.0.1:$((base + 2))/")" "one from"
gate=$(field box 'o["pids_host"]["gate"]')
kill -9 "$gate"
like "a killed gate: they are back" \
	"$(get --retry 60 --retry-all-errors --retry-delay 1 \
		"http://127.0.0.1:$base/")" "one from"
C daemon stop >/dev/null
like "they do not need coved" "$(get "http://127.0.0.1:$base/")" "one from"
ok "a new coved knows them" known "localhost +$base +8000 +open"
is "the ephemeral one too" "$(port_of 9000)" "$e"
like "and they go on" "$(get "http://localhost:$e/")" "two from"
C ports box --unpublish "$((base + 2)):8000" >/dev/null
# The gate closes it when it hears of it, and resets who came just before.
ok "one is taken back" wait_for 120 closed "$((base + 2))"
C stop box >/dev/null
ok "a stopped sandbox has none" wait_for 120 closed "$base"
like "which are still known" "$(C ports box)" "localhost +$base +8000 +closed"
C start box >/dev/null
serve 8000 again >/dev/null
up "$base"
like "a started one has them again" "$(get "http://127.0.0.1:$base/")" \
	"again from"
is "the ephemeral one is the same" "$(port_of 9000)" "$e"
like "the log has them" "$(C policy log box)" "127.0.0.1:8000 +port"

# Datagrams: what comes back, to whom, and how large.
udp() { # host port, bytes, senders[, address]: how many were answered rightly
	python3 - "$@" <<'X'
import socket, sys
port, size, n = map(int, sys.argv[1:4])
addr = sys.argv[4] if len(sys.argv) > 4 else "127.0.0.1"
family = socket.AF_INET6 if ":" in addr else socket.AF_INET
senders = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(n)]
right = 0
for i, s in enumerate(senders):
    s.settimeout(3)
    want = (b"%d " % i).ljust(size, b"x")
    for _ in range(20):  # one may be lost, or nobody listens yet
        s.sendto(want, (addr, port))
        try:
            got = s.recv(70000)
        except OSError:
            continue
        right += got == b"echo " + want
        break
print(right)
X
}
u=$((base + 3))
like "a UDP port is published" "$(C ports box -p "$u:5300/udp")" \
	"localhost +$u +5300/udp +open"
C exec -d box python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 5300))
while True:
    b, a = s.recvfrom(70000)
    s.sendto(b'echo ' + b, a)" >/dev/null
is "a datagram is answered" "$(udp "$u" 100 1)" 1
is "each of 20 senders gets its own" "$(udp "$u" 10 20)" 20
is "a large one" "$(udp "$u" 60000 1)" 1
is "over IPv6" "$(udp "$u" 100 1 ::1)" 1
is "300 senders, more than are remembered" "$(udp "$u" 10 300)" 300
like "a busy one is refused" "$(C ports box -p "127.0.0.1:$u:5301/udp")" \
	"UDP port $u of 127.0.0.1 is taken"
like "TCP of the same number is another" "$(C ports box -p "$u:5300")" \
	"5300 +open"
C daemon stop >/dev/null
is "it does not need coved" "$(udp "$u" 100 1)" 1
ok "a new coved knows it" known "localhost +$u +5300/udp +open"
like "the log has it" "$(C policy log box)" "127.0.0.1:5300 +port"
C ports box --unpublish 5300/udp >/dev/null
is "taken back" "$(python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('127.0.0.1', $u))
s.settimeout(1)
try:
    for _ in range(120):  # until the gate has heard of it
        s.send(b'x')
        try:
            s.recv(10)
        except TimeoutError:
            pass
except ConnectionRefusedError:
    print('refused')")" refused
like "and TCP stays" "$(C ports box)" "localhost +$u +5300 +open"
plan_done
