#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a container behind a bridge sees, without a container engine: a network
# namespace of the guest, joined to a bridge by a veth pair.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/host_servers.sh"
mkdir "$W/www"
echo hello-from-the-host >"$W/www/index.html"
serve_dir "$W/www"
trap 'kill $server; cleanup' EXIT
url=http://host.cove.internal:$port/
C() { timeout 600 "$COVE" "$@" </dev/null 2>&1; }
in_ns() { C exec -u root box nsenter --net=/run/c "$@"; }

# Modules that the boot did not wait for come when the kernel asks for them.
is "the first command can make a bridge" "$("$COVE" run --rm -u root shell -- \
	sh -c 'ip link add br0 type bridge && echo made' </dev/null 2>/dev/null)" made
C create --name box -p 8000 shell >/dev/null
C policy allow "host:$port" >/dev/null
like "the namespace is made" "$(C exec -u root box sh -ec '
	touch /run/c
	unshare --net=/run/c true
	ip link add br0 type bridge
	ip addr add 172.18.0.1/16 dev br0
	ip -6 addr add fd00:18::1/64 dev br0 nodad
	ip link set br0 up
	ip link add v0 type veth peer name v1
	ip link set v0 master br0 up
	nsenter --net=/run/c true
	sleep 1000 >/dev/null 2>&1 &
	nsenter --net=/run/c sleep 1000 >/dev/null 2>&1 &
	pid=$!
	while [ "$(readlink /proc/$pid/ns/net)" = "$(readlink /proc/self/ns/net)" ]
	do :; done
	ip link set v1 netns $pid
	n="nsenter --net=/run/c"
	$n ip link set lo up
	$n ip addr add 172.18.0.2/16 dev v1
	$n ip -6 addr add fd00:18::2/64 dev v1 nodad
	$n ip link set v1 up
	$n ip route add default via 172.18.0.1
	$n ip -6 route add default via fd00:18::1
	sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	echo made')" made
like "a name, over IPv4" "$(in_ns curl -4 -sS -m 120 "$url")" hello-from
like "and over IPv6" "$(in_ns curl -6 -sS -m 120 "$url")" hello-from
like "a denied name" "$(in_ns curl -sS -m 120 http://denied.example/)" \
	"Could not resolve"
like "a denied address, in words" "$(in_ns curl -sS -m 120 http://10.1.2.3/)" \
	"no rule allows it"
like "metadata" "$(in_ns curl -sS -m 120 http://169.254.169.254/)" \
	"no rule allows it"
like "an address of IPv6" "$(in_ns curl -sS -m 120 "http://[2001:db8::1]/")" \
	"no rule allows it"
like "what is in the guest stays there" "$(C exec -u root box sh -c '
	cd /tmp && mkdir -p w && echo from-the-guest >w/index.html
	python3 -m http.server -d w --bind 172.18.0.1 8001 >/dev/null 2>&1 &
	i=0
	until [ "$(ss -ltn | grep -c 8001)" = 1 ] || [ $i = 1000 ]; do
		i=$((i + 1)); sleep 0.1; done
	nsenter --net=/run/c curl -sS -m 120 http://172.18.0.1:8001/')" \
	from-the-guest
# As docker-proxy does for a published port of a container.
C exec -u root -d box nsenter --net=/run/c \
	python3 -m http.server -d /tmp/w --bind 172.18.0.2 80 >/dev/null
C exec -u root -d box python3 -c '
import socket, threading
def pump(a, b):
    while d := a.recv(65536): b.sendall(d)
    b.shutdown(1)
s = socket.create_server(("0.0.0.0", 8000))
while True:
    a = s.accept()[0]
    try: b = socket.create_connection(("172.18.0.2", 80))
    except OSError: a.close(); continue
    threading.Thread(target=pump, args=(a, b)).start()
    threading.Thread(target=pump, args=(b, a)).start()' >/dev/null
e=$(C ports box --json | python3 -c \
	'import json,sys; print(json.load(sys.stdin)["ports"][0]["host_port"])')
wait_for 300 curl -sf -m 5 "http://127.0.0.1:$e/"
like "a published port of a container" "$(curl -sS -m 120 "http://127.0.0.1:$e/")" \
	from-the-guest
like "the log has the container's denial" "$(C policy log box)" \
	"deny +10.1.2.3:80"
plan_done
