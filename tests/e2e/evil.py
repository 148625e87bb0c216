#!/usr/bin/env python3
"""See evil.sh."""
import os, select, subprocess, sys, tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bare

SECONDS = int(os.environ.get("COVE_EVIL_SECONDS", "60")) // 4
n = fails = 0


def result(good, name, detail=""):
    global n, fails
    n += 1
    print(f"{'ok' if good else 'not ok'} {n} - {name}", flush=True)
    if not good:
        fails += 1
        for line in detail.splitlines()[-30:]:
            print("#", line)


def wait_for_guest(g, seconds):
    """Whether QEMU ended by itself. Its sockets are closed before its process
    is gone, so our server's end may be seen first and says nothing alone; with
    that behind it QEMU has another minute."""
    both = select.poll()
    for p in (g.qemu, g.devices):
        both.register(os.pidfd_open(p.pid), select.POLLIN)
    both.poll(seconds * 1000)
    try:
        g.qemu.wait(60 if g.devices.poll() is not None else 0)
    except subprocess.TimeoutExpired:
        return False
    return True


def main():
    d = tempfile.mkdtemp(prefix="cove-evil.")
    initrd = d + "/initrd"
    evil = open(bare.BUILD + "/tests/guest/evil", "rb").read()
    bare.cpio(initrd, {"init": (0o100755, evil)})
    share, outside = d + "/share", d + "/outside"
    os.mkdir(share)
    os.mkdir(outside)
    open(share + "/file", "w").write("inside")
    open(outside + "/file", "w").write("outside")
    for name, ids, wild in (("the file server", "26", 0), ("vsock", "19", 0),
                            ("both", "26,19", 0), ("both, wild", "26,19", 1)):
        seed = int.from_bytes(os.urandom(4), "little")
        g = bare.Bare(initrd, [(share, 0), (outside, 1)],
                      append=f"evil.seconds={SECONDS} evil.seed={seed} evil.ids={ids} evil.wild={wild}")
        try:
            ended = wait_for_guest(g, 300 + 20 * SECONDS)
            if not ended:  # it hangs, or it lost its devices: end it from outside
                g.qemu.kill()
            try:
                status = g.devices.wait(60)
            except subprocess.TimeoutExpired:
                status = "did not end with its guest"
            g.qemu.wait()
            console = g.console()
            detail = (f"seed {seed} ended {ended} devices {status} qemu {g.qemu.returncode}\n"
                      + console[-2000:] + open(g.dir + "/devices.log").read()[-2000:]
                      + open(g.dir + "/qemu.log").read()[-500:])
            result(ended and status == 0, f"{name}: the device server lives to the end", detail)
            # QEMU 7.2 ends by an assertion of its own in one run of three, or
            # of a pointer that it has given back: ours must not.
            by_qemu = ended and g.qemu.returncode != 0
            rounds = [l for l in console.splitlines() if l.startswith("evil: round")]
            result(wild or by_qemu or "evil: done" in console,
                   f"{name}: the guest got to its end", detail)
            print("#", rounds[-1:], f"QEMU ended with {g.qemu.returncode}" if by_qemu else "", flush=True)
        finally:
            g.close()
    result(open(outside + "/file").read() == "outside" and os.listdir(outside) == ["file"],
           "the read-only export is untouched")
    print(f"1..{n}")
    return fails > 0


if __name__ == "__main__":
    sys.exit(main())
