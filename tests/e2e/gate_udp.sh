#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# UDP out of a real guest: only by rule, both families, any size, and a denial
# that is heard at once. Other protocols go nowhere.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/host_servers.sh"
python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 0))
print(s.getsockname()[1], flush=True)
while True:
    d, who = s.recvfrom(65535)
    s.sendto(d, who)" >"$T/port" &
server=$!
port=$(port_in "$T/port")
trap 'kill $server; cleanup' EXIT
C() { timeout 600 "$COVE" "$@" </dev/null 2>&1; }
echo_of() { # family, target
	C exec box python3 -c "
import socket, time
s = socket.socket(socket.$1, socket.SOCK_DGRAM)
s.settimeout(60)
try:
    a = socket.getaddrinfo('$2', $port, socket.$1, socket.SOCK_DGRAM)[0][4]
    s.connect(a)
    for n in (1, 0, 1472, 20000, 60000):
        t = time.monotonic()
        s.send(b'x' * n)
        assert s.recv(65535) == b'x' * n, n
    print('echoed')
except OSError as e:
    print('error', e, 'fast' if time.monotonic() - t < 30 else 'slow')
except NameError:
    print('no name')"
}

C create --name box shell >/dev/null
C policy allow "host:$port" >/dev/null
like "a rule of TCP is none of UDP: refused at once" \
	"$(echo_of AF_INET host.cove.internal)" "refused fast"
C policy allow "host:$port" --udp >/dev/null
# A denial holds for a while inside (UDP_DENIED_MS).
echoes() { [ "$(echo_of AF_INET host.cove.internal)" = echoed ]; }
wait_for 120 echoes
like "by rule, over IPv4" "$(echo_of AF_INET host.cove.internal)" "^echoed"
like "and over IPv6" "$(echo_of AF_INET6 host.cove.internal)" "^echoed"
like "another resolver" "$(C exec box python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect(('8.8.8.8', 53))
s.send(bytes(12))
try: print(s.recv(100))
except OSError as e: print('error', e)")" "error.*refused"
like "the sandbox's own resolver" \
	"$(C exec box getent ahosts host.cove.internal)" "198\.1[89]\."
like "ping goes nowhere" "$(C exec -u root box python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.settimeout(2)
s.sendto(b'\x08\x00\xf7\xff' + bytes(4), ('198.18.0.99', 0))
try: print(s.recv(100))
except OSError as e: print('error', e)")" "error timed out"
like "the log has both" "$(C policy log box --json)" '"proto": "udp"'
like "the denial too" "$(C policy log box)" "deny +8.8.8.8:53"
plan_done
