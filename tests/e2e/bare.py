"""A bare guest beside our device server, without coved: QEMU with any initrd
and any further arguments, cove-devices configured by its birth message. Used
by tests that want to be the guest, and by benchmarks that want two file
servers in one guest. Also the host's half of the agent protocol, written a
second time on purpose."""
import os, select, shutil, socket, struct, subprocess, tempfile, time, uuid

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("COVE_BUILD", TOP + "/build")
LIBEXEC = os.environ.get("COVE_LIBEXEC", BUILD + "/bin")
CACHE = os.environ.get("COVE_TEST_CACHE", TOP + "/.cache/dev/cache")
KERNEL = CACHE + "/kernels/current"


def rec(tag, data):
    return struct.pack("<HHI", tag, 0, len(data)) + data


def u32(tag, v):
    return rec(tag, struct.pack("<I", v))


def u64(tag, v):
    return rec(tag, struct.pack("<Q", v))


def frame(kind, payload=b""):
    return struct.pack("<IBBH", len(payload), kind, 0, 0) + payload


def records(body):
    out, at = [], 0
    while at < len(body):
        tag, zero, n = struct.unpack_from("<HHI", body, at)
        out.append((tag, body[at + 8:at + 8 + n]))
        at += 8 + n
    return out


def recv_exact(s, n):
    d = b""
    while len(d) < n:
        x = s.recv(n - len(d))
        if not x:
            raise EOFError
        d += x
    return d


def recv_frame(s):
    n, kind, _, _ = struct.unpack("<IBBH", recv_exact(s, 8))
    return kind, recv_exact(s, n)


def tsc_khz():
    for line in open("/proc/cpuinfo"):
        if line.startswith("cpu MHz"):
            return int(float(line.split(":")[1]) * 1000)
    return 2000000


def cpio(path, files):
    """A newc archive of {name: (mode, bytes)}; parents are made."""
    with open(path, "wb") as f:
        def put(name, mode, data):
            n = name.encode() + b"\0"
            f.write(b"070701" + b"".join(b"%08X" % v for v in (
                0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(n), 0)))
            f.write(n + b"\0" * (-(110 + len(n)) % 4))
            f.write(data + b"\0" * (-len(data) % 4))
        done = set()
        for name, (mode, data) in files.items():
            parts = name.split("/")[:-1]
            for i in range(len(parts)):
                d = "/".join(parts[:i + 1])
                if d not in done:
                    done.add(d)
                    put(d, 0o40755, b"")
            put(name, mode, data)
        put("TRAILER!!!", 0, b"")


class Bare:
    def __init__(self, initrd, exports=(), memory=512, cpus=1, append="",
                 extra=(), pass_fds=(), devices=None):
        self.dir = tempfile.mkdtemp(prefix="cove-bare.")
        self.run = os.open(self.dir, os.O_PATH | os.O_DIRECTORY)
        self.control = socket.socket(socket.AF_UNIX)
        self.control.bind(self.dir + "/vsock.sock_1024")
        self.control.listen()
        listen = socket.socket(socket.AF_UNIX)
        listen.bind(self.dir + "/vsock.sock")
        listen.listen()
        self.log_fd = os.open(self.dir + "/console.log",
                              os.O_RDWR | os.O_CREAT, 0o600)
        pairs = [socket.socketpair() for _ in range(3)]
        fds, body = [], u32(1, 1) + rec(2, b"bare") + u32(17, 1000) + u32(18, 1000)

        def fd(tag, n):
            fds.append(n)
            return u32(tag, len(fds) - 1)
        body += fd(10, pairs[0][0].fileno()) + fd(11, pairs[1][0].fileno())
        body += fd(14, pairs[2][0].fileno()) + fd(13, self.run)
        body += fd(12, listen.fileno()) + fd(15, self.log_fd)
        opened = []
        for i, (path, flags) in enumerate(exports):
            opened.append(os.open(path, os.O_PATH))
            body += rec(16, fd(1, opened[-1]) + rec(2, b"%d" % i) + u32(3, flags))
        birth, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        socket.send_fds(birth, [body], fds)
        self.birth = birth

        def place():
            os.dup2(theirs.fileno(), 3)
        self.devices_log = open(self.dir + "/devices.log", "wb")
        self.devices = subprocess.Popen(
            [devices or LIBEXEC + "/cove-devices"], preexec_fn=place,
            close_fds=True, pass_fds=(3,), stdin=subprocess.DEVNULL,
            stdout=self.devices_log, stderr=self.devices_log)
        for n in opened:
            os.close(n)
        q = [p[1] for p in pairs]
        mem = f"{memory}M"
        argv = ["qemu-system-x86_64", "-M",
                "microvm,pit=off,pic=off,rtc=on,x-option-roms=off,"
                "auto-kernel-cmdline=off,memory-backend=mem",
                "-accel", "tcg,tb-size=256", "-cpu", "max,-erms,-fsrm", "-smp", str(cpus),
                "-m", mem, "-object",
                f"memory-backend-memfd,id=mem,size={mem},share=on",
                "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
                "-global", "virtio-mmio.force-legacy=false",
                "-kernel", KERNEL + "/vmlinux", "-initrd", initrd, "-append",
                "console=ttyS0 quiet reboot=t panic=-1 cryptomgr.notests "
                "random.trust_cpu=on 8250.nr_uarts=1 tsc=reliable no_timer_check "
                f"tsc_early_khz={tsc_khz()} {append}",
                "-chardev", f"socket,id=con,fd={q[2].fileno()}",
                "-serial", "chardev:con",
                "-chardev", f"socket,id=fs,fd={q[0].fileno()}",
                "-device", "vhost-user-fs-device,chardev=fs,tag=cove,queue-size=1024",
                "-chardev", f"socket,id=vs,fd={q[1].fileno()}",
                "-device", "vhost-user-vsock-device,chardev=vs", *extra]
        self.qemu_log = open(self.dir + "/qemu.log", "wb")
        self.qemu = subprocess.Popen(
            argv, pass_fds=[s.fileno() for s in q] + list(pass_fds),
            stdin=subprocess.DEVNULL, stdout=self.qemu_log, stderr=self.qemu_log)
        for a, b in pairs:
            a.close()
            b.close()
        theirs.close()
        listen.close()

    def console(self):
        return open(self.dir + "/console.log", errors="replace").read()

    def connect(self, port):
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.dir + "/vsock.sock")
        s.sendall(b"CONNECT %d\n" % port)
        line = b""
        while not line.endswith(b"\n"):
            line += recv_exact(s, 1)
        if not line.startswith(b"OK "):
            raise OSError(line)
        return s

    def agent_up(self, config=b"", seconds=120):
        """HELLO, CONFIG, READY on the control stream."""
        self.control.settimeout(seconds)
        s, _ = self.control.accept()
        s.settimeout(seconds)
        kind, hello = recv_frame(s)
        assert kind == 1, kind
        s.sendall(frame(2, u32(1, 1) + rec(64, b"bare") + rec(65, str(uuid.uuid4()).encode()) +
                        rec(66, os.urandom(64)) + rec(75, b"agent") +
                        u64(8, time.time_ns()) + config))
        kind, ready = recv_frame(s)
        if kind != 3:
            raise OSError((kind, ready))
        self.agent = s
        return hello, ready

    def exec(self, argv, user="root", stdin=None):
        """Exit status, stdout, stderr."""
        s = self.connect(1025)
        body = b"".join(rec(32, a.encode()) for a in argv) + rec(35, user.encode())
        s.sendall(frame(32, body + u32(36, 0)))
        out, err = b"", b""
        while True:
            kind, p = recv_frame(s)
            if kind == 38:
                out += p
            elif kind == 39:
                err += p
            elif kind == 42:
                s.close()
                return struct.unpack("<I", dict(records(p))[14])[0], out, err
            elif kind == 4:
                raise OSError(p)

    def close(self):
        for p in (self.qemu, self.devices):
            if p.poll() is None:
                p.kill()
            p.wait()
        self.control.close()
        os.close(self.run)
        os.close(self.log_fd)
        shutil.rmtree(self.dir, ignore_errors=True)
