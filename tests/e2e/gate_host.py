#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cove-gate without a guest: the test speaks the guest's side of the sockets.

Runs in namespaces of its own: loopback only, a hosts file made here. Prints
TAP. Usage: gate_host.py PATH-TO-cove-gate
"""
from gate_lib import *

enter("127.0.0.1 localhost web.test fronted.test only.test deep.a.test\n"
      "127.0.0.1 rebound.test\n::1 web.test\n")

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
s = g.dial("10.1.2.3", 443, first=hello("x.test"))
check("TLS to a denied address is closed", read_all(s) in (b"", b"<reset>"))
s = g.dial("198.18.77.77", 80, first=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
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

# UDP by rule.
class Datagrams(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data, self.client_address)
        if data == b"two":
            sock.sendto(data, self.client_address)


udp = socketserver.UDPServer(("127.0.0.1", 7001), Datagrams)
udp.max_packet_size = 65535
threading.Thread(target=udp.serve_forever, daemon=True).start()


def frame(p):
    return struct.pack("<H", len(p)) + p


def unframe(s):
    head = recv_exact(s, 2)
    if len(head) < 2:
        return None
    return recv_exact(s, struct.unpack("<H", head)[0])


g.set_rules("allow web.test\nallow web.test:7001 udp\n"
            "allow 127.0.0.0/8:7001 udp\n" + LOOP)
s = g.dial("web.test", 7001, proto=2)
ok = True
for p in (b"one", b"", b"x" * 60000, b"GET / HTTP/1.1\r\n\r\n", b"two"):
    s.sendall(frame(p))
    ok = ok and unframe(s) == p
check("datagrams go and come, each whole", ok and unframe(s) == b"two")
for b in frame(b"slowly"):
    s.sendall(bytes([b]))
check("also when they come in pieces", unframe(s) == b"slowly")
check("a rule of UDP is none of TCP and the other way round",
      read_all(g.dial("web.test", 8080, proto=2)) in (b"", b"<reset>"))
s2 = g.dial("127.0.0.1", 7001, proto=2)
s2.sendall(frame(b"literal"))
check("to an address that a rule names", unframe(s2) == b"literal")
check("a name for UDP alone resolves", g.set_rules(
      "allow only.test:7001 udp\nallow 127.0.0.0/8:7001 udp\n") == 1
      and g.dns("only.test")[1] is not None)
check("changed rules cut it", read_all(s) in (b"", b"<reset>"))
g.set_rules("allow web.test\n" + LOOP)

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
check("no stream is left", g.drained(), g.stats())
check("descriptors are given back",
      len(os.listdir(f"/proc/{g.proc.pid}/fd")) < 24)

# The host's proxy.
said = []


def pump(a, b):
    try:
        while d := a.recv(65536):
            b.sendall(d)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def join(client, port):
    s = socket.create_connection(("127.0.0.1", port))
    back = threading.Thread(target=pump, args=(s, client), daemon=True)
    back.start()
    pump(client, s)
    back.join()


class Connect(socketserver.BaseRequestHandler):
    def handle(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (c := self.request.recv(1)):
                return
            head += c
        said.append(head)
        if b"refuse" in head:
            self.request.sendall(b"HTTP/1.1 407 Who are you\r\n\r\n")
            return
        self.request.sendall(b"HTTP/1.1 200 fine\r\nVia: x\r\n\r\n")
        join(self.request, int(head.split()[1].split(b":")[-1]))


class Socks(socketserver.BaseRequestHandler):
    def take(self, n):
        return self.request.recv(n, socket.MSG_WAITALL)

    def handle(self):
        method = self.take(3)[2]
        self.request.sendall(bytes([5, method]))
        if method == 2:
            user = self.take(self.take(2)[1])
            said.append((user, self.take(self.take(1)[0])))
            self.request.sendall(b"\1\0")
        kind = self.take(4)[3]
        host = self.take(self.take(1)[0] if kind == 3 else 4)
        port = struct.unpack(">H", self.take(2))[0]
        said.append((host, port))
        self.request.sendall(b"\5\0\0\1" + bytes(6))
        join(self.request, port)


for port, cls in ((7100, Connect), (7101, Socks)):
    t = TcpServer(("127.0.0.1", port), cls)
    threading.Thread(target=t.serve_forever, daemon=True).start()


def behind(url, no=""):
    return Gate("allow far.test\nallow refuse.test\nallow near.test\n"
                "allow web.test\nallow 8.8.8.8\n" + LOOP,
                extra=tlv(70, url.encode()) + tlv(71, no.encode()))


for url in ("http://u%40x:p@127.0.0.1:7100", "socks5://us:pw@127.0.0.1:7101",
            "socks5h://localhost:7101"):
    del said[:]
    p = behind(url, "near.test,.web.test")
    s = p.dial("far.test", 7000)
    r = s.recv(7)
    s.sendall(b"x" * 1000)
    s.shutdown(socket.SHUT_WR)
    r += read_all(s)
    check("through " + url.split("@")[-1] + ", by name", r.startswith(
          b"banner\n") and r.endswith(b"total 1000\n")
          and b"far.test" in str(said).encode(), (r, said))
    if url.startswith("http"):
        check("CONNECT is whole", said[0].startswith(
              b"CONNECT far.test:7000 HTTP/1.1\r\nHost: far.test:7000\r\n"
              b"Proxy-Authorization: Basic dUB4OnA=\r\n\r\n"), said)
        r = p.get("refuse.test", 8080)
        check("what it says is told", b"502" in r and b"407 Who" in r, r)
    del said[:]
    r = p.get("web.test", 8080)
    check("NO_PROXY goes directly", b"hello" in r and not said, (r, said))
    r = p.get("10.0.0.1", 8080)
    check("an address is judged first", b"403" in r and not said, (r, said))
    p.stop()
p = behind("http://127.0.0.1:7999")
r = p.get("far.test", 8080)
check("a proxy that is not there", b"502" in r and b"host's proxy" in r, r)
p.stop()
p = behind("gopher://x")
check("a setting nobody understands denies",
      b"not understood" in p.get("far.test", 8080))
p.stop()

# A rule's quota outlives its gate, and nothing else does.
def bounce(gate, n):
    """Sends n bytes and takes them back; how many came."""
    s = gate.dial("web.test", 7000)

    def send():
        try:
            s.sendall(b"q" * n)
        except OSError:
            pass

    t = threading.Thread(target=send)
    t.start()
    got = b""
    try:
        while len(got) < n + 7 and (d := s.recv(65536)):
            got += d
    except OSError:
        pass
    t.join()
    return s, len(got) - 7


few = "allow web.test quota=4000000 id=few\n" + LOOP
q = Gate(few)
s, n = bounce(q, 1000000)
check("half of a rule's quota", n == 1000000, n)
q.proc.kill()
q.proc.wait()
check("a killed gate ends its streams", read_all(s) in (b"", b"<reset>"))
try:
    q.connect("vsock.sock_3128")
    check("without it nothing is taken", False)
except OSError:
    check("without it nothing is taken", True)
q.start(few)
s, n = bounce(q, 1500000)
check("the next one counts on", n < 1500000, n)
check("and denies in words", b"quota" in q.get("web.test", 8080))
q.set_rules("allow web.test id=other\n" + LOOP)
q.stop()
q.start(few)
s, n = bounce(q, 1000000)
check("a rule that was gone begins anew", n == 1000000, n)
q.stop()
with open(q.dir + "/net/limits") as f:
    kept = f.read().split()
check("kept in one line", kept[0] == "few" and len(kept) == 2
      and 2000000 <= int(kept[1]) < 2100000, kept)

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
# A quarter of it goes at once. A slow machine takes longer for the rest.
check("a rate holds", 0.5 < took < PATIENCE and n > 262144, (took, n))
check("it ends in order", g.stop() == 0)
done()
