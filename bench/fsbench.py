#!/usr/bin/env python3
"""Our file server against QEMU's own virtiofsd (its defaults), both mounted in
one and the same guest, step by step in turn. Seconds are the guest's clock;
the ratio is virtiofsd / ours, pair by pair: above 1 means ours is faster.

Needs root: virtiofsd of QEMU 7.2 does.
"""
import os, shutil, socket, statistics, subprocess, sys, tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOP + "/tests/e2e")
import bare

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
PAIRS = int(os.environ.get("COVE_BENCH_PAIRS", "5"))
FILES = 5000

# name, commands that are not measured, the command that is, the goal
STEPS = [
    ("write 256 MB", "rm -f big", "dd if=/dev/zero of=big bs=1M count=256 conv=fsync", 1.0),
    ("read 256 MB, cold", "echo 3 >/proc/sys/vm/drop_caches", "dd if=big of=/dev/null bs=1M", 1.0),
    ("untar 5,000 files", "rm -rf tree big; sync", "tar -xf /dev/shm/tree.tar", 1.5),
    ("find, cold", "echo 3 >/proc/sys/vm/drop_caches", "find tree -type f -size +1k | wc -l", 1.5),
    ("find, again", "sleep 2", "find tree -type f -size +1k | wc -l", 1.5),
    ("git status", "cd tree && git init -q . 2>/dev/null; git add -A; sleep 2", "cd tree && git status --short", 1.5),
    ("git status, again", "sleep 2", "cd tree && git status --short", 1.5),
    ("read all files", "echo 3 >/proc/sys/vm/drop_caches", "tar -cf /dev/null --exclude .git tree", 1.0),
    ("rm -rf", "sync", "rm -rf tree", 1.5),
]


def disk(path, source):
    subprocess.run(["cp", "--sparse=always", source, path], check=True)
    return path


def drive(serial, path, ro):
    return ["-blockdev", f"driver=raw,node-name={serial},read-only={'on' if ro else 'off'},"
            f"file.driver=file,file.locking=off,file.filename={path}",
            "-device", f"virtio-blk-device,drive={serial},serial={serial}"]


def disks(d):
    """What a guest with the shell template boots with."""
    made = bare.CACHE + "/disks"
    upper = [f for f in os.listdir(made) if f.endswith("-upper.img")][0]
    docker = [f for f in os.listdir(made) if f.endswith("-docker.img")][0]
    root = os.path.realpath(bare.CACHE + "/templates/names/shell") + "/root.erofs"
    return (drive("cove-root", root, True)
            + drive("cove-disk", disk(d + "/disk.img", f"{made}/{upper}"), False)
            + drive("cove-docker", disk(d + "/docker.img", f"{made}/{docker}"), False))


def start(d):
    os.makedirs(d + "/ours")
    os.makedirs(d + "/theirs")
    sock = d + "/vfsd.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sock)
    listener.listen()
    server = subprocess.Popen(
        [VIRTIOFSD, f"--fd={listener.fileno()}", "-o", f"source={d}/theirs"],
        pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=open(d + "/vfsd.log", "wb"))
    extra = (disks(d)
             + ["-chardev", f"socket,id=vfsd,path={sock}",
                "-device", "vhost-user-fs-device,chardev=vfsd,tag=vfsd,queue-size=1024"])
    g = bare.Bare(bare.KERNEL + "/initrd.cpio", [(d + "/ours", 0)], memory=1024,
                  extra=extra)
    try:
        g.agent_up(bare.rec(67, bare.rec(1, b"0") + bare.rec(2, b"/mnt/ours") + bare.u32(3, 0)))
        sh(g, "mkdir -p /mnt/theirs && mount -t virtiofs vfsd /mnt/theirs")
    except BaseException:
        print(g.console()[-3000:], open(g.dir + "/devices.log").read(), file=sys.stderr)
        g.close()
        server.kill()
        raise
    return g, server


def sh(g, text):
    status, out, err = g.exec(["sh", "-c", text])
    if status:
        raise SystemExit(f"{text}: {status} {err.decode()}")
    return out.decode()


def measure(g, where, before, what):
    # One shell for both, so that the timing has no start of a process in it.
    out = sh(g, f"cd {where}; ({before}) >/dev/null 2>&1; read a b </proc/uptime; "
             f"s=$(date +%s%N); ({what}) >/dev/null 2>&1; e=$(date +%s%N); echo $((e-s))")
    return int(out.split()[-1]) / 1e9


def main():
    if os.geteuid() or not os.path.exists(VIRTIOFSD):
        print("file servers: skipped, virtiofsd needs root and qemu-system-common")
        return 0
    # In memory: on a disk the pair share its journal, and ext4 looks long for a
    # free inode where somebody (the other server) has just deleted thousands.
    d = tempfile.mkdtemp(prefix="cove-fsbench.", dir=os.environ.get("COVE_BENCH_DIR", "/dev/shm"))
    g, server = start(d)
    try:
        sh(g, f"""mkdir -p /dev/shm/t/tree && cd /dev/shm/t && python3 - <<'X'
import os, random
random.seed(1)
for i in range({FILES}):
    p = f"tree/d{{i % 100:02d}}/s{{i % 7}}"
    os.makedirs(p, exist_ok=True)
    open(f"{{p}}/f{{i}}", "wb").write(random.randbytes(random.randrange(200, 9000)))
X
tar -cf /dev/shm/tree.tar tree && cd / && rm -rf /dev/shm/t; git config --global user.email a@b.c;
git config --global user.name a; git config --global safe.directory '*'""")
        a = {s[0]: [] for s in STEPS}
        b = {s[0]: [] for s in STEPS}
        for i in range(PAIRS):
            for name, before, what, goal in STEPS:
                pair = [("/mnt/ours", a), ("/mnt/theirs", b)]
                for where, t in pair if i % 2 else reversed(pair):
                    t[name].append(measure(g, where, before, what))
        print(f"files in one guest, {PAIRS} pairs: median s   ours  virtiofsd   ratio (goal)")
        for name, _, _, goal in STEPS:
            r = statistics.median(y / x for x, y in zip(a[name], b[name]))
            print(f"  {name:22} {statistics.median(a[name]):18.3f}"
                  f" {statistics.median(b[name]):10.3f}   {r:5.2f} ({goal})")
    finally:
        g.close()
        server.kill()
        server.wait()
        shutil.rmtree(d, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
