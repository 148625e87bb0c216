#!/usr/bin/env bash
# Wrong input of every kind is refused with words, and nothing breaks.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1
status "an unknown flag is a usage error" 2 "$COVE" create --frobnicate
status "an unknown command is a usage error" 2 "$COVE" frobnicate
status "a missing argument is a usage error" 2 "$COVE" exec
like "the message names the next step" "$("$COVE" frobnicate 2>&1)" 'cove help'
for n in A a -a a- 'a b' a/b ../x "$(printf 'a%.0s' $(seq 64))" '' 'x\n' é; do
	"$COVE" create --name "$n" >"$T/out" 2>&1
	rc=$?
	[ $rc -eq 1 ] || [ $rc -eq 2 ]
	result $? "the name '$n' is refused" "exit $rc: $(cat "$T/out")"
done
status "a path that is not there" 1 "$COVE" create --name xx /no/such/dir
status "a template that is not there" 1 "$COVE" create --name xx nosuch "$W"
like "says how to get one" "$("$COVE" create --name xx nosuch "$W" 2>&1)" 'cove|template'
status "exec in nothing" 1 "$COVE" exec nosuch true
status "rm of nothing" 1 "$COVE" rm nosuch
status "a relative guest path" 1 "$COVE" create --name xx --mount "$W:relative"
status "the same guest path twice" 1 "$COVE" create --name xx --mount "$W:/a" --mount "$W:/a"
status "a guest path over /proc" 1 "$COVE" create --name xx --mount "$W:/proc"
status "the root of the host as a workspace path in the guest" 1 "$COVE" create --name xx --mount "$W:/"
is "nothing is left behind" "$("$COVE" ls -q)" ""

# API clients that misbehave.
python3 - "$COVE_HOME/run/coved.sock" <<'PY' >"$T/api" 2>&1
import os, random, socket, sys, time
path = sys.argv[1]
def conn():
    # Connect first: with a timeout set, a full backlog is an error, not a wait.
    s = socket.socket(socket.AF_UNIX); s.connect(path); s.settimeout(60); return s
def ask(raw):
    s = conn(); out = b""
    # An answer may come, and the end with it, before the whole question was read.
    try: s.sendall(raw)
    except ConnectionError: pass
    try:
        while True:
            d = s.recv(65536)
            if not d: break
            out += d
            if b"\r\n\r\n" in out and b"Connection: keep-alive" not in out and len(out) > 20: break
    except (ConnectionError, socket.timeout): pass
    return out
random.seed(1)
for i in range(300):
    s = conn()
    try: s.sendall(random.randbytes(random.randrange(1, 3000)))
    except ConnectionError: pass
    s.close()
for body in (b"{", b"[]", b'{"name":1}', b'{"nope":1}', b'{"name":"a","name":"b"}',
             b'{"memory":-1}', b'{"cpus":1e99}', b"\xff\xfe", b'{"name":"a\\u0000b"}', b"[" * 100000):
    out = ask(b"POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    assert out.startswith(b"HTTP/1.1 4"), (body[:30], out[:100])
for head in (b"GET /v1/version HTTP/1.1\r\nHost : x\r\n\r\n", b"GET /v1/version HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
             b"GET  /v1/version HTTP/1.1\r\n\r\n", b"GET /v1/version HTTP/3.0\r\n\r\n", b"G" * 100000):
    assert ask(head)[:10] in (b"HTTP/1.1 4", b"HTTP/1.1 5", b""), head[:40]
for p in (b"/v1/sandboxes/../../etc/passwd", b"/v1/sandboxes/%2e%2e%2f", b"/v2/x", b"/v1/sandboxes/a'b"):
    assert ask(b"GET " + p + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 4"), p
# Half requests and ten thousand connections, many of them open at once.
half = []
for i in range(10000):
    try:
        s = conn(); s.send(b"POST /v1/sandboxes HTT"); half.append(s)
    except OSError: pass
    if len(half) > 900: half.pop(0).close()
for s in half: s.close()
assert ask(b"GET /v1/version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")
print("survived")
PY
is "garbage, half requests, 10,000 connections" "$(tail -1 "$T/api")" survived
ok "the daemon still answers" "$COVE" ls
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$T" "$COVE_HOME" "$COVE_HOME/run"; chmod 777 "$COVE_HOME/run/coved.sock"
	out=$(setpriv --reuid 65534 --clear-groups python3 -c "
import socket
s = socket.socket(socket.AF_UNIX); s.connect('$COVE_HOME/run/coved.sock')
s.sendall(b'GET /v1/sandboxes HTTP/1.1\r\nHost: x\r\n\r\n'); print(s.recv(100))" 2>&1)
	case $out in *"200 OK"*) result 1 "another uid is refused" "$out" ;;
	*) result 0 "another uid is refused" ;; esac
else
	skip "another uid is refused" "needs root to become another user"
fi

# A second daemon on the same state.
out=$("$COVE_LIBEXEC/coved" --foreground 2>&1)
rc=$?
[ $rc -ne 0 ] && printf '%s' "$out" | grep -q .
result $? "a second daemon refuses" "exit $rc: $out"

# A corrupt store is refused and not overwritten.
"$COVE" daemon stop >/dev/null
db=$COVE_HOME/state/cove.db
rm -f "$db-wal" "$db-shm"
head -c 100000 /dev/urandom >"$db"
sum=$(sha256sum <"$db")
out=$("$COVE" ls 2>&1)
rc=$?
[ $rc -ne 0 ] && printf '%s' "$out" | grep -q cove.db
result $? "a corrupt store is refused by name" "exit $rc: $out"
is "and not overwritten" "$(sha256sum <"$db")" "$sum"
rm -f "$db"

# A corrupt template is noticed before it boots.
rm "$COVE_HOME/cache" && mkdir "$COVE_HOME/cache" && cp -r "$CACHE/kernels" "$COVE_HOME/cache/" 2>/dev/null
mkdir -p "$COVE_HOME/cache/templates"
cp -r "$CACHE/templates/names" "$COVE_HOME/cache/templates/"
d=$(basename "$(readlink "$CACHE/templates/names/shell")")
mkdir "$COVE_HOME/cache/templates/$d"
cp "$CACHE/templates/$d/meta.json" "$COVE_HOME/cache/templates/$d/"
head -c 1000000 "$CACHE/templates/$d/root.erofs" >"$COVE_HOME/cache/templates/$d/root.erofs"
out=$("$COVE" create --name xx "$W" 2>&1)
rc=$?
[ $rc -ne 0 ] && printf '%s' "$out" | grep -qi 'template'
result $? "a truncated template is refused" "exit $rc: $out"
is "and it leaves no sandbox" "$("$COVE" ls -q)" ""
rm -rf "$COVE_HOME/cache" && ln -s "$CACHE" "$COVE_HOME/cache"

# The host's disk is full: a clear error, the store intact. A small tmpfs
# stands for the disk, which needs a mount namespace.
ns=(unshare -m)
"${ns[@]}" true 2>/dev/null || ns=(unshare -rm) # an ordinary user's own
if "${ns[@]}" true 2>/dev/null; then
	"$COVE" daemon stop >/dev/null
	cat >"$T/full.sh" <<-EOF
	mkdir -p "$T/small" && mount -t tmpfs -o size=24M none "$T/small" || exit 9
	export COVE_HOME=$T/small
	ln -s "$CACHE" "$T/small/cache"
	"$COVE" create --name first --memory 256M --disk 1G --docker-disk 1G "$W" >"$T/full.1" 2>&1
	echo first \$? >"$T/full.rc"
	head -c 100M /dev/zero >"$T/small/filler" 2>/dev/null
	"$COVE" create --name second --memory 256M --disk 1G --docker-disk 1G "$W" >"$T/full.2" 2>&1
	echo second \$? >>"$T/full.rc"
	rm -f "$T/small/filler"
	"$COVE" ls -q >"$T/full.ls" 2>&1
	"$COVE" rm -f --all >/dev/null 2>&1
	"$COVE" daemon stop >/dev/null 2>&1
	EOF
	"${ns[@]}" bash "$T/full.sh"
	is "a full disk: the second create fails" \
		"$(awk '/second/ {print ($2 != 0)}' "$T/full.rc")" 1
	like "and says why" "$(cat "$T/full.2")" '[Nn]o space|[Dd]isk.*full|full'
	is "and the store is intact" "$(cat "$T/full.ls")" \
		"$(grep -q 'first 0' "$T/full.rc" && echo first)"
else
	skip "a full disk" "needs a mount namespace"
fi
plan_done
