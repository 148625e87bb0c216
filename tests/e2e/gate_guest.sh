#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The network of a real guest: redirect, names, denials, live rules, restarts.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/host_servers.sh"
mkdir "$W/www"
echo hello-from-the-host >"$W/www/index.html"
serve_dir "$W/www"
trap 'kill $server; cleanup' EXIT
url=http://host.cove.internal:$port/
C() { timeout 600 "$COVE" "$@" </dev/null 2>&1; }
t() {
	n_test=$((n_test + 1))
	if grep -q -- "$2" <<<"$3"; then
		echo "ok $n_test - $1"
	else
		n_fail=$((n_fail + 1))
		echo "not ok $n_test - $1"
		sed 's/^/# /' <<<"$3"
	fi
}
get() { C exec net curl -sS -m 120 "$@"; }

C create --name net shell >/dev/null
t "the host is closed" "Could not resolve" "$(get "$url")"
C policy allow "host:$port" >/dev/null
t "a rule opens it at once" hello-from "$(get "$url")"
t "as root, over IPv4" hello-from \
	"$(C exec -u root net curl -4 -sS -m 120 "$url")"
t "over IPv6" hello-from "$(get -6 "$url")"
t "python needs no proxy" hello-from "$(C exec net python3 -c \
	"import urllib.request as u; print(u.urlopen('$url').read())")"
t "an address is denied in words" "no rule allows it" \
	"$(get http://10.1.2.3/)"
t "with the way to allow it" "cove policy allow 10.1.2.3:80 --sandbox net" \
	"$(get http://10.1.2.3/)"
t "metadata too" "no rule allows it" "$(get http://169.254.169.254/)"
t "a denied name does not resolve" "Could not resolve" \
	"$(get http://denied.example/)"
t "check agrees: deny" "^deny" "$(C policy check denied.example)"
t "check agrees: allow" "^allow" "$(C policy check "host:$port")"
t "the log has it" "no rule allows it" "$(C policy log net)"
t "a broken rule is refused" "target" "$(C policy allow 'a..b')"
t "another host's name is refused" "names another host" \
	"$(get -H 'Host: evil.test' "$url")"
C exec -u root net nft delete table inet cove >/dev/null
t "root that removes the redirect has no network" "timed out" \
	"$(get -m 3 "$url")"
C stop net >/dev/null
t "a restarted guest has it again" hello-from "$(get "$url")"
coved=$("$COVE" daemon status --json |
	python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])')
gates() { cat /proc/[0-9]*/stat 2>/dev/null |
	awk -v p="$coved" '$2 == "(cove-gate)" && $4 == p { print $1 }'; }
one_gate() { [ "$(gates | wc -l)" = 1 ]; }
wait_for 60 one_gate # one that has ended may still be there
gate=$(gates)
t "one gate runs" "^1$" "$(gates | wc -l)"
allowed() { cat "$COVE_HOME"/state/sandboxes/*/net/net.log |
	grep -c '"verdict":"allow"'; }
before=$(allowed)
C exec net python3 -uc "
import socket
s = socket.create_connection(('host.cove.internal', $port))
s.sendall(b'GET /')
print('open')
try: print(s.recv(1))
except OSError as e: print(e)" >"$T/stream" &
stream=$!
wait_for 60 grep -q open "$T/stream"
# For the guest it is open before the gate has heard of it.
dialled() { [ "$(allowed)" -gt "$before" ]; }
wait_for 60 dialled
another() { [ "$(gates | wc -l)" = 1 ] && [ "$(gates)" != "$gate" ]; }
killed=$(awk '{ print int($1 * 100) }' /proc/uptime)
kill -9 "$gate"
ok "another one runs" wait_for 60 another
echo "# begun $((($(awk '{ print $22 }' "/proc/$(gates)/stat") - killed) * 10)) ms" \
	"after the other one was killed"
wait "$stream"
t "an open connection ended with it" "b''\\|reset" "$(cat "$T/stream")"
t "a killed gate is replaced" hello-from \
	"$(get --retry 60 --retry-all-errors --retry-delay 1 "$url")"
t "by one that denies what was denied" "no rule allows it" \
	"$(get http://10.1.2.3/)"
C daemon stop >/dev/null
t "it goes on under a new coved" hello-from "$(get "$url")"
C policy deny "host:$port" >/dev/null
t "which still sets its rules" "Could not resolve" "$(get "$url")"
plan_done
