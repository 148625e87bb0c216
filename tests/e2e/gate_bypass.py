#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ways around cove-gate, each refused and logged; then generated rules and
targets, for which `cove policy check` and the gate must say the same.

In namespaces without a way out: the test's own resolver and servers answer for
some public and private networks on loopback, and count what reaches them.
Usage: gate_bypass.py PATH-TO-cove-gate [PAIRS]
"""
import random

from gate_lib import *

PUBLIC, PRIVATE = "93.184.216.", "10.20.30."
PUBLIC6, PRIVATE6 = "2606:4700::", "fd00:20::"
GATE, TMP = enter("127.0.0.1 localhost\n", resolver=True,
                  nets=(PUBLIC + "1/24", PRIVATE + "1/24",
                        "169.254.169.254/32", PUBLIC6 + "1/64",
                        PRIVATE6 + "1/64"))
PAIRS = int(sys.argv[2]) if len(sys.argv) > 2 else 10000

# name -> addresses; what is not here does not exist
ZONE = {
    "good.test": [PUBLIC + "10"],
    "other.test": [PUBLIC + "11"],
    "evil.test": [PUBLIC + "66"],
    "rebind.test": ["127.0.0.1"],
    "meta.test": ["169.254.169.254"],
    "lan.test": [PRIVATE + "5"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "nat64.test": ["64:ff9b::a14:1e05"],
    "ula.test": [PRIVATE6 + "5"],
    "zero.test": ["0.0.0.0"],
    "mixed.test": [PRIVATE + "5", PUBLIC + "10"],
}
TTL = {"kept.gen.test": 30}  # all others may not be kept
asked = []
reached = []


def dns_name(q):
    labels, p = [], 12
    while q[p]:
        labels.append(q[p + 1:p + 1 + q[p]].decode("latin1"))
        p += 1 + q[p]
    return ".".join(labels).lower(), p + 1


def resolver(s):
    heard = set()
    while True:
        q, who = s.recvfrom(4096)
        name, p = dns_name(q)
        kind = struct.unpack(">H", q[p:p + 2])[0]
        # The same question comes again when the answer was late.
        if (who, q[:2]) not in heard:
            heard.add((who, q[:2]))
            asked.append(name)
        addrs = lookup(name)
        out = [a for a in addrs or []
               if (":" in a) == (kind == 28) and kind in (1, 28)]
        r = q[:2] + struct.pack(">HHHHH", 0x8180 if addrs is not None
                                else 0x8183, 1, len(out), 0, 0)
        r += q[12:p + 4]
        for a in out:
            raw = socket.inet_pton(socket.AF_INET6 if kind == 28
                                   else socket.AF_INET, a)
            r += struct.pack(">HHHIH", 0xc00c, kind, 1, TTL.get(name, 0),
                             len(raw)) + raw
        s.sendto(r, who)


def lookup(name):
    if name in ZONE:
        return ZONE[name]
    if name.endswith(".gen.test"):
        return [PUBLIC + str(20 + sum(name.encode()) % 200)]
    return None


class Banner(socketserver.BaseRequestHandler):
    """Speaks first, so that a verdict is seen without a word of ours."""

    def handle(self):
        reached.append(self.request.getsockname()[:2])
        self.request.sendall(b"banner\n")
        try:
            while self.request.recv(4096):
                pass
        except OSError:
            pass


class Server6(TcpServer):
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()


class Http(socketserver.StreamRequestHandler):
    """Answers each head it sees; what it saw is counted."""

    def handle(self):
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self.rfile.readline()
                if not line:
                    return
                head += line
            reached.append(head)
            body = b"served\n"
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                             % (len(body), body))


PORTS = (22, 80, 443, 5432, 8080)


def start(cls, address, port, handler):
    t = cls((address, port), handler)
    threading.Thread(target=t.serve_forever, daemon=True).start()


def datagrams(addr, port):
    """Bound before anybody asks."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((addr, port))
    return s


threading.Thread(target=resolver, args=[datagrams("127.0.0.1", 53)],
                 daemon=True).start()
for port in PORTS:
    start(TcpServer, "0.0.0.0", port, Banner)
    start(Server6, "::", port, Banner)
start(TcpServer, "0.0.0.0", 8000, Http)
dns_tcp = []


class DnsTcp(socketserver.BaseRequestHandler):
    def handle(self):
        dns_tcp.append(self.client_address)


for port in (53, 853):
    start(TcpServer, PUBLIC + "8", port, DnsTcp)


def outcome(s):
    """allow: the server's banner came; deny: a refusal, or the end."""
    try:
        s.sendall(b"\1")  # no HTTP and no TLS: judged at once
        first = s.recv(7)
    except OSError:
        first = b""
    s.close()
    return "allow" if first.startswith(b"banner") else "deny"


def try_to(g, addr, port, proto=1):
    try:
        s = g.dial(addr, port, proto)
    except OSError:
        return "deny"  # it does not resolve
    return outcome(s)


def last(g):
    """The newest verdict. When the log was just turned over it is in the old
    one, and for a moment there is no new one.
    """
    for name in ("net.log", "net.log.1"):
        try:
            found = [e for e in g.log(name) if e["verdict"] != "end"]
        except FileNotFoundError:
            continue
        if found:
            return found[-1]


def refused(g, what, addr, port, proto=1):
    n = len(reached)
    before = len(g.log())
    r = try_to(g, addr, port, proto)
    log = [e for e in g.log()[before:] if e["verdict"] != "end"]
    ok = (r == "deny" and len(reached) == n and log
          and all(e["verdict"] in ("deny", "error") for e in log))
    check(what, ok, (r, log, reached[n:]))


# ---- addresses ----
g = Gate("allow good.test\nallow **.gen.test:443\n")
check("an allowed name works", try_to(g, "good.test", 80) == "allow", g.log())
refused(g, "the same server by its address", PUBLIC + "10", 80)
for a in (PUBLIC + "66", "10.0.0.1", "127.0.0.1", "169.254.169.254",
          PUBLIC6 + "1", "::1", "::ffff:127.0.0.1", "::127.0.0.1",
          "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1", "ff02::1",
          "224.0.0.1", "255.255.255.255", "0.0.0.0", "::"):
    refused(g, f"literal {a}", a, 80)
for a in ("198.18.0.0", "198.18.0.1", "198.18.0.2", "198.18.99.99",
          "198.19.255.255", "fdc0:7e00::1", "fdc0:7e00::ffff"):
    refused(g, f"{a} stands for no name", a, 80)
refused(g, "a denied port of a pattern", "x.gen.test", 80)
wide = Gate("allow **\n")
check("** opens public addresses", try_to(wide, PUBLIC + "66", 80) == "allow")
for a in (PRIVATE + "5", "127.0.0.1", "169.254.169.254", "::1",
          "::ffff:10.20.30.5", "::10.20.30.5", "64:ff9b::a14:1e05",
          "64:ff9b:1::a14:1e05", "2002:a14:1e05::", PRIVATE6 + "5",
          "fe80::1", "100.64.0.1", "192.168.0.1", "172.31.0.1",
          "0.0.0.0", "::", "240.0.0.1", "255.255.255.255", "ff02::1"):
    refused(wide, f"** does not mean {a}", a, 80)
refused(wide, "** does not mean the host", "host.cove.internal", 80)

# ---- rebinding ----
for n in ("rebind.test", "meta.test", "lan.test", "mapped.test", "nat64.test",
          "ula.test", "zero.test"):
    refused(wide, f"{n} resolves to {ZONE[n][0]}", n, 80)
check("of mixed addresses the public one is dialled",
      try_to(wide, "mixed.test", 80) == "allow"
      and reached[-1][0] == PUBLIC + "10", reached[-1])
ZONE["turn.test"] = [PUBLIC + "10"]
check("a name before it turns", try_to(wide, "turn.test", 80) == "allow")
ZONE["turn.test"] = ["127.0.0.1"]
refused(wide, "and after", "turn.test", 80)
named = Gate("allow lan.test\nallow %s5:80\n" % PRIVATE)
check("an address rule opens what a name resolves to",
      try_to(named, "lan.test", 80) == "allow")
refused(named, "on its port only", "lan.test", 8080)
named.set_rules("allow **\ndeny %s0/24\n" % PUBLIC)
refused(named, "a denied network, whatever the name", "good.test", 80)
named.stop()

# ---- other resolvers, tunnels through names ----
refused(g, "another resolver over TCP", PUBLIC + "8", 53)
refused(g, "and over TLS", PUBLIC + "8", 853)
refused(g, "and over UDP", PUBLIC + "8", 53, proto=2)
refused(g, "QUIC", "good.test", 443, proto=2)
check("the other resolver heard nothing", not dns_tcp)
udp_seen = []


def udp_server(s):
    while True:
        udp_seen.append(s.recvfrom(2048))


threading.Thread(target=udp_server, args=[datagrams("0.0.0.0", 443)],
                 daemon=True).start()
for a, port in ((PUBLIC + "10", 443), ("255.255.255.255", 443),
                ("224.0.0.1", 443), ("127.0.0.1", 443),
                ("good.test", 443)):
    s = wide.dial(a, port, proto=2)
    try:
        s.sendall(struct.pack("<H", 3) + b"abc")
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before that was sent
    r = read_all(s)
    check(f"** of TCP is no rule for UDP: {a}", r in (b"", b"<reset>")
          and not udp_seen, (r, udp_seen))
del asked[:]
for i in range(50):
    g.dns("%032x.secret.evil.test" % random.getrandbits(128))
    g.dns("%032x.good.test" % random.getrandbits(128))
for kind in (1, 2, 5, 6, 12, 15, 16, 28, 33, 65, 255):
    g.dns("evil.test", kind)
    g.dns("good.test", kind)
    g.dns("exfil-%d.gen.test" % kind, kind)
check("no question of the guest leaves the host", asked == [], asked[:5])
try_to(g, "one.gen.test", 443)
check("the real question comes when it is dialled",
      set(asked) == {"one.gen.test"}, asked)
try_to(g, "one.gen.test", 443)
check("and again where the answer lives for no time", len(asked) == 4, asked)
del asked[:]
for i in range(3):
    try_to(g, "kept.gen.test", 443)
check("but not where it lives longer", len(asked) == 2, asked)
for n in ("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1",
          "1.2.3.04", "good.test.", "-bad-.test", "a..b", "x" * 64 + ".test"):
    code = wide.dns(n) if ".." not in n and len(n) < 60 else (3, None)
    good = n == "good.test."
    check(f"question for {n[:24]}", good or code[1] is None, code)
check("PTR is not answered", wide.dns("10.216.184.93.in-addr.arpa", 12)[1]
      is None)

# ---- the stream's header ----
def raw(head, more=b""):
    s = g.connect("vsock.sock_3128")
    s.sendall(head + more)
    s.shutdown(socket.SHUT_WR)
    return read_all(s)


n = len(reached)
v4 = bytes(10) + b"\xff\xff" + socket.inet_aton(PUBLIC + "10")
for what, head in (
        ("another version", struct.pack("<BBHI", 2, 1, 80, 0) + v4),
        ("ICMP as protocol", struct.pack("<BBHI", 1, 3, 80, 0) + v4),
        ("raw IP as protocol", struct.pack("<BBHI", 1, 255, 80, 0) + v4),
        ("port 0", struct.pack("<BBHI", 1, 1, 0, 0) + v4),
        ("set padding", struct.pack("<BBHI", 1, 1, 80, 1) + v4),
        ("half a header", struct.pack("<BBHI", 1, 1, 80, 0) + v4[:5])):
    check("header with " + what, raw(head) in (b"", b"<reset>"))
r = raw(struct.pack("<BBHI", 1, 1, 80, 0) + v4, b"GET / HTTP/1.1\r\n\r\n")
check("a forged header for an address", b"403" in r, r)
check("none of them reached a server", len(reached) == n, reached[n:])

# ---- names inside the stream ----
def tls(g, name, first):
    n = len(reached)
    s = g.dial(name, 443)
    s.sendall(first)
    out = b""
    try:
        while d := s.recv(65536):
            out += d
    except OSError:
        pass
    s.close()
    return out, reached[n:]


for what, sni in (("another allowed name", "x.gen.test"),
                  ("a denied name", "evil.test"),
                  ("its parent", "test"),
                  ("an address", PUBLIC + "10"),
                  ("a longer name", "good.test.evil.test"),
                  ("a NUL in it", "good.test\0.evil.test")):
    out, _ = tls(g, "good.test", hello(sni))
    check("SNI is " + what, not out or out in (b"banner\n", b"banner\n<reset>"),
          out)
    check("  and it is logged", last(g)["verdict"] == "deny"
          and "TLS" in last(g)["reason"], last(g))
for what, sni in (("in other case", "GOOD.test"), ("with a dot", "good.test.")):
    s = g.dial("good.test", 443)
    s.sendall(hello(sni))
    check("SNI " + what + " is the same name", s.recv(7) == b"banner\n"
          and last(g)["verdict"] == "allow", last(g))
    s.close()


def http_to(g, name, data):
    n = len(reached)
    s = g.dial(name, 8000)
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    return read_all(s), reached[n:]


def host(value, line="GET / HTTP/1.1"):
    return (f"{line}\r\nHost: {value}\r\nConnection: close\r\n\r\n").encode()


for value in ("good.test", "good.test:8000", "GOOD.TEST", "good.test.",
              "Good.Test.:8000"):
    r, seen = http_to(g, "good.test", host(value))
    check(f"Host {value} is the same name", b"served" in r, r)
for value in ("evil.test", "evil.test:8000", "good.test.evil.test",
              "good.test@evil.test", "evil.test#good.test", "good.test/",
              "xn--good-.test", "g\u00f6od.test", "good.test:8000:1",
              "[::1]", PUBLIC + "10", "1572395018", "0x5db8d80a",
              "good\u3002test", "good.test:evil", " evil.test", "",
              "good.test, evil.test", "good.test\tevil.test"):
    r, seen = http_to(g, "good.test", host(value))
    check(f"Host {value!r}", not seen or value in ("",)
          or b"served" not in r, (r, seen))
for line in ("GET http://evil.test/ HTTP/1.1", "GET //evil.test/ HTTP/1.1\r\n"
             "Host: evil.test", "CONNECT evil.test:443 HTTP/1.1",
             "CONNECT good.test:443 HTTP/1.1",
             "GET https://evil.test/ HTTP/1.1"):
    r, seen = http_to(g, "good.test", host("good.test", line))
    check(f"request {line.splitlines()[0]!r}", b"evil" not in b"".join(seen)
          and (b"CONNECT" not in line.encode() or not seen), (r, seen))
SMUGGLE = (
    b"POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s",
    b"POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: xchunked\r\n"
    b"\r\n0\r\n\r\n%s",
    b"POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding : chunked\r\n"
    b"\r\n0\r\n\r\n%s",
    b"POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 0\r\n"
    b"Content-Length: 9\r\n\r\n%s",
    b"POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: +0\r\n\r\n%s",
    b"POST / HTTP/1.1\r\nHost: good.test\r\nX: a\r\n Content-Length: 9\r\n"
    b"\r\n%s",
    b"GET / HTTP/1.1\r\nHost: good.test\rHost: evil.test\r\n\r\n%s",
    b"GET / HTTP/1.1\r\nHost: good.test\r\nHost: evil.test\r\n\r\n%s",
    b"GET / HTTP/1.1\nHost: good.test\n\n%s",
    b"GET / HTTP/1.1\r\nHost: good.test\r\nX: \0\r\n\r\n%s",
)
for i, data in enumerate(SMUGGLE):
    r, seen = http_to(g, "good.test", data % host("evil.test",
                                                  "GET /smuggled HTTP/1.1"))
    check(f"smuggling {i + 1}", b"smuggled" not in b"".join(seen), (r, seen))
# A second request of a connection names somebody else.
r, seen = http_to(g, "good.test", b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n"
                  + host("evil.test"))
check("the second request of a connection too",
      b"evil" not in b"".join(seen), (r, seen))
# h2 with prior knowledge is no HTTP/1 and no TLS.
r, seen = http_to(g, "good.test", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
check("h2 in clear text is not passed on unread", not seen, (r, seen))
# A redirect to a forbidden host is just another name.
refused(g, "where a redirect leads", "evil.test", 80)
g.stop()
wide.stop()

# ---- check and enforcement ----
COVE = os.path.join(os.path.dirname(GATE), "cove")
os.environ["COVE_HOME"] = TMP + "/home"
os.environ["COVE_LIBEXEC"] = os.path.dirname(GATE)
os.makedirs(TMP + "/home")
subprocess.run([COVE, "policy", "init", "closed"], check=True)


class Api:
    def __init__(self):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(TMP + "/home/run/coved.sock")
        self.f = self.s.makefile("rb")

    def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else b""
        self.s.sendall((f"{method} {path} HTTP/1.1\r\nHost: cove\r\n"
                        f"Content-Length: {len(data)}\r\n\r\n").encode()
                       + data)
        status = int(self.f.readline().split()[1])
        n = 0
        while (line := self.f.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                n = int(line.split(b":")[1])
        text = self.f.read(n)
        return status, json.loads(text) if text else None


rnd = random.Random(4)
LABELS = ("a", "b", "c", "www")


def a_name():
    return ".".join(rnd.choice(LABELS) for _ in range(rnd.randint(0, 2))) \
        .strip(".")


def full_name():
    p = a_name()
    return (p + "." if p else "x.") + "gen.test"


def an_address():
    if rnd.random() < 0.7:
        return rnd.choice((PUBLIC, PRIVATE)) + str(rnd.randint(1, 30))
    return "[" + rnd.choice((PUBLIC6, PRIVATE6)) + "%x]" % rnd.randint(1, 30)


def some_ports():
    r = rnd.random()
    if r < 0.5:
        return ""
    if r < 0.8:
        return ":%d" % rnd.choice(PORTS)
    lo = rnd.choice((1, 22, 80, 400))
    return ":%d-%d" % (lo, rnd.choice((443, 5432, 8080, 65535)))


def rule_target():
    r = rnd.random()
    if r < 0.3:
        return full_name() + some_ports()
    if r < 0.45:
        return "*." + rnd.choice(("gen.test", "a.gen.test")) + some_ports()
    if r < 0.6:
        return "**." + rnd.choice(("gen.test", "b.gen.test")) + some_ports()
    if r < 0.75:
        return an_address() + some_ports()
    if r < 0.9:
        return rnd.choice((PUBLIC + "0/28", PRIVATE + "0/29", PUBLIC + "0/24",
                           "[%s/64]" % PUBLIC6, "10.0.0.0/8",
                           "[%s/124]" % PRIVATE6)) + some_ports()
    return rnd.choice(("**", "host")) + some_ports()


def question():
    r = rnd.random()
    if r < 0.55:
        t = full_name()
    elif r < 0.95:
        t = an_address()
    else:
        t = "host"
    return t, rnd.choice(PORTS)


api = Api()
g = Gate("")
pairs = agree = 0
per_set = 50
tally = {"allow": 0, "deny": 0}
wrong = []
while pairs < PAIRS:
    api.call("POST", "/v1/policy/reset", {})
    api.call("POST", "/v1/policy/preset", {"preset": "closed"})
    for _ in range(rnd.randint(1, 6)):
        status, r = api.call("POST", "/v1/policy/rules", {
            "allow": rnd.random() < 0.65, "targets": [rule_target()]})
        if status != 200:
            check("a generated rule is taken", False, r)
    rules = [x["text"] for x in api.call("GET", "/v1/policy")[1]["rules"]]
    g.set_rules("\n".join(rules) + "\n")
    for _ in range(min(per_set, PAIRS - pairs)):
        t, port = question()
        said = api.call("POST", "/v1/policy/check",
                        {"target": f"{t}:{port}"})[1]
        name = "host.cove.internal" if t == "host" else t.strip("[]")
        did = try_to(g, name, port)
        pairs += 1
        tally[did] += 1
        # Only the gate knows what a name resolves to.
        if said["verdict"] == did or (did == "deny" and last(g)["reason"]
                                      .startswith("a rule denies its addr")):
            agree += 1
        elif len(wrong) < 5:
            wrong.append((rules, t, port, said, did, last(g)))
check(f"check equals enforcement for {pairs} pairs", agree == pairs,
      f"{pairs - agree} differ, e.g. " + "\n".join(map(str, wrong)))
check("of which many of each kind", min(tally.values()) > pairs // 10, tally)
subprocess.run([COVE, "daemon", "stop"], check=True)
g.stop()
done()
