#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An image with everything that layers can say. usage: rich_image.py LAYOUT"""
import random
import sys
import tarfile

from images import Tar, config, layout


def first(rng):
    t = Tar()
    for name in ("etc", "usr", "usr/lib", "usr/bin", "opaque", "gone", "var"):
        t.dir(name)
    t.link("lib", "usr/lib")
    t.link("run", "/var/run")
    t.dir("var/run")
    t.add("usr/bin/su", b"set-id", mode=0o4755)
    t.add("usr/bin/wall", b"set-gid", mode=0o2755, gid=5)
    t.add("tmp", type=tarfile.DIRTYPE, mode=0o1777)
    t.add("usr/bin/ping", b"cap", mode=0o755, pax_headers={
        "SCHILY.xattr.security.capability":
        "\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"})
    t.add("etc/passwd", b"app:x:500:500::/:/bin/sh\n")
    t.add("etc/attr", b"x", pax_headers={"SCHILY.xattr.user.name": "value"})
    t.add("etc/big-owner", b"x", uid=70000, gid=3000000)
    t.add("etc/hard1", b"hard")
    for k in (2, 3):
        t.add("etc/hard%d" % k, type=tarfile.LNKTYPE, linkname="etc/hard1")
    t.add("etc/fifo", type=tarfile.FIFOTYPE, mode=0o600)
    t.add("etc/n\u00e4me \u2603", b"unicode")
    t.add("etc/" + "l" * 255, b"long")
    t.add("opaque/old", b"old")
    t.add("opaque/sub/old", b"old")
    t.add("gone/a", b"a")
    t.add("etc/replaced", b"file")
    t.dir("etc/dir-to-file")
    t.add("etc/dir-to-file/x", b"x")
    t.add("etc/mode", b"x", mode=0o644)
    for k in range(400):
        size = rng.choice([0, 1, 100, 2048, 4095, 4096, 4097, 70000])
        t.add("var/lib/d%d/f%d" % (k % 13, k), rng.randbytes(size),
              mode=rng.choice([0o600, 0o644, 0o755]), uid=rng.randrange(3),
              gid=rng.randrange(3))
    return t.bytes()


def second(rng):
    t = Tar()
    t.add("opaque/.wh..wh..opq")
    t.add("opaque/new", b"new")
    t.add(".wh.gone")
    t.dir("etc/replaced")
    t.add("etc/replaced/now", b"dir")
    t.add("etc/.wh.dir-to-file")
    t.add("etc/mode", b"x", mode=0o600)
    t.add("etc/.wh.hard2")
    t.add("lib/through", b"lower link")
    t.add("run/through", b"absolute lower link")
    for k in range(0, 400, 7):
        t.add("var/lib/d%d/.wh.f%d" % (k % 13, k))
    return t.bytes()


def third(rng):
    t = Tar()
    t.add("etc/dir-to-file", b"now a file")
    t.add("gone/again", b"back")
    t.add("etc/hard4", type=tarfile.LNKTYPE, linkname="etc/hard1")
    t.add("opaque/third", b"x")
    t.add("etc/.wh.absent")
    return t.bytes()


def main():
    rng = random.Random(1)
    layers = [first(rng), second(rng), third(rng)]
    layout(sys.argv[1], layers, config(layers), True, False)
    layout(sys.argv[1] + "-zstd", layers, config(layers), True)


if __name__ == "__main__":
    main()
