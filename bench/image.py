#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an image costs until sandboxes can start from it, in seconds per GB of
what is in it, against `skopeo copy` and `umoci unpack`. Runs alternate, so that
ratios hold on a busy machine; CPU is that of all processes of a run.

    bench/image.py [ROUNDS [MIB]]     (default 3 rounds, about 400 MiB)

The image is made of this host's own /usr: two layers, gzip (umoci reads no zstd), as an
archive of an OCI layout. Needs skopeo and umoci; no guest, no network.
"""
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("COVE_BUILD", TOP + "/build")
IMAGE = os.environ.get("COVE_LIBEXEC", BUILD + "/bin") + "/cove-image"
TREES = ("/usr/lib/python3", "/usr/share/perl", "/usr/lib/git-core",
         "/usr/share/zoneinfo", "/usr/bin", "/usr/lib/x86_64-linux-gnu",
         "/usr/include", "/usr/share")


def fill(path, budget, skip):
    """A tar of files of the host; how many bytes and entries there are."""
    bytes_, entries, seen = 0, 0, 0
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for top in TREES:
            for dir_, dirs, names in os.walk(top):
                dirs.sort()
                for name in sorted(names):
                    f = os.path.join(dir_, name)
                    try:
                        st = os.lstat(f)
                        if not os.path.isfile(f) and not os.path.islink(f):
                            continue
                        seen += st.st_size
                        if seen <= skip or not os.access(f, os.R_OK):
                            continue
                        tar.add(f, recursive=False)
                    except (OSError, UnicodeError):
                        continue
                    bytes_ += 0 if os.path.islink(f) else st.st_size
                    entries += 1
                    if bytes_ >= budget:
                        return bytes_, entries
    return bytes_, entries


def put_blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{digest}", "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def make_image(home, mib):
    layout = home + "/layout"
    os.makedirs(layout + "/blobs/sha256")
    total, entries, layers, diffs = 0, 0, [], []
    for kind in ("lower", "upper"):
        tar = f"{home}/{kind}.tar"
        n, count = fill(tar, mib << 19, total)
        total, entries = total + n, entries + count
        with open(tar, "rb") as f:
            diffs.append("sha256:" + hashlib.file_digest(f, "sha256")
                         .hexdigest())
        packed = subprocess.run(["gzip", "-q", "-c", tar], check=True,
                                stdout=subprocess.PIPE).stdout
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                       **put_blob(layout, packed)})
        os.unlink(tar)
    config = put_blob(layout, json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {},
         "rootfs": {"type": "layers", "diff_ids": diffs}}).encode())
    manifest = put_blob(layout, json.dumps(
        {"schemaVersion": 2,
         "mediaType": "application/vnd.oci.image.manifest.v1+json",
         "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                    **config}, "layers": layers}).encode())
    manifest["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "it"}
    with open(layout + "/index.json", "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [manifest]}, f)
    with open(layout + "/oci-layout", "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')
    subprocess.run(["tar", "-C", layout, "-cf", home + "/image.tar", "."],
                   check=True)
    shutil.rmtree(layout)
    return total, entries, sum(x["size"] for x in layers)


def measure(*commands):
    """Wall and CPU seconds, of the commands and all that they started."""
    a, t = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    for argv in commands:
        r = subprocess.run(argv, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode:
            raise SystemExit(f"{argv[0]}: {r.stdout.decode()[-500:]}")
    b, t = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - t
    return t, b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime


def ours(home):
    os.environ["COVE_HOME"] = home + "/cove"
    m = measure([IMAGE, "import", home + "/image.tar", "--name", "it"])
    shutil.rmtree(home + "/cove")
    return m


def theirs(home):
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    m = measure(["skopeo", "copy", "-q", f"oci-archive:{home}/image.tar:it",
                 f"oci:{home}/oci:it"],
                ["umoci", "unpack", *rootless, "--image", home + "/oci:it",
                 home + "/bundle"])
    shutil.rmtree(home + "/oci")
    shutil.rmtree(home + "/bundle")
    return m


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    mib = int(sys.argv[2]) if len(sys.argv) > 2 else 400
    missing = [p for p in ("skopeo", "umoci") if not shutil.which(p)]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}")
    home = tempfile.mkdtemp(prefix="cove-bench.")
    try:
        total, entries, packed = make_image(home, mib)
        gb = total / 1e9
        print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cpus; "
              f"{total / 1e6:.0f} MB in {entries} entries, "
              f"{packed / 1e6:.0f} MB packed", flush=True)
        runs = [(ours(home), theirs(home)) for _ in range(rounds)]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for i, unit in enumerate(("seconds", "CPU-seconds")):
        a = statistics.median(r[0][i] for r in runs)
        b = statistics.median(r[1][i] for r in runs)
        ratio = statistics.median(r[0][i] / r[1][i] for r in runs)
        print(f"{unit:12} per GB: import {a / gb:6.2f}   "
              f"skopeo copy + umoci unpack {b / gb:6.2f}   "
              f"ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
