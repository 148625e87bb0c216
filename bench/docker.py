#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Docker's start in a sandbox against Debian's own start in such a guest.

Each time in a sandbox of its own that never ran anything of Docker: what comes
second in one guest finds programs in memory and, with QEMU's emulation, their
code translated. Rounds alternate, and so does who comes first in one. CPU is
what the virtual machine's process used on the host: it moves less under load
than the clock does.

    bench/docker.py [ROUNDS]     (default 3)

Needs what `make test-cache` prepares, and busybox-static.
"""
import os
import shutil
import statistics
import subprocess
import sys
import time

import private
from private import cove, inspect

TICK = os.sysconf("SC_CLK_TCK")

# In the guest, as root. "ours": one request to the socket of the agent.
# "debian": what the package's units do, in their order, with its defaults.
# Prints the seconds until the API answers /info.
HELPER = r"""
import os, socket, subprocess, sys, time
kind, sock = sys.argv[1:]
def info():
    s = socket.socket(socket.AF_UNIX)
    s.connect(sock)
    s.sendall(b"GET /info HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
    got = b""
    while True:
        d = s.recv(65536)
        if not d:
            break
        got += d
    assert got.startswith(b"HTTP/1.1 200"), got[:300]
def until(what):
    while True:
        try:
            return what()
        except OSError:
            time.sleep(0.02)
t = time.monotonic()
if kind == "debian":
    null = open("/dev/null", "r+")
    run = lambda *a: subprocess.Popen(a, stdin=null, stdout=null, stderr=null,
                                      start_new_session=True)
    c = "/run/containerd/containerd.sock"
    if os.path.exists(c):
        os.unlink(c)
    run("containerd")
    until(lambda: os.stat(c))
    run("dockerd", "-H", "unix://" + sock, "--containerd=" + c)
until(info)
print(time.monotonic() - t)
"""
SOCKETS = {"ours": "/run/docker.sock", "debian": "/run/debian.sock"}
STEPS = (("start", "nothing runs to GET /info"), ("import", "docker import"),
         ("first", "first docker run"), ("warm", "second docker run"))


def cpu(pid):
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / TICK


def measure(pid, fn):
    c, t = cpu(pid), time.monotonic()
    r = fn()
    return time.monotonic() - t, cpu(pid) - c, r


def docker(kind, *args, stdin=None):
    return cove("exec", "-i", "-u", "root", "-e",
                f"DOCKER_HOST=unix://{SOCKETS[kind]}", "bench", "docker",
                *args, stdin=stdin)


def round_of(kind, home):
    """Wall and CPU seconds of each step, in a new sandbox."""
    cove("create", "--name", "bench", "--cpus", "2", "--memory", "1500M",
         "shell")
    cove("cp", home + "/helper.py", "bench:/tmp/helper.py")
    pid, r = inspect("bench")["pids_host"]["engine"], {}
    _, c, out = measure(pid, lambda: cove(
        "exec", "-u", "root", "bench", "python3", "/tmp/helper.py", kind,
        SOCKETS[kind]))
    assert out, "the helper said nothing"
    r["start"] = float(out), c
    with open(home + "/img.tar", "rb") as f:
        r["import"] = measure(pid, lambda: docker(
            kind, "import", "-", "bb", stdin=f))[:2]
    for step in ("first", "warm"):
        r[step] = measure(pid, lambda: docker(
            kind, "run", "--rm", "bb", "/bin/busybox", "true"))[:2]
    cove("rm", "-f", "bench")
    print(f"{kind:7}" + "".join(
        f" {k} {r[k][0]:.1f} s {r[k][1]:.1f} CPU-s;" for k, _ in STEPS),
          flush=True)
    return r


def row(name, ours, debian):
    med = lambda v, i: statistics.median(x[i] for x in v)
    ratio = statistics.median(b[1] / a[1] for a, b in zip(ours, debian))
    print(f"{name:28} {med(ours, 0):7.2f} s {med(ours, 1):7.2f} CPU-s   "
          f"debian {med(debian, 0):7.2f} s {med(debian, 1):7.2f} CPU-s   "
          f"{ratio:.2f} times the CPU", flush=True)


def bench(home, rounds):
    os.makedirs(home + "/img/bin")
    shutil.copy(shutil.which("busybox"), home + "/img/bin/busybox")
    subprocess.run(["tar", "-C", home + "/img", "-cf", home + "/img.tar",
                    "bin"], check=True)
    with open(home + "/helper.py", "w") as f:
        f.write(HELPER)
    sides = list(SOCKETS)
    runs = {k: [] for k in sides}
    for i in range(rounds):
        for kind in sides if i % 2 == 0 else reversed(sides):
            runs[kind].append(round_of(kind, home))
    for r in (*runs["ours"], *runs["debian"]):
        r["all"] = [sum(r[k][i] for k, _ in STEPS) for i in (0, 1)]
    for step, name in (*STEPS, ("all", "all of it")):
        row(name, *([r[step] for r in runs[k]] for k in sides))


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with private.home() as home:
        bench(home, rounds)


if __name__ == "__main__":
    main()
