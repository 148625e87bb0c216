#!/usr/bin/env python3
"""Paired benchmarks of the running product. Every figure is a median of runs
that alternate with their counterpart in the same call, so that ratios hold on
a busy machine; absolute times do not travel.

    bench.py [start] [exec] [memory] [fs]      (default: all)

Needs what `make test-cache` prepares: $COVE_TEST_CACHE with a kernel and the
shell template. fs is in fsbench.py.
"""
import json, os, shutil, statistics, subprocess, sys, tempfile, time

import private
from private import CACHE, COVE, TOP

RUNS = int(os.environ.get("COVE_BENCH_RUNS", "7"))


def median(v):
    return statistics.median(v)


def first_output(argv, marker=b"", **kw):
    """Seconds until the process prints (marker), then its end."""
    t = time.monotonic()
    p = subprocess.Popen(argv, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, **kw)
    seen = b""
    while marker not in seen or not seen:
        d = os.read(p.stdout.fileno(), 4096)
        if not d:
            raise SystemExit(f"{argv[0]}: ended without output: {seen!r}")
        seen += d
    t = time.monotonic() - t
    while os.read(p.stdout.fileno(), 4096):
        pass
    p.wait()
    return t


def busybox_initrd(path):
    """The smallest guest there is: busybox as init says one line and ends."""
    busybox = shutil.which("busybox", path="/bin:/usr/bin:/usr/local/bin")
    d = tempfile.mkdtemp()
    os.makedirs(d + "/bin")
    shutil.copy(busybox, d + "/bin/busybox")
    with open(d + "/init", "w") as f:
        f.write("#!/bin/busybox sh\n/bin/busybox echo first-output\n"
                "/bin/busybox poweroff -f\n")
    os.chmod(d + "/init", 0o755)
    names = b"bin\nbin/busybox\ninit\n"
    with open(path, "wb") as out:
        subprocess.run([busybox, "cpio", "-o", "-H", "newc"], cwd=d,
                       input=names, stdout=out, stderr=subprocess.DEVNULL,
                       check=True)
    shutil.rmtree(d)


def tsc_khz():
    for line in open("/proc/cpuinfo"):
        if line.startswith("cpu MHz"):
            return int(float(line.split(":")[1]) * 1000)
    return 2000000


def plain_qemu(kernel, initrd):
    return ["qemu-system-x86_64", "-M",
            "microvm,pit=off,pic=off,rtc=on,x-option-roms=off,auto-kernel-cmdline=off",
            "-accel", "tcg,tb-size=256", "-cpu", "max", "-smp", "1", "-m", "512M",
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-kernel", kernel, "-initrd", initrd, "-append",
            "console=ttyS0 quiet reboot=t panic=-1 cryptomgr.notests "
            "random.trust_cpu=on 8250.nr_uarts=1 tsc=reliable no_timer_check "
            f"tsc_early_khz={tsc_khz()}", "-serial", "stdio"]


def bench_start(home):
    kernel = os.path.realpath(CACHE + "/kernels/current") + "/vmlinux"
    initrd = home + "/busybox.cpio"
    busybox_initrd(initrd)
    a, b = [], []
    work = home + "/work"
    for i in range(RUNS + 1):
        x = first_output([COVE, "run", "--rm", "--cpus", "1", "--memory", "512M",
                          "--engine", "qemu", "--", "echo", "first-output"],
                         b"first-output", cwd=work)
        y = first_output(plain_qemu(kernel, initrd), b"first-output")
        if i:  # the first pair warms the caches
            a.append(x)
            b.append(y)
    r = [x / y for x, y in zip(a, b)]
    print(f"create to first output      {median(a):8.3f} s"
          f"   plain qemu to busybox init {median(b):8.3f} s"
          f"   ratio {median(r):.2f}   (goal <= 1.3, {RUNS} pairs)")


def elapsed_ms(*command):
    s = time.monotonic()
    subprocess.run([COVE, "exec", "bench", *command], check=True)
    return (time.monotonic() - s) * 1000


def bench_exec(home):
    """Beside it, what `true` costs a shell of the same guest: no monitor could
    be faster, and both are slow on a slow host."""
    loop = "i=0; while [ $i -lt 20 ]; do /bin/true; i=$((i + 1)); done"
    subprocess.run([COVE, "create", "--name", "bench", "--cpus", "1",
                    "--memory", "512M", home + "/work"], check=True,
                   stdout=subprocess.DEVNULL)
    for i in range(10):
        elapsed_ms("true")
    a, b = [], []
    for i in range(RUNS + 5):
        a.append(median([elapsed_ms("true") for j in range(10)]))
        b.append((elapsed_ms("sh", "-c", loop) - a[-1]) / 20)
    r = [x / y for x, y in zip(a, b)]
    print(f"exec round trip             {median(a):8.1f} ms"
          f"  (rounds {min(a):.1f} to {max(a):.1f}; goal < 15 under TCG)"
          f"   true from the guest's shell {median(b):.1f} ms   ratio {median(r):.2f}")


def private_kib(pid):
    n = 0
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith(("Private_Clean", "Private_Dirty")):
            n += int(line.split()[1])
    return n


def bench_memory(home):
    o = private.inspect("bench")
    d = json.loads(private.cove("daemon", "status", "--json"))
    dev, coved = private_kib(o["pids_host"]["devices"]), private_kib(d["pid"])
    print(f"private memory, idle        {dev / 1024:8.2f} MiB cove-devices"
          f"  (one per sandbox; goal < 6), {coved / 1024:.2f} MiB coved (one per user)")


def main():
    want = sys.argv[1:] or ["start", "exec", "memory", "fs"]
    with private.home() as home:
        os.makedirs(home + "/work")
        for name in want:
            if name == "fs":
                subprocess.run([sys.executable, TOP + "/bench/fsbench.py"], check=True)
            else:
                if name == "memory" and "exec" not in want:
                    bench_exec(home)
                globals()["bench_" + name](home)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
