#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cove-gate without a guest: the test speaks the guest's side of the sockets.

Runs in namespaces of its own: loopback only, a hosts file made here. Prints
TAP. Usage: gate_host.py PATH-TO-cove-gate
"""
import ctypes
import http.server
import json
import os
import hashlib
import shutil
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time

GATE = os.path.abspath(sys.argv[1])
if os.environ.get("COVE_GATE_INSIDE") != "1":
    if os.geteuid() != 0:
        extra = ["-r"]
    else:
        extra = []
    os.environ["COVE_GATE_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", *extra, "-m", "-n", sys.executable,
                          os.path.abspath(__file__), GATE])

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
socketserver.BaseServer.handle_error = lambda *a: None
TMP = tempfile.mkdtemp(prefix="cove-gate.")
with open(TMP + "/hosts", "w") as f:
    f.write("127.0.0.1 web.test fronted.test only.test deep.a.test\n"
            "127.0.0.1 rebound.test\n::1 web.test\n")
subprocess.run(["mount", "--bind", TMP + "/hosts", "/etc/hosts"], check=True)

count = 0
failed = 0


def check(name, ok, detail=""):
    global count, failed
    count += 1
    if not ok:
        failed += 1
        for line in str(detail).splitlines():
            print("# " + line)
    print(f"{'ok' if ok else 'not ok'} {count} - {name}", flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"hello from %s\n" % self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *a):
        pass


class Server6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve_http(cls, addr):
    s = cls((addr, 8080), Handler)
    threading.Thread(target=s.serve_forever, daemon=True).start()


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"banner\n")
        n = 0
        while True:
            d = self.request.recv(65536)
            if not d:
                break
            n += len(d)
            self.request.sendall(d)
        self.request.sendall(b"total %d\n" % n)


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


def tlv(tag, data):
    return struct.pack("<HHI", tag, 0, len(data)) + data


def u32(tag, v):
    return tlv(tag, struct.pack("<I", v))


def memfd(text):
    fd = os.memfd_create("rules")
    os.write(fd, text.encode())
    return fd


class Gate:
    def __init__(self, rules, name="box"):
        self.dir = tempfile.mkdtemp(dir=TMP)
        self.start(rules, name)

    def listen(self, name, kind):
        path = f"{self.dir}/{name}"
        if os.path.exists(path):
            os.unlink(path)
        s = socket.socket(socket.AF_UNIX, kind)
        s.bind(path)
        s.listen(4096)
        return s

    def start(self, rules, name="box"):
        egress = self.listen("vsock.sock_3128", socket.SOCK_STREAM)
        dns = self.listen("vsock.sock_53", socket.SOCK_STREAM)
        ctl = self.listen("gate.sock", socket.SOCK_SEQPACKET)
        os.makedirs(self.dir + "/net", exist_ok=True)
        d = os.open(self.dir + "/net", os.O_PATH | os.O_DIRECTORY)
        p = memfd(rules)
        run = os.open(self.dir, os.O_PATH | os.O_DIRECTORY)
        mine, theirs = socket.socketpair(socket.AF_UNIX,
                                         socket.SOCK_SEQPACKET)
        body = (u32(1, 1) + tlv(2, name.encode()) + u32(60, 0) + u32(61, 1)
                + u32(62, 2) + u32(63, 3) + u32(64, 4) + u32(68, 5))
        socket.send_fds(mine, [body], [egress.fileno(), dns.fileno(),
                                       ctl.fileno(), d, p, run])
        fd = theirs.fileno()

        def child():
            ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG
            os.dup2(fd, 3)

        self.proc = subprocess.Popen([GATE], preexec_fn=child,
                                     close_fds=False)
        theirs.close()
        self.answer = mine.recv(4096)
        for s in (egress, dns, ctl, mine):
            s.close()
        os.close(d)
        os.close(run)
        os.close(p)
        self.ctl = None

    def connect(self, name):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect(f"{self.dir}/{name}")
        return s

    def control(self, kind, body=b"", fds=()):
        if not self.ctl:
            self.ctl = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.ctl.connect(self.dir + "/gate.sock")
        msg = struct.pack("<IBBH", len(body), kind, 0, 0) + body
        socket.send_fds(self.ctl, [msg], list(fds))
        return self.ctl.recv(4096)

    def set_rules(self, rules):
        fd = memfd(rules)
        r = self.control(3, b"", [fd])
        os.close(fd)
        return r[4]

    def stats(self):
        r = self.control(5)
        out, p = {}, 8
        while p < len(r):
            tag, _, n = struct.unpack_from("<HHI", r, p)
            out[tag] = struct.unpack_from("<Q", r, p + 8)[0]
            p += 8 + n
        return out

    def dns(self, name, kind=1):
        q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0)
        for label in name.split("."):
            q += bytes([len(label)]) + label.encode()
        q += b"\0" + struct.pack(">HH", kind, 1)
        s = self.connect("vsock.sock_53")
        s.sendall(struct.pack(">H", len(q)) + q)
        n = struct.unpack(">H", s.recv(2))[0]
        r = s.recv(n)
        s.close()
        code = struct.unpack(">H", r[2:4])[0] & 15
        if struct.unpack(">H", r[6:8])[0] == 0:
            return code, None
        return code, r[-16:] if kind == 28 else r[-4:]

    def dial(self, addr, port, proto=1):
        """addr: a name, or an address as text."""
        try:
            raw = bytes(10) + b"\xff\xff" + socket.inet_aton(addr)
        except OSError:
            try:
                raw = socket.inet_pton(socket.AF_INET6, addr)
            except OSError:
                code, v4 = self.dns(addr)
                if v4 is None:
                    raise OSError("NXDOMAIN")
                raw = bytes(10) + b"\xff\xff" + v4
        s = self.connect("vsock.sock_3128")
        s.sendall(struct.pack("<BBHI", 1, proto, port, 0) + raw)
        return s

    def get(self, addr, port, host=None, path="/"):
        s = self.dial(addr, port)
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: {host or addr}\r\n"
                  "Connection: close\r\n\r\n".encode())
        return read_all(s)

    def log(self):
        with open(self.dir + "/net/net.log") as f:
            return [json.loads(x) for x in f]

    def stop(self):
        self.proc.terminate()
        return self.proc.wait(10)


def read_all(s):
    out = b""
    try:
        while True:
            d = s.recv(65536)
            if not d:
                break
            out += d
    except ConnectionResetError:
        out += b"<reset>"
    s.close()
    return out


def hello(name):
    """A ClientHello that names a host."""
    sni = name.encode()
    ext = struct.pack(">HHHBH", 0, len(sni) + 5, len(sni) + 3, 0, len(sni))
    ext += sni
    body = (b"\3\3" + bytes(32) + b"\0" + struct.pack(">HH", 2, 0x1301)
            + b"\1\0" + struct.pack(">H", len(ext)) + ext)
    msg = b"\1" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\3\1" + struct.pack(">H", len(msg)) + msg


serve_http(http.server.ThreadingHTTPServer, "127.0.0.1")
serve_http(Server6, "::1")
echo = TcpServer(("127.0.0.1", 7000), Echo)
threading.Thread(target=echo.serve_forever, daemon=True).start()

LOOP = "allow 127.0.0.0/8 id=loop\nallow [::1] id=loop6\n"
g = Gate("allow web.test id=web\nallow **.a.test:8080\n" + LOOP)
check("it serves", g.answer == b"\1", g.answer)
check("an allowed name answers", b"hello from web.test"
      in g.get("web.test", 8080), g.get("web.test", 8080))
check("its IPv6 address is synthetic",
      g.dns("web.test", 28)[1][:2] == b"\xfd\xc0")
check("the same name has the same address",
      g.dns("web.test")[1] == g.dns("WEB.test.".rstrip("."))[1])
check("a denied name does not resolve", g.dns("other.test") == (3, None))
r = g.get("10.1.2.3", 80)
check("a literal address gets a legible 403", b"403" in r
      and b"10.1.2.3" in r and b"cove policy allow 10.1.2.3:80" in r, r)
r = g.get("deep.a.test", 80)
check("a denied port gets a legible 403", b"403" in r
      and b"no rule allows it" in r, r)
s = g.dial("10.1.2.3", 443)
s.sendall(hello("x.test"))
check("TLS to a denied address is closed", read_all(s) in (b"", b"<reset>"))
s = g.dial("198.18.77.77", 80)
s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
check("an address without a name is denied", b"no name has" in read_all(s))
s = g.dial("web.test", 7000)
s.sendall(b"x" * 100000)
s.shutdown(socket.SHUT_WR)
r = read_all(s)
check("a server that speaks first, and half-close",
      r.startswith(b"banner\n") and r.endswith(b"total 100000\n")
      and len(r) == 100000 + 7 + 13, r[-40:])
s = g.dial("web.test", 7000)
s.sendall(hello("web.test"))
check("TLS with the right name passes", s.recv(7) == b"banner\n")
s.close()
s = g.dial("web.test", 7000)
for b in hello("web.test"):
    s.sendall(bytes([b]))
check("also byte by byte", s.recv(7) == b"banner\n")
s.close()
s = g.dial("web.test", 7000)
s.sendall(hello("fronted.test"))
r = read_all(s)
check("TLS with another name is cut", r in (b"", b"<reset>", b"banner\n",
      b"banner\n<reset>"), r)
r = g.get("web.test", 8080, host="fronted.test")
check("HTTP for another host is refused", b"403" in r
      and b"names another host" in r, r)

# Addresses.
g2 = Gate("allow rebound.test\nallow **\n")
r = g2.get("rebound.test", 8080)
check("a name that resolves to loopback is refused", b"403" in r
      and b"loopback address that no rule names" in r, r)
for a in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1",
          "::1", "64:ff9b::7f00:1", "2002:7f00:1::", "fd00::1", "0.0.0.0"):
    r = g2.get(a, 8080)
    check(f"literal {a} is refused under **", b"403" in r, r)
r = g2.dns("host.cove.internal")
check("** does not open the host", r == (3, None), r)
g2.set_rules("allow host:8080\n")
r = g2.get("host.cove.internal", 8080)
check("host:PORT does", b"hello from host.cove.internal" in r, r)
check("and no other port", b"403" in g2.get("host.cove.internal", 7000))
g2.stop()

# Rules that change.
s = g.dial("web.test", 7000)
s.recv(7)
check("broken rules are refused", g.set_rules("allow !!!") == 2)
s.sendall(b"still")
check("and change nothing", s.recv(5) == b"still")
check("good ones are taken", g.set_rules("deny web.test id=no\n" + LOOP) == 1)
check("they cut an open stream", read_all(s) in (b"", b"<reset>"))
check("a denied name is gone", g.dns("web.test")[0] == 3)
check("every line of the log is there",
      {e["verdict"] for e in g.log()} >= {"allow", "deny", "cut", "end"})
prev = None
chain = True
with open(g.dir + "/net/net.log") as f:
    for line in f:
        line = line.rstrip("\n")
        if prev:
            chain = chain and json.loads(line)["prev"] == prev
        prev = hashlib.sha256(line.encode()).hexdigest()
check("the log is a chain", chain)

# Restart: the same names.
g.set_rules("allow web.test\n" + LOOP)
before = g.dns("web.test")[1]
g.proc.kill()
g.proc.wait()
g.start("allow zzz.test\nallow web.test\n" + LOOP)
g.dns("zzz.test")
check("a new gate knows the old addresses", g.dns("web.test")[1] == before)

# Garbage.
for junk in (b"", b"\0" * 24, b"\1\1\0\0" + bytes(20), b"\x02" * 24,
             os.urandom(24), b"\1\3" + os.urandom(22)):
    s = g.connect("vsock.sock_3128")
    s.sendall(junk)
    s.shutdown(socket.SHUT_WR)
    read_all(s)
for junk in (b"\xff\xff", b"\0\1x", b"\0\x0c" + bytes(12), os.urandom(300)):
    s = g.connect("vsock.sock_53")
    s.sendall(junk)
    s.shutdown(socket.SHUT_WR)
    read_all(s)
check("garbage does not end it", b"hello" in g.get("web.test", 8080))
r = g.dial("web.test", 53, proto=2)
check("UDP is refused", read_all(r) in (b"", b"<reset>"))

# Many, a slow one, and a lot.
socks = []
try:
    for i in range(400):
        s = g.dial("web.test", 7000)
        socks.append(s)
    ok = all(s.recv(7) == b"banner\n" for s in socks)
    for i, s in enumerate(socks):
        s.sendall(b"%06d" % i)
    ok = ok and all(s.recv(6) == b"%06d" % i for i, s in enumerate(socks))
except OSError as e:
    ok = e
check("400 streams at once", ok is True, ok)
slow = socks[0]
slow.settimeout(0.2)
try:
    for i in range(200):
        slow.sendall(b"z" * 65536)
except OSError:
    pass
check("a slow reader stalls nobody", b"hello" in g.get("web.test", 8080))
for s in socks:
    s.close()
s = g.dial("web.test", 7000)
s.recv(7)
total = 64 << 20
got = hashlib.sha256()
want = hashlib.sha256()


def feed():
    block = os.urandom(1 << 20)
    for i in range(total >> 20):
        want.update(block)
        s.sendall(block)
    s.shutdown(socket.SHUT_WR)


t = threading.Thread(target=feed)
t.start()
n = 0
while n < total:
    d = s.recv(min(1 << 20, total - n))
    if not d:
        break
    n += len(d)
    got.update(d)
t.join()
check("64 MB up and down arrive intact", got.digest() == want.digest(), n)
s.close()
deadline = time.monotonic() + 5
while g.stats()[10] > 0 and time.monotonic() < deadline:
    time.sleep(0.05)
check("no stream is left", g.stats()[10] == 0, g.stats())
check("descriptors are given back",
      len(os.listdir(f"/proc/{g.proc.pid}/fd")) < 24)

# Quota and rate.
g.control(4, tlv(6, struct.pack("<Q", 1)))
check("a used-up quota denies", b"quota" in g.get("web.test", 8080))
g.control(4, tlv(6, struct.pack("<Q", 0))
          + tlv(5, struct.pack("<Q", 262144)))
s = g.dial("web.test", 7000)
began = time.monotonic()
s.sendall(b"r" * 262144)
s.shutdown(socket.SHUT_WR)
n = len(read_all(s))
took = time.monotonic() - began
check("a rate holds", 0.5 < took < 6 and n > 262144, (took, n))
check("it ends in order", g.stop() == 0)
shutil.rmtree(TMP, ignore_errors=True)
print(f"1..{count}")
sys.exit(1 if failed else 0)
