#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The sandbox's own Docker: first use, containers, builds, networks, compose,
# what survives a stop, and the socket on the host. One sandbox for all of it.
# timeout: 5400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/host_servers.sh"

mkdir "$T/www"
echo hello-from-the-host >"$T/www/index.html"
serve_dir "$T/www"
trap 'kill $server; cleanup' EXIT

C() { timeout 600 "$COVE" "$@" </dev/null 2>&1; }
# The guest's shell, as its user.
sh_() { timeout 600 "$COVE" exec -i dk sh -c "$1" </dev/null 2>&1; }
d() { timeout 600 "$COVE" docker dk -- "$@" </dev/null 2>&1; }
client() { timeout 600 "$TOP/tests/e2e/docker.py" "$sock" "$@"; }
daemons() { C exec dk pidof dockerd containerd; }

# A small image: busybox, and curl with the guest's libraries.
mkdir -p "$W/box/bin" "$W/app"
cp "$(command -v busybox)" "$W/box/bin/busybox"
cat >"$W/box/Dockerfile" <<'X'
FROM scratch
COPY . /
RUN ["/bin/busybox", "--install", "-s", "/bin"]
X
cd "$W" || exit 1
C create --name dk --cpus 2 --memory 1500M . >/dev/null
sock=$(field dk 'o["docker_socket"]')

is "nothing runs before the first use" "$(daemons)" ""
like "the socket is the user's and the group's" \
	"$(sh_ 'stat -c "%U:%G %a" /run/docker.sock')" '^agent:docker 660$'
is "the first use starts it" "$(client get /_ping)" "200 OK"
# Of each there may be more than one, when it is about to execute a helper.
ok "both daemons run" sh_ 'pidof dockerd && pidof containerd'
like "outside of the commands' group" \
	"$(sh_ 'cat /proc/$(pidof -s dockerd)/cgroup')" '^0::/sandbox/engine$'
like "the store is the Docker disk" \
	"$(sh_ 'docker info -f "{{.Driver}} {{.DockerRootDir}}"; \
		stat -f -c %T /var/lib/docker')" 'overlay2 /var/lib/docker'

# Images and containers.
sh_ 'cp --parents -L $(ldd /usr/bin/curl | grep -o "/[^ ]*" | sort -u) \
	/usr/bin/curl box' >/dev/null
ok "an image is imported from a tar stream" \
	sh_ 'tar -C box -c bin | docker import - bb'
is "a container runs" "$(d run --rm bb /bin/busybox echo hello)" hello
is "by a copy of runc in memory, which nothing can write to" \
	"$(sh_ 'sudo python3 -c "import fcntl
print(fcntl.fcntl(open(\"/run/cove/docker/runc\"), fcntl.F_GET_SEALS))"')" 15
status "its exit code is the command's" 7 \
	d run --rm bb /bin/busybox sh -c 'exit 7'
ok "an image is built in the shared directory" d build -q -t box box
like "limits are set below the sandbox's own" \
	"$(d run --rm -m 64m --pids-limit 50 --cpus 0.5 box sh -c \
		'cd /sys/fs/cgroup; cat memory.max pids.max cpu.max' |
		tr '\n' ' ')" '^67108864 50 50000 100000'

# The network of containers is the gate.
like "a container's connection is judged" \
	"$(d run --rm box curl -sS -m 120 http://10.1.2.3/)" \
	'cove policy allow 10.1.2.3:80 --sandbox dk'
C policy allow "host:$port" >/dev/null
url=http://host.cove.internal:$port/
is "an allowed name is reached" \
	"$(d run --rm box curl -sS -m 120 "$url")" hello-from-the-host
printf 'FROM box\nRUN curl -sS -m 120 %s >/got && cat /got\n' "$url" \
	>"$W/app/Dockerfile"
ok "from a build as well" d build -q -t app app
is "and what it got is in the image" \
	"$(d run --rm app cat /got)" hello-from-the-host

# Networks.
ok "networks are made" sh_ 'docker network create n1 && docker network create n2'
ok "a container with a published port" d run -d --name web --network n1 \
	-p 8080:80 box sh -c \
	'mkdir /www; echo web-says-hi >/www/index.html; httpd -f -p 80 -h /www'
like "told to dockerd by our hook" "$(sh_ 'sudo sh -c "cat \
	/run/containerd/io.containerd.runtime.v2.task/moby/*/config.json"')" \
	'"/proc/1/exe","args":\["docker-setkey","/proc/[0-9]+/exe"'
wait_for 120 d exec web curl -sSf -m 20 http://127.0.0.1/
is "is found by name in its network" \
	"$(d run --rm --network n1 box curl -sS -m 120 http://web/)" web-says-hi
ip=$(d inspect -f '{{.NetworkSettings.Networks.n1.IPAddress}}' web)
like "not from another network" \
	"$(d run --rm --network n2 box curl -sS -m 5 "http://$ip/")" 'timed out'
like "and not by name" \
	"$(d run --rm --network n2 box curl -sS -m 120 http://web/)" 'resolve'
is "an allowed name is reached from an own network" \
	"$(d run --rm --network n1 box curl -sS -m 120 "$url")" \
	hello-from-the-host
is "the port is published in the sandbox" \
	"$(sh_ 'curl -sS -m 120 http://127.0.0.1:8080/')" web-says-hi
is "over IPv6 as well" "$(sh_ 'curl -sS -m 120 http://[::1]:8080/')" web-says-hi
C ports dk --publish 0:8080 >/dev/null
hostport=$(C ports dk --json | python3 -c 'import json, sys
o = json.load(sys.stdin)
o = o.get("ports", o) if isinstance(o, dict) else o
print(next(v for k, v in o[0].items() if k in ("host_port", "host")))')
is "and on to the host with cove ports" \
	"$(curl -sS -m 120 "http://127.0.0.1:$hostport/")" web-says-hi

# Compose: two services, two networks, a volume.
mkdir "$W/shop"
cat >"$W/shop/compose.yaml" <<'X'
services:
  back:
    image: box
    command: sh -c "echo from-the-back >/data/index.html; exec httpd -f -p 80 -h /data"
    volumes: [data:/data]
    networks: [inner]
  front:
    image: box
    command: sh -c "mkdir /www; until curl -sSf -m 5 http://back/ >/www/got; do sleep 1; done; exec httpd -f -p 80 -h /www"
    ports: ["8081:80"]
    depends_on: [back]
    networks: [inner, outer]
networks: {inner: {internal: true}, outer: {}}
volumes: {data: {}}
X
ok "compose starts two services" sh_ 'cd shop && docker compose up -d'
is "that work together" "$(sh_ 'curl -sS --retry 200 --retry-delay 1 \
	--retry-all-errors -f http://127.0.0.1:8081/got 2>/dev/null')" \
	from-the-back
ok "compose ends them" sh_ 'cd shop && docker compose down -t 1'

# Trust: a certificate that stands for the gate's authority.
sh_ 'sudo mkdir -p /usr/local/share/ca-certificates
	echo GATES-AUTHORITY |
	sudo tee /usr/local/share/ca-certificates/cove.crt' >/dev/null
printf 'FROM box\nRUN tail -1 $SSL_CERT_FILE >/seen\n' >"$W/app/Dockerfile"
ok "a build with an authority to trust" d build -q -t trust app
is "its steps were given the certificate" \
	"$(d run --rm -e SSL_CERT_FILE=/seen trust sh -c \
		'cat $SSL_CERT_FILE; tail -1 $CURL_CA_BUNDLE' | uniq -c |
		tr -s ' ')" " 2 GATES-AUTHORITY"
is "and the image knows nothing of it" \
	"$(d inspect -f '{{.Config.Env}}' trust | grep -c cove-ca)" 0

# Interactive.
d run -d --name keeper --restart=unless-stopped --stop-timeout 50 -v keep:/keep box sh -c \
	'trap "echo term >>/keep/log; exit 0" TERM
	echo start >>/keep/log; while :; do sleep 1; done' >/dev/null
is "docker exec has the certificate too" \
	"$(d exec keeper sh -c 'tail -1 $NODE_EXTRA_CA_CERTS')" GATES-AUTHORITY
like "docker exec -it has a terminal" "$(python3 - "$COVE" <<'X'
import os, pty, select, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], ["cove", "docker", "dk", "--", "exec", "-it",
                           "keeper", "sh"])
out = b""
def until(what):
    global out
    while what not in out and select.select([fd], [], [], 120)[0]:
        try:
            out += os.read(fd, 4096)
        except OSError:
            return
until(b"# ")
os.write(fd, b"tty; echo x$((6*7)); exit 3\n")
until(b"never")
print(out.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
X
)" '/dev/pts/[0-9]+.*'
is "an exec over the host's socket, half closed" \
	"$(echo 'over the wall' | client exec keeper cat)" "over the wall"
head -c 3000000 /dev/urandom >"$T/bytes"
ok "three megabytes both ways arrive intact" sh -c \
	"'$TOP/tests/e2e/docker.py' '$sock' exec keeper cat <'$T/bytes' |
		cmp - '$T/bytes'"
like "docker-env names the socket" \
	"$(eval "$(C docker-env dk)"; echo "$DOCKER_HOST")" "^unix://$sock\$"
if command -v docker >/dev/null; then
	like "this host's own CLI works" "$(C docker --host dk -- ps)" keeper
	export DOCKER_CONFIG=$T/docker
	h() { timeout 600 docker --context dk "$@" </dev/null 2>&1; }
	ok "a context of it" \
		docker context create dk --docker "host=unix://$sock"
	is "runs a container with this directory in it" \
		"$(h run --rm -v "$W/app:/app:ro" box tail -n 1 /app/Dockerfile)" \
		"$(tail -n 1 "$W/app/Dockerfile")"
	ok "builds an image" env DOCKER_BUILDKIT=0 timeout 600 \
		docker --context dk build -q -t host "$W/box"
	is "which is the sandbox's" "$(d run --rm host echo built)" built
	is "works in a container" "$(h exec keeper head -n 1 /keep/log)" start
	like "on a terminal, too" "$(python3 -c 'import pty, sys
pty.spawn(sys.argv[1:])' docker --context dk exec -it keeper tty </dev/null)" \
		'/dev/pts/[0-9]'
	# The guest's plugin runs here as well; this host may have none.
	mkdir -p "$DOCKER_CONFIG/cli-plugins"
	C cp dk:/usr/libexec/docker/cli-plugins/docker-compose \
		"$DOCKER_CONFIG/cli-plugins" >/dev/null
	ok "compose from this host" h compose --project-directory shop up -d
	is "its services work together" "$(sh_ 'curl -sS --retry 200 \
		--retry-delay 1 --retry-all-errors -f \
		http://127.0.0.1:8081/got 2>/dev/null')" from-the-back
	ok "and are ended" h compose --project-directory shop down -t 1
	# Where there is one.
	if docker --context default info >/dev/null 2>&1; then
		is "and this host's own daemon sees nothing of it" "$(docker \
			--context default ps -aq --filter name=keeper)" ""
	fi
else
	skip "this host's own CLI works" "no docker CLI here"
fi

# Stop and start.
id=$(d images -q app)
ok "an orderly stop" C stop -t 60s dk
like "a stopped sandbox says how to start it" \
	"$(client get /_ping)" '^503 .*cove start dk'
ok "a start" C start dk
ok "a container with a restart policy comes back by itself" wait_for 300 \
	sh -c "'$COVE' exec dk pidof dockerd"
is "its volume saw TERM and two starts" "$(wait_for 300 sh -c \
	"'$COVE' docker dk -- exec keeper sh -c \
	'[ \$(grep -c start /keep/log) = 2 ]'"
	d exec keeper cat /keep/log | tr '\n' ' ')" "start term start "
is "images are kept" "$(d images -q app)" "$id"
like "stopped containers too" "$(d ps -a --format '{{.Names}}')" web
like "dockerd had ended in order" \
	"$(sh_ 'sudo cat /var/log/dockerd.log')" 'shutdown complete|Processing signal'
d rm -f keeper web >/dev/null
C stop dk >/dev/null && C start dk >/dev/null
is "without such containers nothing is started" "$(daemons)" ""

# What cannot start says why.
sh_ 'sudo mkdir -p /etc/docker; echo "{\"nonsense\":1}" |
	sudo tee /etc/docker/daemon.json' >/dev/null
like "a daemon.json that dockerd refuses is told" "$(d ps)" 'nonsense'
sh_ 'echo "{\"labels\":[\"mine=1\"],\"storage-driver\":\"overlay2\"}" |
	sudo tee /etc/docker/daemon.json' >/dev/null
like "one that it takes is used" "$(d info -f '{{.Labels}}')" 'mine=1'
sh_ 'sudo kill -9 $(pidof dockerd)'
like "after a kill the next use starts it again" "$(d ps)" 'CONTAINER'

C rm -f dk >/dev/null
is "nothing of it is left on the host" "$(ls -A "$COVE_HOME/run/docker" \
	2>/dev/null)" ""
plan_done
