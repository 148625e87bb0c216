#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Archives that mean harm, each with the words of its refusal.

usage: hostile_archives.py DIR TARGET   (TARGET: an absolute path to attack)

Prints "FILE<tab>REGULAR-EXPRESSION" lines.
"""
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile

from images import Tar, config, digest, docker_save, layout, pack

DIR, TARGET = sys.argv[1:3]


def emit(name, data, why):
    path = os.path.join(DIR, name)
    with open(path, "wb") as f:
        f.write(data)
    print("%s\t%s" % (path, why))


def root(name, why, fill, pack_as=None):
    t = Tar()
    t.add("etc/keep", b"x")
    fill(t)
    data = t.bytes()
    emit(name, pack(data, pack_as) if pack_as else data, why)


def paths():
    up = "../" * 12 + TARGET.lstrip("/")
    root("dotdot.tar", r"contains '\.\.'", lambda t: t.add(up, b"evil"))
    root("inner-dotdot.tar", r"contains '\.\.'",
         lambda t: t.add("a/b/../../../../" + up, b"evil"))
    root("absolute.tar", "absolute", lambda t: t.add(TARGET, b"evil"))

    def through(t):
        t.link("s", os.path.dirname(TARGET))
        t.add("s/" + os.path.basename(TARGET), b"evil")
    root("symlink.tar", "no directory", through)

    def hard(target):
        return lambda t: t.add("shadow", type=tarfile.LNKTYPE,
                               linkname=target)
    root("hardlink.tar", "hard link", hard("../../../etc/shadow"))
    root("hardlink-abs.tar", "hard link", hard("/etc/shadow"))

    def hard_through(t):
        t.link("e", "/etc")
        hard("e/shadow")(t)
    root("hardlink-symlink.tar", "hard link", hard_through)
    root("long.tar", "longer than", lambda t: t.add("x" * 256))
    root("deep.tar", "nested|longer", lambda t: t.add("d/" * 1500 + "f"))
    root("whiteout.tar", "ok", lambda t: t.add("etc/.wh.keep"))


def nodes():
    for kind, word in ((tarfile.CHRTYPE, "chr"), (tarfile.BLKTYPE, "blk")):
        root("%s.tar" % word, "device node.*--skip-devices",
             lambda t: t.add("dev/evil", type=kind, devmajor=8, devminor=0))


def sparse_member():
    """GNU's old sparse format: 100 GB in one block."""
    info = tarfile.TarInfo("etc/huge")
    info.type = tarfile.GNUTYPE_SPARSE
    head = bytearray(info.tobuf(format=tarfile.GNU_FORMAT))
    size = 100 * 1000 ** 3
    head[386:398] = b"%011o\0" % (size - 512)
    head[398:410] = b"%011o\0" % 512
    head[483:495] = b"\x80\0\0\0" + size.to_bytes(8, "big")
    head[124:136] = b"%011o\0" % 512
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    emit("sparse.tar", bytes(head) + b"x" * 512 + bytes(1024),
         "unpacks to more than")


def pour(name, why, head, block, times):
    """Through zstd, block by block: never in one piece."""
    path = os.path.join(DIR, name)
    with open(path, "wb") as out:
        p = subprocess.Popen(["zstd", "-q", "-1", "-c"], stdin=subprocess.PIPE,
                             stdout=out)
        p.stdin.write(head)
        for _ in range(times):
            p.stdin.write(block)
        p.stdin.close()
        p.wait()
    print("%s\t%s" % (path, why))


def bombs():
    sparse_member()
    info = tarfile.TarInfo("etc/zero")
    info.size = 1 << 20
    block = info.tobuf() + bytes(1 << 20)
    emit("gzip-bomb.tar.gz", gzip.compress(block * 2000, 9),
         "unpacks to more than")
    pour("zstd-bomb.tar.zst", "unpacks to more than", b"", block, 4000)
    info = tarfile.TarInfo("etc/zero")
    info.size = 100 * 1000 ** 3
    pour("large.tar.zst", "unpacks to more than", info.tobuf(),
         bytes(1 << 20), 64)
    info = tarfile.TarInfo("etc/e")
    pour("entries.tar.zst", "entries", b"", info.tobuf() * 10000, 1000)
    # an image archive that is packed as a whole
    saved = io.BytesIO()
    with tarfile.open(fileobj=saved, mode="w") as t:
        for name in ("manifest.json", "zero"):
            one = tarfile.TarInfo(name)
            one.size = 2 if name != "zero" else 0
            t.addfile(one, io.BytesIO(b"[]"))
    info = tarfile.TarInfo("zero")
    info.size = 1 << 40
    pour("packed-image.tar.zst", "unpacks to more than|damaged|no image",
         saved.getvalue()[:1024] + info.tobuf(), bytes(1 << 20), 3000)


def small_layer():
    t = Tar()
    t.add("etc/keep", os.urandom(5000))
    return t.bytes()


def images():
    layer = small_layer()
    conf = config([layer])
    other = small_layer()
    emit("diff-id.tar", docker_save([("x", [other], conf)]), "SHA-256")
    emit("count.tar", docker_save([("x", [layer, other], conf)]),
         "configuration says 1")
    data = docker_save([("x", [layer], conf)])
    emit("config-digest.tar", data.replace(b'"FOO=bar"', b'"FOO=baz"'),
         "SHA-256")
    emit("missing.tar", data.replace(b"/layer.tar\"", b"/later.tar\""),
         "does not hold it")
    emit("cut.tar", data[:len(data) // 2], "damaged|does not hold")
    emit("no-json.tar", data.replace(b'[{"Config"', b'[{Config":'),
         "no JSON|damaged")
    cut = layer[:2048]
    emit("truncated-layer.tar", docker_save([("x", [cut], config([cut]))]),
         "damaged")
    packed = gzip.compress(layer)
    bad = packed[:len(packed) // 2]
    emit("truncated-gzip.tar", docker_save([("x", [bad], conf)]), "damaged")
    tail = layer + b"x" * (32 << 20)
    emit("tail.tar", docker_save([("x", [tail], config([tail]))]),
         "after its end")


def layouts():
    layer = small_layer()
    for name, why in (("blob", "SHA-256|damaged"), ("absent", "not there"),
                      ("link", "blobs/sha256"), ("deep", "Key|JSON|recurs|"
                                                 "nest|depth|no JSON")):
        path = os.path.join(DIR, "layout-" + name)
        layout(path, [layer], config([layer]))
        blobs = os.path.join(path, "blobs", "sha256")
        big = max(os.listdir(blobs),
                  key=lambda f: os.path.getsize(os.path.join(blobs, f)))
        big = os.path.join(blobs, big)
        if name == "blob":
            with open(big, "r+b") as f:
                f.seek(100)
                f.write(b"x")
        elif name == "absent":
            os.unlink(big)
        elif name == "link":
            os.unlink(big)
            os.symlink("/etc/passwd", big)
        else:
            with open(os.path.join(path, "index.json"), "w") as f:
                f.write("[" * 100000)
        print("%s\t%s" % (path, why))


def saved():
    meta = {"digest": digest(b"x" * 4096), "architecture": "amd64"}
    for name, image, why in (("right", b"x" * 4096, "ok"),
                             ("wrong", b"y" * 4096, "SHA-256")):
        t = Tar()
        t.add("meta.json", json.dumps(meta).encode())
        t.add("root.erofs", image)
        path = os.path.join(DIR, "saved-%s.cove" % name)
        with open(path, "wb") as f:
            f.write(t.bytes())
        print("%s\t%s" % (path, why))


def main():
    os.makedirs(DIR)
    paths()
    nodes()
    images()
    layouts()
    saved()
    emit("empty.tar", b"", "damaged|no tar")
    emit("noise.tar", os.urandom(100000), "damaged|no tar")
    bombs()


if __name__ == "__main__":
    main()
