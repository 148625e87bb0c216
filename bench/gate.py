#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cove-gate against tinyproxy, squid and mitmproxy, in one run without a
guest: HTTPS requests through a tunnel, and through a proxy that opens TLS.

The figure is CPU time of the proxy for each request (its processes and all
below them), which the load of the machine moves least; time is that of one
client that asks one after the other, so what a proxy adds is the difference to
"direct". The rounds of all alternate, the middle one counts.
usage: bench/gate.py PATH-TO-cove-gate [ROUNDS [PROXY,...]]
"""
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
import gate_h2_lib
import gate_lib as lib
from gate_proxies import *

lib.enter("127.0.0.1 localhost\n", resolver=True)
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
ONLY = sys.argv[3].split(",") if len(sys.argv) > 3 else None
fresh_names = 0
HOST = f"bench.test:{ORIGIN}"


def request(s, path, size):
    s.sendall(b"GET /%s HTTP/1.1\r\nHost: %s:%d\r\n\r\n"
              % (path, s.server_hostname.encode(), ORIGIN))
    got = b""
    while b"\r\n\r\n" not in got:
        d = s.recv(1 << 16)
        if not d:
            raise OSError("the stream ended")
        got += d
    head, _, body = got.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise OSError(head)
    left = size - len(body)
    while left:
        d = s.recv(min(left, 1 << 20))
        if not d:
            raise OSError("the stream ended")
        left -= len(d)


def client(proxy, name):
    s = proxy.connect(name)
    if s.family != socket.AF_UNIX:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return proxy.tls.wrap_socket(s, server_hostname=name)


def kept(path, size):
    def go(proxy, n):
        with client(proxy, "bench.test") as s:
            for _ in range(n):
                request(s, path, size)
    return go


def fresh(proxy, n):
    for _ in range(n):
        with client(proxy, "bench.test") as s:
            request(s, b"1k", 1024)


def new_name(proxy, n):
    global fresh_names
    for _ in range(n):
        fresh_names += 1
        with client(proxy, f"n{fresh_names}.bench.test") as s:
            request(s, b"1k", 1024)


def kept_h2(path, size):
    def go(proxy, n):
        c = gate_h2_lib.Client(proxy.connect("bench.test"), "bench.test",
                               ("h2",), ca=proxy.ca)
        for _ in range(n):
            a = c.ask(path, authority=HOST)
            if a.status != 200 or len(a.body) != size:
                raise OSError(a.head)
        c.tls.close()
    return go


ROWS = (("kept alive, 1 kB", kept(b"1k", 1024), 1000),
        ("new connection, 1 kB", fresh, 100),
        ("new name, 1 kB", new_name, 50),
        ("kept alive, 8 MB", kept(b"8m", 8 << 20), 4))
# Of those that speak it; squid does not.
ROWS_H2 = (("HTTP/2, kept alive, 1 kB", kept_h2("/1k", 1024), 500),
           ("HTTP/2, kept alive, 8 MB", kept_h2("/8m", 8 << 20), 2))


def measure(proxy, how, n):
    """CPU and time of one request, in microseconds."""
    before = cpu(proxy.pid) if proxy.pid else 0
    began = time.monotonic()
    how(proxy, n)
    took = (time.monotonic() - began) * 1e6 / n
    if not proxy.pid:
        return 0, took
    time.sleep(0.05)  # what it does after the last answer
    return (cpu(proxy.pid) - before) / n, took


def compare(title, opened, kinds, rows):
    kinds = [k for k in there(kinds)
             if not ONLY or k.__name__.lower() in ONLY + ["direct"]]
    proxies = {k.__name__.lower(): k(opened) if k is not Direct else k()
               for k in kinds}
    for p in proxies.values():
        p.tls = lib.client_tls(p.ca)
    time.sleep(1)
    idle = {n: private(p.pid) for n, p in proxies.items() if p.pid}
    print(f"\n{title}\n{'':25}" + "".join(f"{n:>24}" for n in proxies))
    figures = {}
    for label, how, n in rows:
        able = {name: p for name, p in proxies.items()
                if p.h2 or "HTTP/2" not in label}
        seen = {name: [] for name in able}
        for p in able.values():
            measure(p, how, max(n // 10, 1))
        for _ in range(ROUNDS):
            for name, p in able.items():
                seen[name].append(measure(p, how, n))
        line = f"{label:25}"
        for name in proxies:
            s = seen.get(name)
            if not s:
                line += f"{'-':>24}"
                continue
            c, t = (statistics.median(x[i] for x in s) for i in (0, 1))
            figures[label, name] = c
            line += f"{c:9.0f} us CPU{t:8.0f} us"
        print(line, flush=True)
    for when, kb in (("private memory idle", idle), ("after it all", {
            n: private(p.pid) for n, p in proxies.items() if p.pid})):
        print(f"{when:25}" + "".join(
            f"{kb[n]:>21} kB" if n in kb else f"{'':>24}" for n in proxies))
    return figures


def goals(figures, other, most):
    """Prints cove's CPU time as a part of another's; the number missed."""
    bad = 0
    for (label, name) in figures:
        goal = most.get(label, most[""])
        if name != other or goal is None:
            continue
        r = figures[label, "cove"] / figures[label, other]
        print(f"CPU, cove / {other}, {label}: {r:.2f} (goal {goal})")
        bad += r > goal
    return bad


lib.authority("cove")
dns()
origin()
bad = goals(compare("tunnelled", False,
                    (Direct, Cove, Tinyproxy, Squid, Mitmproxy), ROWS),
            "tinyproxy", {"": 1.0})
bad += goals(compare("opened", True, (Direct, Cove, Squid, Mitmproxy),
                      ROWS + ROWS_H2),
             "squid", {"": 0.2, "kept alive, 1 kB": 0.5,
                       "kept alive, 8 MB": 0.5})
lib.shutil.rmtree(lib.TMP, ignore_errors=True)
os._exit(bad > 0)
