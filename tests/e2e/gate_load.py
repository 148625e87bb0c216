#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cove-gate with much to do: 5,000 streams at once, readers that do not read,
1 GB each way, connections without end; memory and descriptors stay flat.
STORM=60000 in the environment is the number of connections, and says that there
must be a thousand a second: for a machine that does nothing else.
Usage: gate_load.py PATH-TO-cove-gate [STREAMS [CONNECTIONS [MEGABYTES]]]
"""
import asyncio
import resource

from gate_lib import *

enter("127.0.0.1 load.test\n")
STREAMS, CONNECTIONS, MEGABYTES = (
    [int(x) for x in sys.argv[2:]] +
    [5000, int(os.environ.get("STORM", 20000)), 1024][len(sys.argv) - 2:])
# Two descriptors a stream in the gate, one here, one in the server.
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
STREAMS = min(STREAMS, (hard - 200) // 2)


async def echo(reader, writer):
    try:
        while d := await reader.read(65536):
            writer.write(d)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def serve(ready):
    s = await asyncio.start_server(echo, "127.0.0.1", 7000, backlog=4096)
    os.write(ready, b"1")
    async with s:
        await s.serve_forever()


def in_child(what, *args):
    pid = os.fork()
    if pid == 0:
        LIBC.prctl(1, 9)  # PR_SET_PDEATHSIG
        try:
            what(*args)
            os._exit(0)
        finally:
            os._exit(1)
    return pid


r, w = os.pipe()
in_child(lambda: asyncio.run(serve(w)))
os.read(r, 1)

g = Gate("allow load.test\nallow 127.0.0.1:7000-7001\n")
pid = g.proc.pid
addr = socket.inet_ntoa(g.dns("load.test")[1])
fds0, kb0 = proc_figures(pid)
_, idle = proc_figures(pid, "Private_Clean")
check(f"idle: {idle} kB private, {fds0} descriptors; below 4 MiB", idle < 4096)


def cpu():
    with open(f"/proc/{pid}/stat") as f:
        x = f.read().rsplit(")", 1)[1].split()
    return (int(x[11]) + int(x[12])) / os.sysconf("SC_CLK_TCK")


# ---- at once ----
began = time.monotonic()
socks = [g.dial(addr, 7000) for _ in range(STREAMS)]
for i, s in enumerate(socks):
    s.sendall(b"%08d" % i)
ok = all(s.recv(8) == b"%08d" % i for i, s in enumerate(socks))
fds, kb = proc_figures(pid)
check(f"{STREAMS} streams at once, each with its own bytes: "
      f"{time.monotonic() - began:.1f} s, {kb} kB, {fds} descriptors",
      ok and g.stats()[10] == STREAMS, g.stats())
check("an idle stream costs less than 4 kB", (kb - kb0) < 4 * STREAMS, kb)
# A hundred that send and never read; the others are not stalled.
for s in socks[:100]:
    s.setblocking(False)
    try:
        while True:
            s.send(b"z" * 65536)
    except BlockingIOError:
        pass
began = time.monotonic()
for i, s in enumerate(socks[100:1100]):
    s.sendall(b"%08d" % i)
ok = all(s.recv(8) == b"%08d" % i for i, s in enumerate(socks[100:1100]))
fds, kb = proc_figures(pid)
check(f"100 slow readers stall nobody, and cost {kb} kB", ok
      and kb < kb0 + 4 * STREAMS + 100 * 400, kb)
for s in socks:
    s.close()


def settled():
    end = time.monotonic() + PATIENCE
    while g.stats()[10] > 0 and time.monotonic() < end:
        time.sleep(0.05)
    return proc_figures(pid)


fds, kb = settled()
check(f"afterwards: {fds} descriptors, {kb} kB", fds <= fds0 + 1, fds)

# ---- much data ----
s = g.dial(addr, 7000)
total = MEGABYTES << 20
want, got, n = hashlib.blake2b(), hashlib.blake2b(), 0


def feed():
    block = os.urandom(1 << 20)
    for i in range(MEGABYTES):
        data = i.to_bytes(8, "big") + block[8:]
        want.update(data)
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)


began, used = time.monotonic(), cpu()
t = threading.Thread(target=feed)
t.start()
while d := s.recv(1 << 20):
    n += len(d)
    got.update(d)
t.join()
took = time.monotonic() - began
check(f"{MEGABYTES} MB up and down arrive intact: "
      f"{2 * MEGABYTES / took:.0f} MB/s here, "
      f"{(cpu() - used) * 1e3 / (2 * MEGABYTES):.2f} ms CPU a MB",
      n == total and got.digest() == want.digest(), n)
s.close()

# ---- one after another ----
def answer_once(ready):
    s = socket.create_server(("127.0.0.1", 7001), backlog=4096)
    os.write(ready, b"1")
    while True:
        with s.accept()[0] as c:
            try:
                c.send(c.recv(1))
            except OSError:
                pass  # the client counts it


def client(times):
    for _ in range(times):
        s = g.dial(addr, 7001)
        s.sendall(b"x")
        if s.recv(1) != b"x":
            raise OSError("no echo")
        s.close()


def churn(times):
    """From four processes; the number of those that saw something wrong."""
    kids = [in_child(client, times // 4) for _ in range(4)]
    return sum(os.waitpid(k, 0)[1] != 0 for k in kids)


in_child(answer_once, w)
os.read(r, 1)
wrong = churn(CONNECTIONS // 4)
fds1, kb1 = settled()
began, used = time.monotonic(), cpu()
wrong += churn(CONNECTIONS)
took = time.monotonic() - began
fds2, kb2 = settled()
check(f"{CONNECTIONS} connections: {CONNECTIONS / took:.0f} a second here, "
      f"{(cpu() - used) * 1e6 / CONNECTIONS:.0f} us CPU each", wrong == 0)
if "STORM" in os.environ:
    check("a thousand a second", CONNECTIONS / took >= 1000)
check(f"descriptors are flat: {fds1} and {fds2}", fds2 <= fds1)
check(f"memory is flat: {kb1} and {kb2} kB", kb2 <= kb1 + 64)
# The same with denials.
for _ in range(2000):
    read_all(g.dial("10.9.9.9", 80, first=b"\1"))
fds3, kb3 = settled()
check(f"denials leave nothing: {fds3} descriptors, {kb3} kB",
      fds3 <= fds1 and kb3 <= kb2 + 64)
check("it ends in order", g.stop() == 0)
done()
