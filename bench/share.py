#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a second and a twentieth sandbox of one template cost in host memory.

    bench/share.py [N [MEMORY]]     (default 20 512M)

Starts N sandboxes one after the other, has each run the same commands, and
looks after the first and after the last one. PSS (what a process has alone,
and its part of what it shares) of all processes of the sandboxes, by kind:
shmem is the guests' RAM, file are programs and mapped files, anon is the rest.
Beside it the page cache of the template's image, which is no process's: what
is in it is there once, however many sandboxes read it.
"""
import ctypes
import mmap
import os
import sys

import private
from private import CACHE, cove, inspect

WORK = "git --version; python3 -c 'import json, ssl'; cat /usr/bin/node >/dev/null"
MIB = 1 << 20


def resident(path):
    """Bytes of a file that are in the page cache."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    size, page = os.path.getsize(path), mmap.PAGESIZE
    vec = (ctypes.c_ubyte * ((size + page - 1) // page))()
    with open(path, "rb") as f, mmap.mmap(f.fileno(), size,
                                          flags=mmap.MAP_PRIVATE) as m:
        at = ctypes.c_char.from_buffer(m)
        bad = libc.mincore(ctypes.addressof(at), size, vec)
        del at
        if bad:
            raise OSError(ctypes.get_errno(), "mincore")
    return sum(b & 1 for b in vec) * page


def pss(pids):
    total = {"anon": 0, "file": 0, "shmem": 0}
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            for line in f:
                key, value = line.split(":", 1) if ":" in line else ("", "")
                kind = key[4:].lower() if key.startswith("Pss_") else ""
                if kind in total:
                    total[kind] += int(value.split()[0]) * 1024
    return total


def look(names, image):
    pids = [p for n in names for p in inspect(n)["pids_host"].values()
            if isinstance(p, int) and p > 0]
    r = pss(pids)
    r["cache"] = resident(image)
    r["guests"] = sum(int(cove("exec", n, "awk", "/^Cached/{print $2}",
                               "/proc/meminfo")) * 1024 for n in names)
    return r


def show(n, r):
    one = {k: v / MIB for k, v in r.items()}
    print(f"{n:3} sandboxes: PSS {one['anon'] + one['file'] + one['shmem']:7.0f}"
          f" MiB (guest RAM {one['shmem']:.0f}, private {one['anon']:.0f}, "
          f"programs {one['file']:.0f}); template in the host's page cache "
          f"{one['cache']:.0f} MiB; page caches inside the guests "
          f"{one['guests']:.0f} MiB", flush=True)


def bench(count, memory):
    names = []
    for i in range(count):
        names.append(f"share-{i}")
        cove("create", "--name", names[-1], "--cpus", "1", "--memory", memory,
             "shell")
        cove("exec", names[-1], "sh", "-c", WORK)
        if i == 0:
            digest = inspect(names[0])["template_digest"]
            image = f"{CACHE}/templates/{digest}/root.erofs"
            first = look(names, image)
            show(1, first)
    last = look(names, image)
    show(count, last)
    per = {k: (last[k] - first[k]) / max(count - 1, 1) / MIB for k in last}
    print(f"each further one: {per['anon'] + per['file'] + per['shmem']:.0f} "
          f"MiB PSS (guest RAM {per['shmem']:.0f}, private {per['anon']:.0f}, "
          f"programs {per['file']:.1f}), {per['cache']:.2f} MiB of the "
          f"template's page cache; image {os.path.getsize(image) / MIB:.0f} MiB")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    memory = sys.argv[2] if len(sys.argv) > 2 else "512M"
    with private.home():
        bench(count, memory)


if __name__ == "__main__":
    main()
