#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes images for tests from one static busybox, with Python alone.

usage: images.py BUSYBOX DIR

DIR/root.tar       a root file system: busybox, and nothing else
DIR/layout         an OCI image layout of two layers, one of them zstd if the
                   zstd program is there, else gzip
DIR/single         the same without an index of several platforms
DIR/oci.tar        the same as an archive
DIR/docker.tar.gz  the same as docker save writes it
DIR/two.tar        docker save of two images
DIR/arm.tar        an image for arm64
"""
import gzip
import hashlib
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile

APPLETS = ["sh", "ls", "id", "cat", "echo", "env", "pwd", "stat", "sync",
           "touch", "true", "sleep", "test", "tar", "mkdir", "rm", "wc"]


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Tar:
    def __init__(self):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w",
                                format=tarfile.PAX_FORMAT)

    def add(self, name, data=b"", mode=0o644, uid=0, gid=0, **more):
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.uid, info.gid = len(data), mode, uid, gid
        info.mtime = 1700000000
        for key, value in more.items():
            setattr(info, key, value)
        self.tar.addfile(info, io.BytesIO(data))

    def dir(self, name, mode=0o755):
        self.add(name, mode=mode, type=tarfile.DIRTYPE)

    def link(self, name, target):
        self.add(name, mode=0o777, type=tarfile.SYMTYPE, linkname=target)

    def bytes(self):
        self.tar.close()
        return self.out.getvalue()


def busybox_layer(busybox):
    t = Tar()
    t.dir("bin")
    with open(busybox, "rb") as f:
        t.add("bin/busybox", f.read(), mode=0o755)
    for name in APPLETS:
        t.link("bin/" + name, "busybox")
    return t


def base_layer(busybox):
    t = busybox_layer(busybox)
    t.dir("etc")
    t.add("etc/passwd", b"root:x:0:0::/root:/bin/sh\n"
          b"app:x:500:500::/srv/app:/bin/sh\n")
    t.add("etc/group", b"root:x:0:\napp:x:500:\n")
    t.add("data/old", b"old")
    t.add("entry", b"#!/bin/sh\necho \"entry:$*\"\n", mode=0o755)
    return t.bytes()


def second_layer():
    t = Tar()
    t.add("data/.wh.old")
    t.add("data/new", b"new")
    t.add("bin/tool", b"#!/bin/sh\n", mode=0o4755, uid=7, gid=8)
    t.add("srv/app/hello", b"hello", uid=500, gid=500)
    t.add("srv/app", type=tarfile.DIRTYPE, mode=0o755, uid=500, gid=500)
    return t.bytes()


def config(layers, arch="amd64"):
    return json.dumps({
        "architecture": arch, "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"User": "app", "WorkingDir": "/srv/app",
                   "Env": ["FOO=bar", "PATH=/bin:/usr/bin"],
                   "Entrypoint": ["/entry"], "Cmd": ["one", "two"]},
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + digest(x) for x in layers]},
        "history": [{"created_by": "first layer"},
                    {"created_by": "second layer"}]}).encode()


def pack(data, kind):
    if kind == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout
    return gzip.compress(data, mtime=0)


def layout(path, layers, conf, single=False, zstd=True):
    """Writes the layout: an index that names a foreign image as well."""
    blobs = os.path.join(path, "blobs", "sha256")
    os.makedirs(blobs)

    def put(data):
        with open(os.path.join(blobs, digest(data)), "wb") as f:
            f.write(data)
        return {"digest": "sha256:" + digest(data), "size": len(data)}

    zstd = zstd and shutil.which("zstd")
    kinds = ["gzip", "zstd" if zstd else "gzip"]
    media = "application/vnd.oci.image.layer.v1.tar+"
    manifest = put(json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": dict(put(conf), mediaType="application/vnd.oci.image."
                       "config.v1+json"),
        "layers": [dict(put(pack(x, k)), mediaType=media + k)
                   for x, k in zip(layers, itertools.cycle(kinds))]}).encode())
    manifest["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    with open(os.path.join(path, "oci-layout"), "w") as f:
        json.dump({"imageLayoutVersion": "1.0.0"}, f)
    other = dict(manifest, digest="sha256:" + "0" * 64,
                 platform={"architecture": "arm64", "os": "linux"})
    manifest["platform"] = {"architecture": "amd64", "os": "linux"}
    with open(os.path.join(path, "index.json"), "w") as f:
        json.dump({"schemaVersion": 2,
                   "manifests": [manifest] if single else [other, manifest]},
                  f)


def docker_save(images):
    """images: (tag, layers, config)."""
    t, entries = Tar(), []
    for tag, layers, conf in images:
        names = [digest(x) + "/layer.tar" for x in layers]
        for name, data in zip(names, layers):
            t.add(name, data)
        t.add(digest(conf) + ".json", conf)
        entries.append({"Config": digest(conf) + ".json", "RepoTags": [tag],
                        "Layers": names})
    t.add("manifest.json", json.dumps(entries).encode())
    return t.bytes()


def main():
    busybox, path = sys.argv[1:]
    os.makedirs(path)

    def put(name, data):
        with open(os.path.join(path, name), "wb") as f:
            f.write(data)

    layers = [base_layer(busybox), second_layer()]
    put("root.tar", busybox_layer(busybox).bytes())
    layout(os.path.join(path, "layout"), layers, config(layers))
    layout(os.path.join(path, "single"), layers, config(layers), True)
    with tarfile.open(os.path.join(path, "oci.tar"), "w") as t:
        t.add(os.path.join(path, "layout"), ".")
    saved = docker_save([("bb:1.0", layers, config(layers))])
    put("docker.tar.gz", gzip.compress(saved))
    small = [second_layer()]
    put("two.tar", docker_save([("two:a", small, config(small)),
                                ("two:b", layers, config(layers))]))
    put("arm.tar", docker_save([("arm", small, config(small, "arm64"))]))


if __name__ == "__main__":
    main()
