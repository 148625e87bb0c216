#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cove-gate against QEMU's user network, from one and the same guest to this
host: a stream up, a stream down, small questions, new connections. The two
alternate, pair by pair; above 1 the gate is faster. The clock is the guest's,
which without KVM is busy with itself: the ratio counts, not the figure.

QEMU's card needs a driver that a sandbox does not: it is taken from the Debian
package that the kernel came from. usage: bench/gate_guest.py [PAIRS]
"""
import glob
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
import bare
import fsbench
import gate_lib as lib
from gate_proxies import cpu
from gate_lib import socket, struct, threading

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
MB = 64
# Runs in the guest: HOST PORT WHAT TIMES. Prints the seconds of one.
CLIENT = r"""
import socket, struct, sys, time
host, port, what, n = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def connect():
    s = socket.create_connection((host, port), 60)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s
piece = bytes(1 << 18)
def ask(s, up, down):
    s.sendall(struct.pack("<II", up, down) + piece[:min(up, 100)])
    for at in range(100, up, len(piece)):
        s.sendall(piece[:up - at])
    while down:
        d = s.recv(min(down, 1 << 18))
        if not d:
            raise SystemExit("the stream ended")
        down -= len(d)
big = %d << 20
s = connect()
ask(s, 1, 1)
began = time.monotonic()
if what == "up":
    ask(s, big, 1)
elif what == "down":
    ask(s, 0, big)
elif what == "kept":
    for i in range(n):
        ask(s, 100, 1000)
else:
    for i in range(n):
        with connect() as c:
            ask(c, 100, 1000)
print((time.monotonic() - began) / n)
""" % MB
INSMOD = """
import ctypes, glob, os
libc = ctypes.CDLL(None, use_errno=True)
for name in sorted(glob.glob("/mnt/share/*.ko")):
    if libc.syscall(313, os.open(name, os.O_RDONLY), b"", 0):  # finit_module
        raise SystemExit(f"{name}: {os.strerror(ctypes.get_errno())}")
"""
ROWS = (("up", f"{MB} MB up", MB, 1, "MB/s"),
        ("down", f"{MB} MB down", MB, 1, "MB/s"),
        ("kept", "kept alive, 1 kB", None, 300, "ms"),
        ("fresh", "new connection, 1 kB", None, 60, "ms"))


def one(c):
    zero = bytes(1 << 18)
    while len(head := c.recv(8, socket.MSG_WAITALL)) == 8:
        up, down = struct.unpack("<II", head)
        while up and (d := c.recv(min(up, 1 << 18))):
            up -= len(d)
        while down:
            down -= c.send(zero[:min(down, len(zero))])
    c.close()


def serve():
    s = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def run():
        while True:
            c = s.accept()[0]
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=one, args=(c,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    return s.getsockname()[1]


def drivers(d):
    """The modules of QEMU's card, in the order in which they are loaded."""
    with open(bare.KERNEL + "/meta.json") as f:
        deb, _, _ = json.load(f)["origin"].partition("_")
    subprocess.run(["apt-get", "download", "-q", deb], check=True, cwd=d,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["dpkg-deb", "-x", *glob.glob(d + "/*.deb"), d + "/deb"],
                   check=True)
    os.makedirs(d + "/share")
    for i, name in enumerate(("failover", "net_failover", "virtio_net")):
        found, = glob.glob(f"{d}/deb/lib/modules/**/{name}.ko", recursive=True)
        shutil.copy(found, f"{d}/share/{i}.ko")
    with open(d + "/share/insmod.py", "w") as f:
        f.write(INSMOD)


class Gate(lib.Gate):
    def __init__(self, where, rules):
        self.extra, self.files, self.dir = b"", {}, where
        self.start(rules)


def start(d, port):
    extra = fsbench.disks(d) + ["-netdev", "user,id=user", "-device",
                                "virtio-net-device,netdev=user"]
    g = bare.Bare(bare.KERNEL + "/initrd.cpio", [(d + "/share", 0)],
                  memory=1024, extra=extra)
    lib.TMP, lib.GATE = d, bare.LIBEXEC + "/cove-gate"
    gate = Gate(g.dir, f"allow host:{port}\n")
    g.agent_up(bare.rec(67, bare.rec(1, b"0") + bare.rec(2, b"/mnt/share")
                        + bare.u32(3, 0)))
    # In a namespace of its own the redirect to the gate does not see it.
    fsbench.sh(g, """python3 /mnt/share/insmod.py &&
        ip netns add user && card=$(ls -d /sys/class/net/*/device |
            cut -d/ -f5) && ip link set "$card" netns user &&
        ip -n user link set lo up && ip -n user link set "$card" up &&
        ip -n user addr add 10.0.2.15/24 dev "$card" """)
    return g, gate


def seconds(g, gate, what, times, port):
    """Of a row through each, and the gate's CPU time in microseconds."""
    before = cpu(gate.proc.pid)
    ours = float(fsbench.sh(
        g, f"python3 /mnt/share/c.py host.cove.internal {port} {what} {times}"))
    used = cpu(gate.proc.pid) - before
    user = float(fsbench.sh(g, "ip netns exec user python3 /mnt/share/c.py "
                               f"10.0.2.2 {port} {what} {times}"))
    return ours, user, used


def main():
    d = tempfile.mkdtemp(prefix="cove-bench.")
    port = serve()
    g = None
    try:
        drivers(d)
        with open(d + "/share/c.py", "w") as f:
            f.write(CLIENT)
        g, gate = start(d, port)
        print(f"{'':24}{'gate':>14}{'user network':>16}{'ratio':>8}"
              f"{'CPU of cove-gate':>22}")
        for what, label, mb, times, unit in ROWS:
            pairs = [seconds(g, gate, what, times, port) for _ in range(PAIRS)]
            ours, user, used = (statistics.median(p[i] for p in pairs)
                                for i in (0, 1, 2))
            ratio = statistics.median(p[1] / p[0] for p in pairs)
            show = [mb / s if mb else s * 1000 for s in (ours, user)]
            print(f"{label:24}{show[0]:9.1f} {unit:4}{show[1]:11.1f} {unit:4}"
                  f"{ratio:8.2f}{used / (mb or times):12.0f} us a "
                  f"{'MB' if mb else 'request'}", flush=True)
    finally:
        if g:
            g.close()
        shutil.rmtree(d, ignore_errors=True)


main()
