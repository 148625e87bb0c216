#!/usr/bin/env bash
# timeout: 1800
# The shared directory: same path, both directions, owners, read-only, links.
. "$(dirname "$0")/lib.sh"
cd "$W" || exit 1
mkdir -p "$T/ro" "$T/ws2" "$T/secret"
echo secret >"$T/secret/key"
echo ro >"$T/ro/file"
echo one >"$T/single"
echo other >"$T/beside"
ln -s "$T/secret/key" "$W/link-abs"
ln -s ../secret/key "$W/link-rel"
ln -s "$T/secret" "$W/link-dir"
ok "create with several mounts" "$COVE" create --name ws "$W" "$T/ro:ro" \
	"$T/single:ro" --mount "$T/ws2:/srv/elsewhere"
g() { "$COVE" exec ws "$@"; }
root() { "$COVE" exec -u root ws "$@"; }

echo from-host >"$W/a"
is "a host file at the same path" "$(g cat "$W/a")" from-host
echo changed >"$W/a"
is "a host edit is seen at once" "$(g cat "$W/a")" changed
for i in 1 2 3 4 5 6 7 8; do
	echo "edit $i" >"$W/a"
	[ "$(g cat "$W/a")" = "edit $i" ] || break
done
is "eight edits in a row, each seen" "$(cat "$W/a")" "edit 8"
mv "$W/a" "$W/b"
status "a host rename: the old name is gone" 1 "$COVE" exec ws cat "$W/a"
is "a host rename: the new name is there" "$(g cat "$W/b")" "edit 8"
rm "$W/b"
status "a host removal" 1 "$COVE" exec ws cat "$W/b"
mkdir "$W/d" && echo x >"$W/d/x"
g ls "$W/d" >/dev/null
rm -r "$W/d" && mkdir "$W/d" && echo y >"$W/d/y"
is "a directory replaced on the host" "$(g ls "$W/d")" y
# The child that takes caches back was once born before the switch of roots.
is "every process of the guest has the sandbox's root" "$(root sh -c '
	for p in /proc/[0-9]*; do
		[ -z "$(tr -d "\0" 2>/dev/null <"$p/cmdline")" ] ||
			[ "$p/root/." -ef / ] || cat "$p/cmdline"
	done')" ""
g sh -c "echo from-guest >'$W/g'"
is "a guest file on the host" "$(cat "$W/g")" from-guest
is "its owner on the host is the caller" "$(stat -c %u:%g "$W/g")" "$(id -u):$(id -g)"
is "its owner in the guest is agent" "$(g stat -c %U:%G "$W/g")" agent:agent
root sh -c "echo by-root >'$W/r'"
is "a file made by root inside belongs to the caller" \
	"$(stat -c %u "$W/r")" "$(id -u)"
is "--mount maps elsewhere" "$(g sh -c 'echo m >/srv/elsewhere/m; cat /srv/elsewhere/m')" m
is "and the host sees it" "$(cat "$T/ws2/m")" m

is ":ro can be read" "$(g cat "$T/ro/file")" ro
status ":ro refuses a write" 2 "$COVE" exec -u root ws sh -c "echo x >'$T/ro/new'"
root sh -c "mount -o remount,rw '$T/ro'; mount -o remount,rw,bind '$T/ro'
	echo x >'$T/ro/new'; rm -f '$T/ro/file'; mkdir /mnt/p
	mount -t virtiofs cove /mnt/p; for d in /run/cove/share/* /mnt/p/*; do
		echo x >\"\$d/evil\"; echo x >>\"\$d/file\"; done" >/dev/null 2>&1
is "root's remount and a mount of its own change nothing" \
	"$(cat "$T/ro/file"; ls "$T/ro")" "ro
file"
root sh -c "mount -o remount,rw,bind '$T/single'; echo x >'$T/single'
	for f in /run/cove/share/*; do [ -f \$f ] && echo x >\$f; done" >/dev/null 2>&1
is "a single file :ro is not written" "$(cat "$T/single")" one
is "only that file is visible, not its neighbours" \
	"$(root find / -xdev -name beside 2>/dev/null; root sh -c "ls '$T'" | tr '\n' ' ')" \
	"ro single work "

for l in link-abs link-rel link-dir/key; do
	out=$(root cat "$W/$l" 2>/dev/null)
	[ "$out" != secret ]
	result $? "$l does not reach outside" "$out"
done
g ln -s "$T/secret/key" "$W/planted"
out=$(g cat "$W/planted" 2>/dev/null)
is "a link planted by the guest is the guest's own path" "$out" ""

# The host swaps a directory for a link to the outside, as fast as it can,
# while the guest walks through it.
mkdir "$W/race" "$W/race/real" && echo inside >"$W/race/real/key"
python3 - "$W/race" "$T/secret" <<'PY' &
import os, sys, time
d, out = sys.argv[1:]
os.symlink(out, d + "/evil")
end = time.monotonic() + 30
while time.monotonic() < end:
    os.rename(d + "/real", d + "/hold"); os.rename(d + "/evil", d + "/real")
    os.rename(d + "/real", d + "/evil"); os.rename(d + "/hold", d + "/real")
PY
racer=$!
leaks=$(g sh -c "end=\$((\$(date +%s) + 30)); n=0
	while [ \$(date +%s) -lt \$end ]; do
		for i in 1 2 3 4 5 6 7 8; do
			read -r x <'$W/race/real/key' 2>/dev/null && [ \"\$x\" = secret ] && n=\$((n+1))
		done
	done; echo \$n" 2>/dev/null)
wait "$racer"
is "30 s of racing swaps never reach outside" "$leaks" 0

cd "$W" || exit 1
g sh -c "cd '$W' && git init -q repo && cd repo && git config user.email a@b.c &&
	git config user.name a && for i in \$(seq 200); do echo \$i >f\$i; done &&
	git add . && git commit -qm one && git gc -q && cd .. &&
	git clone -q repo clone && cd clone && echo more >>f1 &&
	git -c user.email=a@b.c -c user.name=a commit -qam two && git push -q origin HEAD:two" >"$T/git" 2>&1
result $? "git init, commit, gc, clone, push inside" "$(cat "$T/git")"
if command -v git >/dev/null; then
	out=$(git -c safe.directory="*" -C "$W/repo" fsck 2>&1)
	result $? "git fsck on the host agrees" "$out"
	is "git status on the host is clean" \
		"$(git -c safe.directory="*" -C "$W/clone" status --porcelain)" ""
fi
cat >"$W/sql.py" <<'PY'
import multiprocessing, sqlite3, sys
path, mode = sys.argv[1:]
def work(n):
    c = sqlite3.connect(path, timeout=300)
    for i in range(50):
        with c:
            c.execute("insert into t values (?, ?)", (n, i))
    c.close()
if __name__ == "__main__":
    c = sqlite3.connect(path, timeout=300)
    c.execute(f"pragma journal_mode={mode}")
    c.execute("create table t (n int, i int)")
    c.commit()
    ps = [multiprocessing.Process(target=work, args=(n,)) for n in range(8)]
    [p.start() for p in ps]
    [p.join() for p in ps]
    print(c.execute("select count(*), sum(n*1000+i) from t").fetchone(),
          c.execute("pragma integrity_check").fetchone()[0])
PY
is "SQLite, 8 writers, rollback journal" \
	"$(g python3 "$W/sql.py" "$W/one.db" delete 2>&1)" "(400, 1409800) ok"
is "SQLite, 8 writers, WAL" \
	"$(g python3 "$W/sql.py" "$W/two.db" wal 2>&1)" "(400, 1409800) ok"
cat >"$W/many.py" <<'PY'
import mmap, os, sys, threading
d = sys.argv[1]
def writer(n):
    with open(f"{d}/par", "r+b") as f:
        for i in range(64):
            f.seek((i * 16 + n) * 4096)
            f.write(bytes([n]) * 4096)
open(f"{d}/par", "wb").truncate(64 * 16 * 4096)
ts = [threading.Thread(target=writer, args=(n,)) for n in range(16)]
[t.start() for t in ts]; [t.join() for t in ts]
b = open(f"{d}/par", "rb").read()
assert all(b[k * 4096:(k + 1) * 4096] == bytes([k % 16]) * 4096 for k in range(1024))
def appender(n):
    fd = os.open(f"{d}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for i in range(100):
        os.write(fd, b"%02d %03d\n" % (n, i))
    os.close(fd)
ps = []
for n in range(16):
    p = os.fork()
    if not p:
        appender(n); os._exit(0)
    ps.append(p)
[os.waitpid(p, 0) for p in ps]
lines = open(f"{d}/log").read().split("\n")[:-1]
assert len(lines) == 1600 and len(set(lines)) == 1600, len(lines)
with open(f"{d}/map", "w+b") as f:
    f.truncate(1 << 20)
    m = mmap.mmap(f.fileno(), 1 << 20)
    m[12345:12350] = b"hello"; m.flush()
    assert os.pread(f.fileno(), 5, 12345) == b"hello"
f = open(f"{d}/gone", "w+b"); f.write(b"still here"); f.flush(); os.unlink(f"{d}/gone")
f.seek(0); assert f.read() == b"still here"; f.close()
fd = os.open(f"{d}/sparse", os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"x", 1 << 30)
assert os.fstat(fd).st_blocks < 1000, os.fstat(fd).st_blocks
os.setxattr(f"{d}/sparse", "user.k", b"v")
assert os.getxattr(f"{d}/sparse", "user.k") == b"v"
os.link(f"{d}/sparse", f"{d}/hard"); assert os.stat(f"{d}/hard").st_nlink == 2
print("all right")
PY
is "16 writers, appends, mmap, unlinked, sparse, xattr, links" \
	"$(g python3 "$W/many.py" "$W" 2>&1)" "all right"
is "the sparse file is sparse on the host" \
	"$([ "$(stat -c %b "$W/sparse")" -lt 1000 ] && echo yes)" yes
is "the mapped write is on the host" \
	"$(dd if="$W/map" bs=1 skip=12345 count=5 2>/dev/null)" hello

# 100,000 files: made on the host, walked, changed and partly removed inside.
make_files() { # directory first last
	python3 -c '
import os, sys
for i in range(int(sys.argv[2]), int(sys.argv[3])):
    os.makedirs("%s/%03d" % (sys.argv[1], i))
    for j in range(100):
        open("%s/%03d/%d" % (sys.argv[1], i, j), "w").close()
' "$@"
}
make_files "$W/big" 0 1000
is "100,000 files are found in the guest" "$(g sh -c "find '$W/big' -type f | wc -l")" 100000
is "and again" "$(g sh -c "find '$W/big' -type f | wc -l")" 100000
g sh -c "rm -rf '$W'/big/00? && for i in 1 2 3; do mkdir '$W/big/x'\$i && echo new >'$W/big/x'\$i/f; done"
is "removals and additions of the guest are the host's" \
	"$(find "$W/big" -type f | wc -l)" 99003
make_files "$W/big" 0 10
is "additions of the host are the guest's" "$(g sh -c "find '$W/big' -type f | wc -l")" 100003
rm -rf "$W/big"
is "the tree is gone for the guest too" "$(g sh -c "ls -d '$W/big' 2>/dev/null")" ""
"$COVE" rm -f ws >/dev/null
ok "rm never touches the workspace" test -f "$W/g"
plan_done
