#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills import jobs at random points and looks at the store after each.

usage: kill_jobs.py COVE-IMAGE SOURCE STORE ROUNDS   (seed: COVE_TEST_SEED)

Every name must lead to a template that verifies in full; one job that is let
live at the end of each ten rounds must succeed.
"""
import os
import random
import shutil
import subprocess
import sys
import time

PROGRAM, SOURCE, STORE, ROUNDS = sys.argv[1:5]
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def check():
    names = os.path.join(STORE, "names")
    for name in os.listdir(names) if os.path.isdir(names) else []:
        if name.startswith("tmp-"):
            continue
        r = subprocess.run([PROGRAM, "verify", name], capture_output=True)
        if r.returncode:
            sys.exit("%s: %s" % (name, r.stderr.decode()))


def job(name):
    return [PROGRAM, "import", SOURCE, "--name", name]


def forget():
    """So that the next job has all of its work to do."""
    for entry in os.listdir(STORE):
        if len(entry) == 64:
            shutil.rmtree(os.path.join(STORE, entry))
    shutil.rmtree(os.path.join(STORE, "names"), ignore_errors=True)


def main():
    seed = int(os.environ.get("COVE_TEST_SEED", time.time()))
    print("seed", seed)
    rng = random.Random(seed)
    start = time.monotonic()
    subprocess.run(job("k-0"), check=True, **QUIET)
    whole = time.monotonic() - start
    killed = 0
    for k in range(int(ROUNDS)):
        anew = rng.random() < 0.5
        if anew:
            forget()
        start = time.monotonic()
        p = subprocess.Popen(job("k-%d" % rng.randrange(3)), **QUIET)
        try:
            p.wait(timeout=rng.random() * whole * 1.2)
            if anew:  # the first one may have been slow by chance
                whole = min(whole, time.monotonic() - start)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            killed += 1
        check()
        if k % 10 == 9:
            subprocess.run(job("alive"), check=True, **QUIET)
            check()
    print("killed %d of %s, a whole job takes %.0f ms" % (
        killed, ROUNDS, whole * 1000))
    if killed < int(ROUNDS) // 4:
        sys.exit("too few were killed in time")


if __name__ == "__main__":
    main()
