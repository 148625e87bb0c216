#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An application as people have them: a Debian base image, packages that its
# build installs by apt through the gate, two services under compose, a volume
# that survives stop and start, ports of both kinds on the host.
# COVE_TEST_LONG=1: PostgreSQL as well, which takes minutes of emulation.
# timeout: 3600
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/host_servers.sh"
. "$(dirname "$0")/debian_root.sh"
C() { timeout 300 "$COVE" "$@" </dev/null 2>&1; }
d() { timeout 1800 "$COVE" docker dk -- "$@" </dev/null 2>&1; }

why=$(debian_root) || {
	skip "an application from Debian packages" "$why"
	plan_done
}
mirror=$(debian_mirror | sed -E 's,^https?://,,; s,[/:].*,,')
mkdir "$W/web" "$W/app"
cat >"$W/web/Dockerfile" <<'X'
FROM debian:13
RUN export DEBIAN_FRONTEND=noninteractive && \
    apt-get -o Acquire::Retries=5 update && \
    apt-get -o Acquire::Retries=5 install -y --no-install-recommends nginx-light && \
    rm -rf /var/lib/apt/lists/* /etc/nginx/sites-enabled/default
COPY shop.conf /etc/nginx/conf.d/
CMD ["nginx", "-g", "daemon off;"]
X
cat >"$W/web/shop.conf" <<'X'
server {
    listen 80 default_server;
    location / { proxy_pass http://app:8000; }
}
X
# What Debian has of Perl in every system is enough for a server of each kind.
cat >"$W/app/app.pl" <<'X'
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
open F, ">>", "/data/starts"; print F "."; close F;
$starts = -s "/data/starts";
unless (fork) {
    $u = IO::Socket::INET->new(LocalPort => 7777, Proto => "udp") or die;
    while (defined $u->recv($b, 9000)) { $u->send("echo $b") }
}
$t = IO::Socket::INET->new(LocalPort => 8000, Listen => 9, ReuseAddr => 1);
while ($c = $t->accept) {
    1 while ($_ = <$c>) && /\S/;
    $s = "start $starts\n";
    print $c "HTTP/1.0 200 OK\r\nContent-Length: ", length $s, "\r\n\r\n$s";
    close $c;
}
X
cat >"$W/compose.yaml" <<'X'
name: shop
services:
  web:
    build: web
    ports: ["8080:80"]
    depends_on: [app]
    restart: unless-stopped
  app:
    image: debian:13
    command: perl /app/app.pl
    ports: ["7777:7777/udp"]
    volumes: ["./app:/app:ro", "data:/data"]
    restart: unless-stopped
volumes: {data: {}}
X
cd "$W" || exit 1
C create --name dk --cpus 2 --memory 1500M . >/dev/null
# A mirror inside this host's network is what only a rule by address opens.
C policy allow "$mirror,$(getent ahostsv4 "$mirror" |
	awk '{ print $1 ":80"; exit }')" --sandbox dk >/dev/null
like "a Debian root is imported as an image" \
	"$(timeout 300 "$COVE" docker dk -- import - debian:13 \
		<"$DEBIAN_ROOT" 2>&1)" 'sha256:'
ok "nginx is built from Debian packages, and compose starts both" \
	d compose --progress=plain up -d
like "its packages came through the gate" "$(C policy log dk)" \
	"allow +$mirror:80"
port=$(C ports dk -p 0:8080 --json | python3 -c 'import json, sys
print(json.load(sys.stdin)["ports"][0]["host_port"])')
get() {
	curl -sSf -m 60 --retry 200 --retry-delay 1 --retry-all-errors \
		"http://127.0.0.1:$port/" 2>/dev/null
}
is "this host reaches one service through the other" "$(get)" "start 1"
udp=$(free_ports 1)
C ports dk -p "$udp:7777/udp" >/dev/null
ask() {
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
for i in range(100):
    s.sendto(b"datagram", ("127.0.0.1", int(sys.argv[1])))
    try:
        print(s.recv(99).decode())
        break
    except OSError:
        pass' "$udp"
}
is "and a container's UDP port" "$(ask)" "echo datagram"
ok "stop" C stop -t 120s dk
ok "start" C start dk
ok "both services are back" wait_for 600 \
	curl -sf -m 20 "http://127.0.0.1:$port/"
is "and the volume with them" "$(get)" "start 2"
is "the UDP port as well" "$(ask)" "echo datagram"

if [ "${COVE_TEST_LONG:-0}" = 1 ]; then
	mkdir "$W/db"
	cat >"$W/db/Dockerfile" <<'X'
FROM shop-web
RUN export DEBIAN_FRONTEND=noninteractive && \
    apt-get -o Acquire::Retries=5 update && \
    apt-get -o Acquire::Retries=5 install -y --no-install-recommends postgresql
USER postgres
CMD ["sh", "-c", "exec /usr/lib/postgresql/*/bin/postgres -D /etc/postgresql/*/main"]
X
	sql() { d exec db psql -Atc "$1"; }
	serves() { wait_for 120 "$COVE" docker dk -- exec db psql -c 'select 1'; }
	ok "PostgreSQL is built from Debian packages" d build -q -t db db
	d run -d --name db --restart=unless-stopped \
		-v pg:/var/lib/postgresql db >/dev/null
	ok "it serves" serves
	sql "create table t (n int); insert into t values (42)" >/dev/null
	ok "stop" C stop -t 120s dk
	ok "start" C start dk
	ok "it serves again" serves
	is "with its rows" "$(sql 'select n from t')" 42
fi
C rm -f dk >/dev/null
plan_done
