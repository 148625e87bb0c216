# SPDX-License-Identifier: Apache-2.0
"""The programs of the build, for benchmarks: with a COVE_HOME of their own that
ends with the run, and kernel and templates from the cache of `make test-cache`.
"""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("COVE_BUILD", TOP + "/build")
LIBEXEC = os.environ.get("COVE_LIBEXEC", BUILD + "/bin")
CACHE = os.environ.get("COVE_TEST_CACHE", TOP + "/.cache/dev/cache")
COVE = LIBEXEC + "/cove"


def cove(*args, stdin=None):
    """What the command printed; its failure ends the benchmark."""
    r = subprocess.run([COVE, *args], stdin=stdin or subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if r.returncode:
        raise SystemExit(f"cove {args[0]}: {r.stdout.decode()}")
    return r.stdout.decode()


def inspect(name):
    o = json.loads(cove("inspect", "--json", name))
    return o[0] if isinstance(o, list) else o


@contextlib.contextmanager
def home():
    """The directory; all sandboxes and coved are gone after it."""
    path = tempfile.mkdtemp(prefix="cove-bench.")
    os.environ.update(COVE_HOME=path, COVE_LIBEXEC=LIBEXEC)
    os.symlink(CACHE, path + "/cache")
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cpus", flush=True)
    try:
        yield path
    finally:
        for args in (["rm", "-f", "--all"], ["daemon", "stop"]):
            subprocess.run([COVE, *args], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        shutil.rmtree(path, ignore_errors=True)
