#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Are two trees the same in every path, type, mode, owner, time, size,
content, link target, extended attribute and hard link?

usage: compare_trees.py A B [IGNORED-PATH...]   (as root, to read everything)

Times of directories are left out: unpackers set them when they please.
"""
import hashlib
import os
import stat
import sys


def describe(path):
    st = os.lstat(path)
    d = {"mode": oct(st.st_mode), "owner": (st.st_uid, st.st_gid)}
    if not stat.S_ISDIR(st.st_mode):
        d["links"] = st.st_nlink
        d["mtime"] = int(st.st_mtime)
    if stat.S_ISREG(st.st_mode):
        d["size"] = st.st_size
        with open(path, "rb") as f:
            d["data"] = hashlib.sha256(f.read()).hexdigest()
    if stat.S_ISLNK(st.st_mode):
        d["target"] = os.readlink(path)
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        d["rdev"] = st.st_rdev
    d["xattrs"] = {k: os.getxattr(path, k, follow_symlinks=False)
                   for k in os.listxattr(path, follow_symlinks=False)}
    return d, (st.st_dev, st.st_ino)


def walk(root):
    found, inodes = {}, {}
    for base, dirs, files in os.walk(root):
        for name in dirs + files + ([""] if base == root else []):
            path = os.path.join(base, name) if name else root
            rel = os.path.relpath(path, root)
            found[rel], inode = describe(path)
            inodes.setdefault(inode, []).append(rel)
    for names in inodes.values():
        for name in names:
            found[name]["same"] = sorted(names)
    return found


def main():
    a, b = walk(sys.argv[1]), walk(sys.argv[2])
    bad = 0
    for path in sorted(set(a) | set(b)):
        if path in sys.argv[3:] or a.get(path) == b.get(path):
            continue
        bad += 1
        x, y = a.get(path) or {}, b.get(path) or {}
        if bad > 20:
            continue
        for key in sorted(set(x) | set(y)) or [""]:
            if x.get(key) != y.get(key):
                print("%s: %s: %s, %s" % (path, key, x.get(key), y.get(key)))
    print("%d paths, %d differ" % (len(set(a) | set(b)), bad))
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
