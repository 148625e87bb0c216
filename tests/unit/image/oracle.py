#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What went in as tar comes out of the image as others read it.

usage: oracle.py TAR2EROFS [LAYER.tar...]

Without layers it makes two of its own, with everything a tar can say. The
expectation is worked out here from the archives. Readers: the kernel where
this is root and can loop-mount (all attributes), else fsck.erofs --extract
(types, modes, sizes, contents, links, times). TAP on stdout.
"""
import hashlib
import io
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

TIME = 1000000000  # of directories that no entry describes
KINDS = {tarfile.REGTYPE: stat.S_IFREG, tarfile.AREGTYPE: stat.S_IFREG,
         tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK,
         tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK,
         tarfile.FIFOTYPE: stat.S_IFIFO, tarfile.GNUTYPE_SPARSE: stat.S_IFREG}


class Node:
    """An inode; several names may point to one."""

    def __init__(self, mode, layer):
        self.mode, self.layer = mode, layer
        self.uid = self.gid = 0
        self.mtime = TIME
        self.data = ""
        self.xattrs = {}
        self.rdev = 0


def new_dir(layer):
    return Node(stat.S_IFDIR | 0o755, layer)


def under(path):
    return path + "/" if path else ""


class Model:
    """path -> Node; what overlaying the layers must give."""

    def __init__(self):
        self.tree = {"": new_dir(0)}
        self.layer = 0
        self.put = set()  # paths this layer brought

    def drop(self, path):
        for p in [p for p in self.tree if (p + "/").startswith(path + "/")]:
            del self.tree[p]

    def hide(self, path, itself):
        """A whiteout: all that this layer did not bring."""
        keep = set()
        for p in self.put:
            while p:
                keep.add(p)
                p = os.path.dirname(p)
        for p in [p for p in self.tree if p.startswith(under(path)) or
                  (itself and p == path)]:
            if p and p not in keep:
                del self.tree[p]

    def parents(self, path):
        parts = path.split("/")[:-1]
        for k in range(1, len(parts) + 1):
            p = "/".join(parts[:k])
            if p not in self.tree or not stat.S_ISDIR(self.tree[p].mode):
                self.tree[p] = new_dir(self.layer)
                self.put.add(p)

    def add(self, path, node):
        self.parents(path)
        old = self.tree.get(path)
        if old and not (stat.S_ISDIR(old.mode) and stat.S_ISDIR(node.mode)):
            self.drop(path)
        self.tree[path] = node
        self.put.add(path)

    def entry(self, tar, ti):
        path = os.path.normpath(ti.name)
        path = "" if path == "." else path
        name = os.path.basename(path)
        if name == ".wh..wh..opq":
            return self.hide(os.path.dirname(path), False)
        if name.startswith(".wh."):
            return self.hide(
                os.path.join(os.path.dirname(path), name[4:]), True)
        if ti.type == tarfile.LNKTYPE:
            return self.add(path, self.tree[os.path.normpath(ti.linkname)])
        node = Node(KINDS[ti.type] | stat.S_IMODE(ti.mode), self.layer)
        node.uid, node.gid = ti.uid, ti.gid
        node.mtime = int(float(ti.pax_headers.get("mtime", ti.mtime)))
        if ti.issym():
            node.mode, node.data = stat.S_IFLNK | 0o777, ti.linkname
        elif ti.isreg():
            node.data = hashlib.sha256(tar.extractfile(ti).read()).hexdigest()
        elif ti.ischr() or ti.isblk():
            node.rdev = os.makedev(ti.devmajor, ti.devminor)
        for key, value in ti.pax_headers.items():
            if key.startswith("SCHILY.xattr.") and ".overlay." not in key:
                node.xattrs[key[13:]] = value.encode(
                    "utf-8", "surrogateescape")
        return self.add(path, node)

    def apply(self, file):
        self.put = set()
        with tarfile.open(file, errors="surrogateescape") as tar:
            for ti in tar:
                self.entry(tar, ti)
        self.layer += 1


def read_tree(root, whole):
    """path -> tuple as describe() gives it, from a real directory."""
    out, names = {}, {}
    for base, dirs, files in os.walk(root):
        for name in dirs + files:
            full = os.path.join(base, name)
            out[os.path.relpath(full, root)] = read_one(full, whole, names)
    out[""] = read_one(root, whole, names)
    return out, sorted(sorted(v) for v in names.values() if len(v) > 1)


def read_one(full, whole, names):
    st = os.lstat(full)
    data = ""
    if stat.S_ISLNK(st.st_mode):
        data = os.readlink(full)
    elif stat.S_ISREG(st.st_mode):
        with open(full, "rb") as f:
            data = hashlib.sha256(f.read()).hexdigest()
    if not stat.S_ISDIR(st.st_mode):
        names.setdefault(st.st_ino, []).append(full.split("/tree/", 1)[1])
    xattrs = {}
    if whole:
        xattrs = {n: os.getxattr(full, n, follow_symlinks=False)
                  for n in os.listxattr(full, follow_symlinks=False)}
    return describe(st.st_mode, st.st_uid, st.st_gid, int(st.st_mtime), data,
                    xattrs, st.st_rdev, whole)


def describe(mode, uid, gid, mtime, data, xattrs, rdev, whole):
    if whole:
        return (oct(mode), uid, gid, mtime, data, sorted(xattrs.items()), rdev)
    return (oct(mode), mtime, data)


def expected(model, whole):
    out, names = {}, {}
    for path, n in model.tree.items():
        out[path] = describe(n.mode, n.uid, n.gid, n.mtime, n.data, n.xattrs,
                             n.rdev, whole)
        if not stat.S_ISDIR(n.mode):
            names.setdefault(id(n), []).append(path)
    return out, sorted(sorted(v) for v in names.values() if len(v) > 1)


def make_layers(where):
    rng = random.Random(1)

    def info(name, kind=tarfile.REGTYPE, **kw):
        ti = tarfile.TarInfo(name)
        ti.type, ti.mode = kind, 0o755
        ti.mtime = 1.5e9
        for k, v in kw.items():
            setattr(ti, k, v)
        return ti

    base = os.path.join(where, "base.tar")
    with tarfile.open(base, "w", format=tarfile.PAX_FORMAT) as t:
        def file(ti, data=b""):
            ti.size = len(data)
            t.addfile(ti, io.BytesIO(data))
        file(info("./", tarfile.DIRTYPE, mode=0o700, uid=3))
        for size in (0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 100000):
            file(info("sizes/%d" % size, mtime=size), rng.randbytes(size))
        for k in range(3000):
            file(info("many/%s%d" % ("n" * (k % 200), k), uid=k * 100))
        file(info("bin/su", mode=0o6755, uid=0, gid=50), b"su")
        file(info("tmp", tarfile.DIRTYPE, mode=0o1777))
        file(info("caps", pax_headers={
            "SCHILY.xattr.security.capability":
                "\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "SCHILY.xattr.user.note": "a" * 3000,
            "SCHILY.xattr.trusted.overlay.opaque": "y"}), b"x" * 3000)
        file(info("dir", tarfile.DIRTYPE, pax_headers={
            "SCHILY.xattr.trusted.t": "1"}))
        file(info("dir/deep/er/file"), b"deep")
        file(info("dir/gone"), b"gone")
        file(info("link", tarfile.SYMTYPE, linkname="dir/deep"))
        file(info("long", tarfile.SYMTYPE, linkname="l" * 4000))
        file(info("hard1", tarfile.LNKTYPE, linkname="bin/su"))
        file(info("hard2", tarfile.LNKTYPE, linkname="./hard1"))
        file(info("null", tarfile.CHRTYPE, devmajor=1, devminor=3))
        file(info("disk", tarfile.BLKTYPE, devmajor=259, devminor=300))
        file(info("fifo", tarfile.FIFOTYPE))
        file(info("\u00fc/\u65e5\u672c\u8a9e \n\t"), b"name")
        file(info("old", mtime=-5, uid=4000000000), b"")
        file(info("becomes-dir"), b"")
        file(info("becomes-file/x"), b"")
        file(info("twice"), b"first")
        file(info("twice", mode=0o600), b"second" * 1000)
    upper = os.path.join(where, "upper.tar")
    with tarfile.open(upper, "w", format=tarfile.PAX_FORMAT) as t:
        def file(ti, data=b""):
            ti.size = len(data)
            t.addfile(ti, io.BytesIO(data))
        file(info("dir/new"), b"new")
        file(info("dir/.wh..wh..opq"))
        file(info(".wh.fifo"))
        file(info("many/.wh.0"))
        file(info("becomes-dir/x"), b"x")
        file(info("becomes-file"), b"y")
        file(info("hard3", tarfile.LNKTYPE, linkname="hard2"))
        file(info(".wh.hard1"))
        file(info("sizes/4096"), b"short now")
        file(info("tmp", tarfile.DIRTYPE, mode=0o755))
    return [base, upper]


def mount(image, where):
    if os.geteuid() != 0:
        return False
    return subprocess.run(["mount", "-t", "erofs", "-o", "loop,ro", image,
                           where], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def compare(model, tree, whole):
    got, got_links = read_tree(tree, whole)
    want, want_links = expected(model, whole)
    bad = ["%r: want %r, got %r" % (p, want.get(p), got.get(p))
           for p in sorted(set(want) | set(got)) if want.get(p) != got.get(p)]
    if got_links != want_links:
        bad.append("hard links: want %r, got %r" % (want_links, got_links))
    return bad


def main():
    tool, layers = sys.argv[1], sys.argv[2:]
    print("1..3")
    with tempfile.TemporaryDirectory() as tmp:
        layers = layers or make_layers(tmp)
        image, tree = os.path.join(tmp, "image"), os.path.join(tmp, "tree")
        r = subprocess.run([tool, image] + layers, check=False)
        print("%s 1 - an image" % ("ok" if r.returncode == 0 else "not ok"))
        if not shutil.which("fsck.erofs"):
            print("ok 2 - fsck.erofs # SKIP erofs-utils is not installed")
        else:
            r = subprocess.run(["fsck.erofs", image], check=False,
                               stdout=subprocess.DEVNULL)
            print("%s 2 - fsck.erofs" % ("ok" if r.returncode == 0 else
                                         "not ok"))
        model = Model()
        for layer in layers:
            model.apply(layer)
        os.mkdir(tree)
        whole = mount(image, tree)
        if not whole and os.geteuid() == 0:
            os.rmdir(tree)
            subprocess.run(["fsck.erofs", "--extract=" + tree, image],
                           stdout=subprocess.DEVNULL, check=False)
        if not whole and os.geteuid() != 0:
            print("ok 3 - same tree # SKIP needs root for owners and devices")
            return 0
        bad = compare(model, tree, whole)
        if whole:
            subprocess.run(["umount", tree], check=True)
        print("%s 3 - %d paths, as the %s reads them" % (
            "not ok" if bad else "ok", len(model.tree),
            "kernel" if whole else "fsck.erofs"))
        for line in bad[:20]:
            print("# " + line)
        return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
