#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A guest's ordinary clients against real servers: nginx, OpenSSH, PostgreSQL,
# git, docker-registry, iperf3, WebSocket, events. No proxy variable anywhere.
# The servers have names and public addresses in a network namespace that holds
# nothing else; coved and its gate run in it too.
# timeout: 3600
here=$(cd "$(dirname "$0")" && pwd)
if [ "${COVE_SERVERS_INSIDE:-}" != 1 ]; then
	. "$here/lib.sh"
	. "$here/debs.sh"
	trap - EXIT
	rm -rf "$T"
	# Before the network is gone; what is missing then is skipped.
	debs_host "$DEBS/host" nginx-light openssh-server postgresql-15 \
		docker-registry iperf3 >&2
	debs_guest "$DEBS/guest" postgresql-client-15 libpq5 \
		libldap-2.5-0 wget iperf3 libiperf0 libsctp1 \
		python3-{requests,urllib3,idna,certifi,chardet,six} >&2
	map=
	[ "$(id -u)" = 0 ] || map=-r
	export COVE_SERVERS_INSIDE=1 DEBS
	# shellcheck disable=SC2086
	exec unshare $map -m -n "$here/gate_servers.sh"
fi
. "$here/lib.sh"
pids=
trap 'kill $pids; wait; cleanup' EXIT
C() { timeout 300 "$COVE" "$@" </dev/null 2>&1; }
X() { C exec -e "LD_LIBRARY_PATH=$W/bin/usr/lib/x86_64-linux-gnu" box "$@"; }

# ---- the net: one name, one address, one server ----

ip link set lo up
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
cp /etc/hosts "$T/hosts"
n=10
for name in web git db api tun registry speed; do
	ip addr add "93.184.216.$n/32" dev lo
	echo "93.184.216.$n $name.test" >>"$T/hosts"
	n=$((n + 1))
done
mount --bind "$T/hosts" /etc/hosts
mkdir "$T/git" "$T/www" "$T/keys" "$T/pg"
# sshd and postgres want to be somebody else than root; this one is we. In a
# subshell or the background: what is killed there is the program itself.
{ echo "git:x:1000:1000::$T/git:/bin/sh" && cat /etc/passwd; } >"$T/passwd"
mount --bind "$T/passwd" /etc/passwd
as_user() { exec unshare -U --map-user=1000 --map-group=1000 "$@"; }
chmod 755 "$T"

cd "$T/keys" || exit 1
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-days 9 -subj /CN=world -keyout ca.key -out ca.crt \
		-addext keyUsage=critical,keyCertSign
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj /CN=x -keyout srv.key -out srv.csr
	# Python from 3.13 on is strict about what a certificate says.
	cat >ext <<-E
	subjectAltName=DNS:web.test,DNS:api.test,DNS:tun.test,DNS:registry.test
	authorityKeyIdentifier=keyid
	extendedKeyUsage=serverAuth
	E
	openssl x509 -req -in srv.csr -CA ca.crt -CAkey ca.key \
		-CAcreateserial -days 9 -extfile ext -out srv.crt
	ssh-keygen -q -t ed25519 -N "" -f host
	ssh-keygen -q -t ed25519 -N "" -f user
	ssh-keygen -q -t ed25519 -N "" -C of-the-agent -f agent
} >/dev/null 2>&1
chmod 600 srv.key
mkdir -p "$COVE_HOME/config"
cp ca.crt "$COVE_HOME/config/extra-ca.pem"
echo "git.test $(cat host.pub)" >"$W/known_hosts"
cp ca.crt user "$here/gate_client.py" "$W"
mkdir "$W/bin"
cd "$W" || exit 1

nginx_start() {
	head -c 20000000 /dev/urandom >"$T/www/big"
	echo hello-from-nginx >"$T/www/index.html"
	cat >"$T/nginx.conf" <<-E
	daemon off; master_process off; user root; pid $T/nginx.pid;
	error_log $T/nginx.log; events { }
	http {
		access_log $T/access.log; root $T/www;
		client_body_temp_path $T/ngx; proxy_temp_path $T/ngx;
		fastcgi_temp_path $T/ngx; uwsgi_temp_path $T/ngx;
		scgi_temp_path $T/ngx;
		ssl_certificate $T/keys/srv.crt;
		ssl_certificate_key $T/keys/srv.key;
		server { listen 93.184.216.10:80; }
		server { listen 93.184.216.10:443 ssl http2; }
	}
	E
	nginx -c "$T/nginx.conf" -e "$T/nginx.log" &
	pids+=" $!"
}

sshd_start() {
	cat "$T/keys/user.pub" "$T/keys/agent.pub" >"$T/keys/authorized"
	cat >"$T/sshd.conf" <<-E
	ListenAddress 93.184.216.11
	HostKey $T/keys/host
	AuthorizedKeysFile $T/keys/authorized
	PidFile none
	StrictModes no
	UsePAM no
	Subsystem sftp internal-sftp
	E
	as_user "$(command -v sshd)" -D -f "$T/sshd.conf" -E "$T/sshd.log" &
	pids+=" $!"
}

postgres_start() {
	local bin
	bin=$(ls -d {"$DEBS/host",}/usr/lib/postgresql/*/bin 2>/dev/null |
		head -1)
	echo pass-of-the-test >"$T/keys/pw"
	(as_user "$bin/initdb" -N -U pg -A scram-sha-256 \
		--pwfile="$T/keys/pw" -D "$T/pg") >/dev/null || return
	echo "host all all all scram-sha-256" >>"$T/pg/pg_hba.conf"
	as_user "$bin/postgres" -D "$T/pg" -k "$T/pg" \
		-c listen_addresses=93.184.216.12 -c ssl=on -c fsync=off \
		-c "ssl_cert_file=$T/keys/srv.crt" \
		-c "ssl_key_file=$T/keys/srv.key" >"$T/pg.log" 2>&1 &
	pids+=" $!"
}

registry_start() {
	cat >"$T/registry.yml" <<-E
	version: 0.1
	log: {level: error}
	storage: {filesystem: {rootdirectory: $T/registry}}
	http:
	  addr: 93.184.216.15:443
	  tls: {certificate: $T/keys/srv.crt, key: $T/keys/srv.key}
	E
	docker-registry serve "$T/registry.yml" >"$T/registry.log" 2>&1 &
	pids+=" $!"
}

git_make() {
	git init -q --bare -b main "$T/git/repo.git"
	git -C "$T/git/repo.git" config http.receivepack true
	git clone -q "$T/git/repo.git" "$T/seed" 2>/dev/null
	(cd "$T/seed" && seq 20000 >numbers && git add numbers &&
		git -c user.name=t -c user.email=t@t commit -qm one &&
		git push -q origin HEAD:main)
}

have() { # test-name program
	command -v "$2" >/dev/null && return
	skip "$1" "$2 is not here and could not be had by apt"
	return 1
}
up() { # address port
	wait_for 120 bash -c "</dev/tcp/93.184.216.$1/$2"
}

touch "$T/seen"
git_make
for a in 13 14; do
	python3 "$here/gate_servers.py" 93.184.216.$a "$T/keys/srv.crt" \
		"$T/keys/srv.key" "$T/git" "$T/seen" &
	pids+=" $!"
done
command -v nginx >/dev/null && nginx_start
command -v sshd >/dev/null && sshd_start
postgres_start
command -v docker-registry >/dev/null && registry_start
command -v iperf3 >/dev/null &&
	{ iperf3 -s -B 93.184.216.16 >"$T/iperf.log" 2>&1 & pids+=" $!"; }

C policy init balanced >/dev/null
C policy allow web.test,git.test,db.test,api.test,tun.test >/dev/null
C policy allow registry.test,speed.test:5201 >/dev/null
real="sk-real-$RANDOM$RANDOM$RANDOM"
printf %s "$real" | "$COVE" secret set-custom --host api.test --env API_KEY \
	>/dev/null 2>&1
like "--ssh-agent without an agent" "$(env -u SSH_AUTH_SOCK "$COVE" create \
	--name box --ssh-agent shell 2>&1)" "SSH_AUTH_SOCK is not set"
like "nor with what is none" "$(SSH_AUTH_SOCK=/etc/passwd C create --name box \
	--ssh-agent shell)" "is no socket"
eval "$(ssh-agent -a "$T/agent.sock")" >/dev/null
pids+=" $SSH_AGENT_PID"
ssh-add -q "$T/keys/agent"
java=$(readlink -f "$(command -v java)")
jvm=()
for dir in "${java%/bin/java}" /etc/java-17-openjdk; do
	[ -n "$java" ] && [ -d "$dir" ] && jvm+=(--mount "$dir:$dir:ro")
done
ok "a sandbox is made" C create --name box --memory 1200M --ssh-agent \
	--mount "$DEBS/guest:$W/bin:ro" "${jvm[@]}" shell "$W"
[ "$n_fail" = 0 ] || plan_done
is "it has no proxy variable" "$(X env | grep -i proxy)" ""

# ---- nginx: plain, HTTP/2, TLS that nobody opens ----

if have "nginx" nginx; then
	up 10 443
	is "curl" "$(X curl -sS http://web.test/)" hello-from-nginx
	is "curl, HTTP/2 over TLS that is the server's own" "$(X curl -sS \
		--cacert ca.crt -w '%{http_version} %{ssl_verify_result}' \
		https://web.test/)" "hello-from-nginx
2 0"
	is "HTTP/1.1 over TLS" "$(X curl -sS --http1.1 --cacert ca.crt \
		-w '%{http_version}' https://web.test/)" "hello-from-nginx
1.1"
	like "which the system does not trust" "$(X curl -sS https://web.test/)" \
		"certificate problem"
	want=$(sha256sum <"$T/www/big")
	is "20 MB intact, plain" "$(X sh -c \
		'curl -sS http://web.test/big | sha256sum')" "$want"
	is "and by HTTP/2" "$(X sh -c 'curl -sS --cacert ca.crt \
		https://web.test/big | sha256sum')" "$want"
	is "wget" "$(X bin/usr/bin/wget -qO- http://web.test/)" hello-from-nginx
	is "wget over TLS" "$(X bin/usr/bin/wget -qO- \
		--ca-certificate=ca.crt https://web.test/)" hello-from-nginx
	is "node" "$(X env NODE_EXTRA_CA_CERTS=ca.crt node -e "
		fetch('https://web.test/').then(r => r.text())
		.then(t => process.stdout.write(t))")" hello-from-nginx
fi

# ---- OpenSSH: the server speaks first ----

ssh_options="-i user -o UserKnownHostsFile=known_hosts -o BatchMode=yes"
if have "OpenSSH" sshd; then
	up 11 22
	chmod 600 user
	is "ssh" "$(X sh -c "ssh $ssh_options git@git.test echo hi")" hi
	is "its exit status" "$(X sh -c \
		"ssh $ssh_options git@git.test exit 7; echo \$?")" 7
	is "5 MB each way, intact" "$(X sh -c "head -c 5000000 /dev/urandom >r
		ssh $ssh_options git@git.test cat <r | cmp - r && echo same")" \
		same
	is "scp" "$(X sh -c "scp -q $ssh_options git@git.test:seen-not \
		/tmp 2>&1 | grep -c 'No such file'")" 1
	is "git clone by ssh" "$(X sh -ec "rm -rf /tmp/c
		export GIT_SSH_COMMAND='ssh $ssh_options -F none'
		git clone -q git@git.test:repo.git /tmp/c
		tail -1 /tmp/c/numbers")" 20000
	is "git push by ssh" "$(X sh -ec "cd /tmp/c
		export GIT_SSH_COMMAND='ssh -i $W/user -o \
		UserKnownHostsFile=$W/known_hosts'
		git -c user.name=g -c user.email=g@g commit -q --allow-empty \
			-m from-the-guest
		git push -q origin HEAD:main && echo pushed")" pushed
	is "it arrived" "$(git -C "$T/git/repo.git" log -1 --format=%s main)" \
		from-the-guest
fi

# ---- the person's SSH agent ----

finger=$(ssh-keygen -lf "$T/keys/agent.pub" | cut -d' ' -f2)
finger=${finger//+/[+]} # it becomes part of patterns
is "SSH_AUTH_SOCK is set" "$(X printenv SSH_AUTH_SOCK)" /run/ssh-agent.sock
is "its socket is the user's" "$(X stat -c '%U %a' /run/ssh-agent.sock)" \
	"agent 600"
like "its keys are listed" "$(X ssh-add -l)" "$finger of-the-agent"
if have "ssh with the agent's key" sshd; then
	is "ssh with a key that the guest has not" "$(X ssh -F none \
		-o UserKnownHostsFile=known_hosts -o BatchMode=yes \
		git@git.test echo hi)" hi
fi
X sh -c 'echo text >/tmp/signed; rm -f /tmp/signed.sig
	ssh-add -L >/tmp/agent.pub
	ssh-keygen -q -Y sign -f /tmp/agent.pub -n file /tmp/signed' >/dev/null
C cp box:/tmp/signed.sig "$T/signed.sig" >/dev/null
like "what it signed is right" "$(echo text | ssh-keygen -Y check-novalidate \
	-n file -s "$T/signed.sig" 2>&1)" "Good \"file\" signature.*$finger"
X sh -c 'cp user /tmp/user; chmod 600 /tmp/user' >/dev/null
for what in "/tmp/user" "-D" "-d /tmp/agent.pub"; do
	# shellcheck disable=SC2086
	status "ssh-add $what is refused" 1 C exec box ssh-add $what
done
is "the agent has what it had" "$(ssh-add -l | wc -l)" 1
is "garbage ends that connection only" "$(X python3 -c "
import socket, struct, time
for junk in (b'\\xff' * 8, b'\\0\\0\\0\\0', b'\\0\\4\\0\\1\\x0b'):
    s = socket.socket(socket.AF_UNIX)
    s.connect('/run/ssh-agent.sock')
    s.sendall(junk)
    assert s.recv(9) == b'', junk
# 40 that say nothing, of which some are turned away, and one byte at a time.
idle = []
for i in range(40):
    s = socket.socket(socket.AF_UNIX)
    s.connect('/run/ssh-agent.sock')
    idle.append(s)
for s in idle:
    s.close()
def ask(body):
    for b in struct.pack('>I', len(body)) + body:
        s.sendall(bytes((b,)))
    n = struct.unpack('>I', s.recv(4, socket.MSG_WAITALL))[0]
    return s.recv(n, socket.MSG_WAITALL)
# Turned away as well until the host has heard that those are closed.
end = time.monotonic() + 120
while True:
    s = socket.socket(socket.AF_UNIX)
    s.connect('/run/ssh-agent.sock')
    try:
        assert ask(b'\\x0b')[0] == 12
        break
    except (OSError, struct.error):
        assert time.monotonic() < end
        time.sleep(0.2)
for kind in set(range(256)) - {11}:
    assert ask(bytes((kind,)) + b'x') == b'\\5', kind
assert ask(b'\\x0b')[0] == 12
print('ok')")" ok
# The gate writes it, and does not hold up who waits for the answer.
logged() {
	log=$(C policy log box)
	grep -Eq "deny +request 19" <<<"$log"
}
wait_for 60 logged
like "the log has the signature" "$log" "allow +$finger"
like "and what was refused" "$log" "deny +request 19"
first=$SSH_AUTH_SOCK
eval "$(ssh-agent -a "$T/second.sock")" >/dev/null
pids+=" $SSH_AGENT_PID"
is "another agent, which has no key" \
	"$(C run --name box --ssh-agent -- ssh-add -l)" \
	"The agent has no identities."
SSH_AUTH_SOCK=$first C run --name box --ssh-agent -- true >/dev/null
C daemon restart >/dev/null 2>&1
like "it goes on with the next coved" "$(X ssh-add -l)" "$finger"

# ---- git over HTTPS, tunnelled and opened ----

for a in 13 14; do
	up $a 80
	up $a 443
done

is "git clone by https, tunnelled" "$(X sh -ec 'rm -rf /tmp/h
	git -c http.sslCAInfo=ca.crt clone -q https://tun.test/git/repo.git \
		/tmp/h && tail -1 /tmp/h/numbers')" 20000
is "by https, opened" "$(X sh -ec 'rm -rf /tmp/o
	git clone -q https://api.test/git/repo.git /tmp/o
	tail -1 /tmp/o/numbers')" 20000
is "and a push, opened" "$(X sh -ec 'cd /tmp/o; seq 90000 >more; git add more
	git -c user.name=g -c user.email=g@g commit -q -m opened
	git push -q origin HEAD:main && echo pushed')" pushed
is "as it was" "$(git -C "$T/git/repo.git" show main:more | sha256sum)" \
	"$(seq 90000 | sha256sum)"

# ---- WebSocket, events, bodies, the secret ----

for url in http://tun.test "https://tun.test ca.crt" https://api.test; do
	# shellcheck disable=SC2086
	is "WebSocket, $url" "$(X python3 gate_client.py ws $url)" "4 messages"
	# shellcheck disable=SC2086
	is "events unbuffered, $url" \
		"$(X python3 gate_client.py events $url)" "5 events"
done
X sh -c 'head -c 10000000 /dev/urandom >r' >/dev/null
is "10 MB up, counted, opened" "$(X curl -sS --data-binary @r \
	https://api.test/up)" "$(sha256sum <r | cut -d' ' -f1)"
is "and chunked" "$(X curl -sS -H 'Transfer-Encoding: chunked' \
	--data-binary @r https://api.test/up)" "$(sha256sum <r | cut -d' ' -f1)"
# shellcheck disable=SC2016
X sh -c 'curl -sS -H "X-Key: $API_KEY" https://api.test/a
	curl -sS --cacert ca.crt -H "X-Key: $API_KEY" https://tun.test/b' \
	>/dev/null
like "the secret reaches its host" "$(grep '^/a ' "$T/seen")" "$real"
like "and no other" "$(grep '^/b ' "$T/seen")" "cove-secret-api-key"

# ---- the secret is nowhere in the guest ----

# While a request with it is under way, and after those of many clients.
pid=$(field box 'o["pids_host"]["engine"]')
memory() { python3 "$here/gate_memory.py" "$pid" "$1" 2>>"$T/looked"; }
mkfifo "$T/fifo"
timeout 300 "$COVE" exec box curl -sSN -H "X-Key: cove-secret-api-key" \
	https://api.test/events </dev/null >"$T/fifo" 2>/dev/null &
holder=$!
read -r first <"$T/fifo"
is "a request is under way" "$first" "data: 0"
is "its secret is not in the guest's memory" "$(memory "$real")" nowhere
kill "$holder" 2>/dev/null
wait "$holder" 2>/dev/null
: >"$T/seen"
X python3 -c "
import os, urllib.request as u
r = u.Request('https://api.test/python', headers={'X-Key': os.environ['API_KEY']})
print(u.urlopen(r).read())" >/dev/null
X env "PYTHONPATH=$W/bin/usr/lib/python3/dist-packages" python3 -c "
import os, requests
print(requests.get('https://api.test/requests', headers={
	'X-Key': os.environ['API_KEY']}).text)" >"$T/requests"
X node -e "fetch('https://api.test/node', {headers: {
	'X-Key': process.env.API_KEY}}).then(r => r.text())" >/dev/null
X git -c "http.extraHeader=X-Key: cove-secret-api-key" ls-remote \
	https://api.test/git/repo.git >/dev/null
C exec -u root box sh -ec 'unshare -n true
	ip netns add deep; ip link add h0 type veth peer name g0
	ip link set g0 netns deep
	ip addr add 172.19.0.1/16 dev h0; ip link set h0 up
	n="ip netns exec deep"
	$n ip link set lo up; $n ip addr add 172.19.0.2/16 dev g0
	$n ip link set g0 up; $n ip route add default via 172.19.0.1
	sysctl -qw net.ipv4.ip_forward=1
	$n curl -sS -4 -H "X-Key: cove-secret-api-key" https://api.test/nested' \
	>"$T/nested"
X python3 -c "
import os, urllib.request as u, resource, http.client
resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))
os.chdir('/tmp')
r = u.Request('https://api.test/core', headers={'X-Key': os.environ['API_KEY']})
u.urlopen(r).read()
os.abort()" >/dev/null
for path in /python /requests /node /git/repo.git /nested /core; do
	like "it went out from $path" "$(grep "^$path" "$T/seen" | head -1)" \
		" $real "
done
is "no request brought the placeholder" \
	"$(grep -c cove-secret "$T/seen")" 0
like "the search finds what is there" "$(memory cove-secret-api-key)" plain
is "it is not in the guest's memory" "$(memory "$real")" nowhere
echo "# $(tr '\n' ' ' <"$T/looked")of memory looked through"
C exec -u root box sh -c 'ls -la /tmp/core* | head -1; sync' >"$T/core"
like "there is a core file" "$(cat "$T/core")" core
is "nor on a disk, in a log or a file of the host" "$(grep -rl "$real" \
	"$COVE_HOME" --exclude-dir=cache)" ""
is "the search finds what is there" "$(grep -rlq cove-secret-api-key \
	"$COVE_HOME" --exclude-dir=cache --include='disk.img' && echo yes)" yes
is "nor in the environment of a process" "$(C exec -u root box sh -c \
	"cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\n' |
		grep -c '${real:0:9}[${real:9:1}]${real:10}'")" 0

# ---- PostgreSQL ----

psql="bin/usr/lib/postgresql/15/bin/psql -h db.test -U pg -d postgres -At"
pg() { X env PGPASSWORD=pass-of-the-test "PGSSLMODE=$1" sh -c "$2"; }
if up 12 5432; then
	is "psql, plain" "$(pg disable "$psql -c 'select 6*7'")" 42
	is "psql, TLS within its protocol" "$(pg require "$psql -c \
		'select ssl from pg_stat_ssl where pid=pg_backend_pid()'")" t
	is "100,000 rows by COPY" "$(pg prefer "$psql -c 'copy (select \
		generate_series(1,100000)) to stdout' | tail -1")" 100000
else
	skip "PostgreSQL" "it is not here and could not be had by apt"
fi

# ---- Docker's registry, by the guest's own Docker ----

if have "docker-registry" docker-registry; then
	up 15 443
	X sudo sh -c 'mkdir -p /etc/docker/certs.d/registry.test &&
		cp ca.crt /etc/docker/certs.d/registry.test/' >/dev/null
	like "docker push and pull" "$(X sh -ec '
		tar -c -C bin usr/bin/wget | docker import - registry.test/w:1
		docker push -q registry.test/w:1
		docker rmi registry.test/w:1 >/dev/null
		docker pull -q registry.test/w:1')" 'registry.test/w:1$'
fi

# ---- iperf3 ----

if have "iperf3" iperf3; then
	for way in "up" "down -R"; do
		# shellcheck disable=SC2086
		set -- $way
		out=$(X bin/usr/bin/iperf3 -c speed.test -n 30M -J ${2:-})
		# What is still in buffers when the sender says that it is done
		# does not count as received: two connections of TCP, with up
		# to 10 MB each.
		rate=$(python3 -c 'import json,sys
e = json.load(sys.stdin)["end"]
assert e["sum_sent"]["bytes"] > 30e6
assert e["sum_received"]["bytes"] > 5e6
print(round(e["sum_received"]["bits_per_second"] / 1e6))' <<<"$out" 2>&1)
		like "iperf3, 30 MB $1" "$rate" '^[0-9]+$'
		echo "# $rate Mbit/s"
	done
fi

# ---- Java's own store ----

# keytool opens any URL; the request shows that it trusted what it saw.
java_get() {
	X "${java%java}keytool" -J-Xmx64m -printcrl -file "$1" >/dev/null
	grep -c "^${1##*test}" "$T/seen"
}
store=/etc/ssl/certs/java/cacerts
if [ -n "$java" ] && [ -f $store ]; then
	cp $store "$W/cacerts"
	X sudo install -D -m 644 cacerts $store >/dev/null
	is "without our authority in its store" \
		"$(java_get https://api.test/java-0)" 0
	C stop box >/dev/null
	is "Java trusts it after a start" \
		"$(java_get https://api.test/java-1)" 1
	like "the store is whole" "$(X "${java%java}keytool" -J-Xmx64m -list \
		-keystore $store -storepass changeit)" "cove, .*trustedCert"
else
	skip "Java" "no Debian Java on this machine"
fi

# ---- what is not allowed stays so ----

C policy deny git.test >/dev/null
like "a rule ends it at once" "$(X sh -c \
	"ssh $ssh_options git@git.test echo hi")" "not resolve|not known|closed"
plan_done
