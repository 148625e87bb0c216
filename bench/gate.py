#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cove-gate's tunnel against tinyproxy's CONNECT, in one run: CPU time of the
proxy's process for each request, which the load of the machine moves least.

Bytes that are no HTTP, so that both only pass them on: 100 up, SIZE down, on
one kept connection or on a new one each. The rounds of the two alternate; the
middle one counts. usage: bench/gate.py PATH-TO-cove-gate [ROUNDS]
"""
import os
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/e2e"))
from gate_lib import *

GATE, TMP = enter("127.0.0.1 localhost bench.test\n")
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
TICK = os.sysconf("SC_CLK_TCK")
UP = b"\1" * 96


def serve():
    """Each request says how much it wants."""
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG
    zero = bytes(8 << 20)
    s = socket.create_server(("127.0.0.1", 7000), backlog=1024)

    def one(c):
        while len(d := c.recv(100, socket.MSG_WAITALL)) == 100:
            c.sendall(zero[:struct.unpack("<I", d[96:])[0]])
        c.close()

    while True:
        c = s.accept()[0]
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=one, args=(c,), daemon=True).start()


def cpu(pid):
    """User and system, by the scheduler's clock: microseconds."""
    total = 0
    for t in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{t}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e3


class Direct:
    pid = None

    def connect(self):
        s = socket.create_connection(("127.0.0.1", 7000))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s


class Cove:
    def __init__(self):
        self.g = Gate("allow bench.test\nallow 127.0.0.1:7000\n")
        self.pid = self.g.proc.pid
        self.addr = socket.inet_ntoa(self.g.dns("bench.test")[1])

    def connect(self):
        return self.g.dial(self.addr, 7000)


class Tinyproxy:
    def __init__(self):
        conf = TMP + "/tinyproxy.conf"
        with open(conf, "w") as f:
            f.write("Port 8888\nListen 127.0.0.1\nTimeout 60\nLogLevel "
                    f"Critical\nLogFile \"{TMP}/tinyproxy.log\"\n"
                    "MaxClients 500\nAllow 127.0.0.1\n")
        self.p = subprocess.Popen(["tinyproxy", "-d", "-c", conf])
        self.pid = self.p.pid
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", 8888)).close()
                return
            except OSError:
                time.sleep(0.1)

    def connect(self):
        s = socket.create_connection(("127.0.0.1", 8888))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(b"CONNECT bench.test:7000 HTTP/1.1\r\n"
                  b"Host: bench.test:7000\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += s.recv(1)
        if b" 200 " not in head:
            raise OSError(head)
        return s


def request(s, size):
    s.sendall(UP + struct.pack("<I", size))
    left = size
    while left:
        d = s.recv(min(left, 1 << 20))
        if not d:
            raise OSError("the stream ended")
        left -= len(d)


def kept(proxy, size, n):
    s = proxy.connect()
    for _ in range(n):
        request(s, size)
    s.close()


def fresh(proxy, size, n):
    for _ in range(n):
        s = proxy.connect()
        request(s, size)
        s.close()


def measure(proxy, how, size, n):
    before = cpu(proxy.pid) if proxy.pid else 0
    began = time.monotonic()
    how(proxy, size, n)
    took = (time.monotonic() - began) * 1e6 / n
    if not proxy.pid:
        return 0, took
    time.sleep(0.05)  # its last accounting
    return (cpu(proxy.pid) - before) / n, took


if os.fork() == 0:
    serve()
subjects = {"direct": Direct(), "cove": Cove()}
if shutil.which("tinyproxy"):
    subjects["tinyproxy"] = Tinyproxy()
else:
    print("tinyproxy is not installed: only cove is measured")
print(f"{'':28}" + "".join(f"{n:>22}" for n in subjects))
ratios = {}
for label, how, size, n in (("kept, 1 kB", kept, 1024, 2000),
                            ("new connection, 1 kB", fresh, 1024, 500),
                            ("kept, 8 MB", kept, 8 << 20, 4)):
    rows = {name: [] for name in subjects}
    for p in subjects.values():
        measure(p, how, size, max(n // 10, 1))
    for _ in range(ROUNDS):
        for name, p in subjects.items():
            rows[name].append(measure(p, how, size, n))
    line = f"{label:28}"
    for name, r in rows.items():
        c = statistics.median(x[0] for x in r)
        t = statistics.median(x[1] for x in r)
        line += f"{c:10.0f} us CPU{t:7.0f} us"
        ratios[label, name] = c
    print(line, flush=True)
fds, kb = proc_figures(subjects["cove"].pid)
print(f"cove's private memory: {kb} kB")
bad = 0
for label in dict.fromkeys(k[0] for k in ratios):
    if (label, "tinyproxy") in ratios:
        r = ratios[label, "cove"] / ratios[label, "tinyproxy"]
        print(f"CPU, cove / tinyproxy, {label}: {r:.2f} (goal: at most 1)")
        bad += r > 1
if "tinyproxy" in subjects:
    subjects["tinyproxy"].p.kill()
os._exit(bad > 0)
