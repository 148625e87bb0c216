#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 through cove-gate to opened hosts, without a guest: real servers and
clients, then ones that break the rules. Prints TAP.
Usage: gate_h2.py PATH-TO-cove-gate
"""
import hashlib
import os
import select
import socket
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gate_lib as lib
from gate_lib import Gate, check, client_tls, done, keys, pem, secret, skip

lib.enter("127.0.0.1 odd.test api.test ngx.test rpc.test other.test bad.test "
          "web.test\n")
TMP = lib.TMP
from gate_h2_lib import Client, Server, front, nginx

REAL = "sk-real-" + os.urandom(8).hex()
PLACE = "cove-secret-acme"
for ca in ("cove", "world", "nobody"):
    lib.authority(ca)


# ---- servers ----

class Handler:
    """Tells what it was asked; some paths make it behave in other ways."""

    def head(self, conn, sid):
        path = conn.head[sid][":path"]
        if path == "/early":
            conn.answer(sid, b"too large", status="413")
            conn.reset(sid, 0)
        elif path == "/refuse":
            conn.reset(sid, 7)
        elif path == "/half":
            conn.answer(sid, b"half", [("content-length", "9")], more=True)
            conn.reset(sid, 2)
        elif path == "/expect":
            conn.interim(sid, "100")
        elif path == "/hang":
            conn.interim(sid, "103")
        elif path == "/close":
            conn.tls.shutdown(socket.SHUT_RDWR)
        elif path == "/sse":
            conn.answer(sid, b"data: 0\n\n", [
                ("content-type", "text/event-stream")], more=True)
            self.stream = conn, sid

    def data(self, conn, sid):
        return "keep" if conn.head[sid][":path"] == "/slow" else None

    def end(self, conn, sid):
        head = conn.head[sid]
        path = head[":path"]
        if path in ("/early", "/refuse", "/half", "/hang", "/close", "/sse"):
            return
        if path == "/trailers":
            conn.answer(sid, b"body", [], [("x-sum", "77")])
            return
        if path == "/hints":
            conn.interim(sid, "103")
        if path == "/bye":
            conn.goodbye()
        lines = "".join(f"{k}: {v}\n" for k, v in head.items())
        body = (f"{lines}body {conn.body[sid]}\n"
                f"trailers {conn.trailers.get(sid)}\n").encode()
        conn.answer(sid, body if head[":method"] != "HEAD" else b"",
                    [("content-length", str(len(body)))])


class Mail:
    """TLS whose ALPN is no HTTP, or which knows none."""

    def __init__(self, port, name, alpn):
        ctx = lib.certificate("world", name)
        ctx.set_alpn_protocols(alpn)
        self.sock = ctx.wrap_socket(
            socket.create_server(("127.0.0.1", port)), server_side=True)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.sock.accept()
                s.sendall(b"* OK " + s.recv(100))
                s.close()
            except OSError:
                pass


handler = Handler()
odd = Server(8443, lib.certificate("world", "odd.test"), handler)
api = Server(8444, lib.certificate("world", "api.test"), Handler())
bad = Server(8445, lib.certificate("nobody", "bad.test"), Handler())
Mail(8993, "odd.test", ["imap"])
Mail(8994, "api.test", ["imap"])
Mail(8449, "ngx.test", [])
SIZE = 32 << 20
blob = os.urandom(1 << 20) * (SIZE >> 20)
want = hashlib.sha256(blob).hexdigest()
os.makedirs(TMP + "/www/up")
with open(TMP + "/www/blob", "wb") as f:
    f.write(blob)
with open(TMP + "/www/small", "wb") as f:
    f.write(b"x" * 1000)
del blob
server = nginx("ngx.test", h2=8446, h1=8447)

KEYS = keys(secret("acme", REAL, ["odd.test", "ngx.test", "rpc.test",
                                  "bad.test"],
                   ["x-api-key: %s", "authorization: Bearer %s", "?key"]))
LOOP = "allow 127.0.0.0/8 id=loop\n"
RULES = ("allow odd.test\nallow ngx.test\nallow bad.test\nallow web.test\n"
         "allow rpc.test\nallow other.test\n"
         "allow api.test method=GET,HEAD id=get\n"
         "deny api.test path=/secret/** id=hidden\n" + LOOP)
g = Gate(RULES, keys=KEYS, roots=pem("world.crt"))
check("it serves", g.answer == b"\1", g.answer)


def client(name="odd.test", port=8443, **kw):
    return Client(g.dial(name, port), name, **kw)


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        v = f.read().rsplit(")", 1)[1].split()
    return (int(v[11]) + int(v[12])) / os.sysconf("SC_CLK_TCK")


def log_has(verdict, text):
    return any(e["verdict"] == verdict and text in e["reason"]
               for e in g.log())


# ---- one connection ----

c = client()
check("both sides agree on h2", c.protocol == "h2", c.protocol)
a = c.ask(extra=[("x-api-key", PLACE)])
check("a placeholder becomes the secret", a.status == 200
      and f"x-api-key: {REAL}".encode() in a.body, a)
a = c.ask(extra=[("authorization", "bearer " + PLACE)])
check("also behind Bearer", f"bearer {REAL}".encode() in a.body, a)
a = c.ask("/?a=1&key=" + PLACE)
check("and in the query", f"/?a=1&key={REAL}".encode() in a.body, a)
for value in ("a " + PLACE, PLACE + "2", "sk-own"):
    a = c.ask(extra=[("x-api-key", value)])
    check(f"'{value}' is not touched", value.encode() in a.body
          and REAL.encode() not in a.body, a)
ids = [c.start(c.head(f"/{i}", extra=[("x-api-key", PLACE)]))
       for i in range(100)]
got = [c.finish(i) for i in ids]
check("100 requests at once, each its own answer",
      all(f":path: /{i}\n".encode() in a.body and REAL.encode() in a.body
          for i, a in enumerate(got)))
a = c.ask("/c", "POST", body=b"x" * 300000)
check("a body", b"body 300000\n" in a.body, a)
sid = c.start(c.head("/t", "POST"), end=False)
c.send(sid, b"hello", end=False)
c.h2.send_headers(sid, [("x-sum", "5"), ("authorization", "no")],
                  end_stream=True)
c.flush()
a = c.finish(sid)
check("trailers of a request, without what may not stand there",
      b"'x-sum': '5'" in a.body and b"authorization" not in a.body, a)
a = c.ask("/trailers")
check("trailers of an answer", a.trailers == {"x-sum": "77"}
      and a.body == b"body", a)
a = c.ask("/", "HEAD")
check("HEAD has a length and no body", int(a.head["content-length"]) > 0
      and a.body == b"" and a.ended, a)
sid = c.start(c.head("/expect", "POST", [("expect", "100-continue")]),
              end=False)
c.until(lambda: c.answers[sid].interim)
check("100-continue arrives before the body",
      c.answers[sid].interim == [{":status": "100"}], c.answers[sid])
c.send(sid, b"body")
check("and then the answer", b"body 4\n" in c.finish(sid).body)
a = c.ask("/hints")
check("early hints pass", a.interim == [{":status": "103"}]
      and a.status == 200, a)
sid = c.start(c.head("/sse"))
ok = True
for i in range(5):
    c.until(lambda: len(c.answers[sid].pieces) == i + 1)
    ok = ok and c.answers[sid].pieces[-1] == b"data: %d\n\n" % i
    handler.stream[0].send(handler.stream[1], b"data: %d\n\n" % (i + 1),
                           end=i == 4)
check("events arrive one by one", ok and c.finish(sid).ended,
      c.answers[sid])
a = c.ask("/early", "POST", body=b"x" * 3000000)
check("an answer before the request has ended", a.status == 413
      and a.body == b"too large", a)
check("a stream that the server refuses is refused", c.ask("/refuse").reset
      == 7)
a = c.ask("/half")
check("half an answer is none", a.reset is not None and not a.ended, a)
sid = c.start(c.head("/hang"))
c.until(lambda: c.answers[sid].interim)
c.h2.reset_stream(sid, 8)
c.flush()
check("a cancelled request is cancelled there", c.ask("/after").status == 200
      and any(code == 8 for _, code in odd.peer.resets), odd.peer.resets)

# A reader that takes nothing, and others beside it.
sid = c.start(c.head("/slow", "POST"), end=False)
room = c.h2.local_flow_control_window(sid)
c.h2.send_data(sid, b"s" * 16384)
c.flush()
check("a slow reader does not stop the others",
      b"body 200000\n" in c.ask("/n", "POST", body=b"n" * 200000).body)
c.h2.reset_stream(sid, 8)
c.flush()

a = c.ask("/bye")
check("a goodbye is passed on, the answer too", a.status == 200
      and c.until(lambda: c.goaway == 0) and a.ended, (a, c.goaway))
c.close()
c = client()
c.start(c.head("/hang"))
a = c.ask("/close")
check("a server that closes is told in words", a.status == 502
      and b"the server closed" in a.body, a)
c.close()

# ---- rules ----

c = client("api.test", 8444)
check("an allowed method passes", c.ask("/a").status == 200)
a = c.ask("/a", "DELETE")
check("another is denied in words", a.status == 403
      and b"no rule allows DELETE /a" in a.body
      and a.head["cove-denied"] == "default", a)
for path in ("/secret/x", "/%73ecret/x", "/a/../secret/x", "//secret/x",
             "/a%2f..%2fsecret", "/secret/%2e%2e/x"):
    check(f"{path} is denied", c.ask(path).status == 403)
check("the connection goes on", c.ask("/b").status == 200)
check("the server saw nothing of it",
      not any(b"secret" in v or v == b"DELETE" for h in api.seen
              for _, v in h))
check("every verdict is in the log", log_has("deny", "DELETE /a")
      and any(e["rule"] == "hidden" for e in g.log())
      and log_has("allow", "GET /b"))
sid = c.start(c.head("/hang"))
c.ask("/c")
g.set_rules(RULES.replace("GET,HEAD", "HEAD"))
c.until(lambda: c.closed)
check("rules that change cut what is under way", c.closed
      and log_has("cut", "the rules changed"))
g.set_rules(RULES)

# ---- who is meant ----

c = client()
cert = ssl.DER_cert_to_PEM_cert(c.tls.getpeercert(True))
text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=cert,
                      text=True, capture_output=True).stdout
check("the certificate speaks for one name: nothing is coalesced",
      "DNS:odd.test\n" in text, text)
seen = len(odd.seen)
for what, authority in (
        ("another host", "other.test"), ("a host and a user", "u@odd.test"),
        ("a name below", "x.odd.test"), ("two names", "odd.test,other.test"),
        ("an address", "127.0.0.1"), ("a path in it", "odd.test/x")):
    a = c.ask(authority=authority)
    check(f":authority with {what} is refused", a.status == 403
          or a.reset == 1, a)
check("and never seen by the server", len(odd.seen) == seen)
for authority in ("ODD.test", "odd.test.", "odd.test:8443"):
    check(f"{authority} is the same", c.ask(authority=authority).status
          == 200)
c.close()
s = g.dial("odd.test", 8443)
try:
    client_tls(alpn=("h2",)).wrap_socket(s, server_hostname="other.test")
    check("a greeting for another host is refused", False)
except OSError:
    check("a greeting for another host is refused",
          log_has("deny", "names another host"))

# ---- what HTTP/2 forbids ----

base = [(":method", "GET"), (":scheme", "https"), (":authority", "odd.test"),
        (":path", "/bad")]
seen = len(odd.seen)
for what, head in {
        "Host differs": base + [("host", "other.test")],
        "no :authority": base[:2] + base[3:] + [("host", "odd.test")],
        "http": base[:1] + [(":scheme", "http")] + base[2:],
        "connection": base + [("connection", "close")],
        "keep-alive": base + [("keep-alive", "1")],
        "transfer-encoding": base + [("transfer-encoding", "chunked")],
        "upgrade": base + [("upgrade", "websocket")],
        "proxy-connection": base + [("proxy-connection", "x")],
        "te": base + [("te", "gzip")],
        "capitals": base + [("X-Up", "1")],
        "a pseudo field after others": base[:3] + [("a", "b")] + base[3:],
        "an unknown pseudo field": base + [(":x", "1")],
        "two paths": base + [(":path", "/")],
        "a line in a value": base + [("a", "b\r\nc: d")],
        "a line in the path": base[:3] + [(":path", "/ HTTP/1.1\r\na: b")],
        "CONNECT": [(":method", "CONNECT"), (":authority", "odd.test")],
        "a WebSocket in it": [(":method", "CONNECT"), (":protocol",
                              "websocket")] + base[1:]}.items():
    c = client(strict=False)
    a = c.finish(c.start(head))
    check(f"{what}: refused", a.status in (400, 405) or a.reset == 1, a)
    check(f"{what}: the connection goes on", c.finish(
        c.start(base[:3] + [(":path", "/good")])).status == 200)
    c.close()
check("the server saw none of them",
      not any((b":path", b"/bad") in h for h in odd.seen[seen:]))
check("they are in the log", log_has("error", "refused HTTP:"))

# ---- floods ----

hpack = b"\x82\x87\x84\x41\x08odd.test"


def frame(kind, flags, sid, data=b""):
    return (len(data).to_bytes(3, "big") + bytes([kind, flags])
            + sid.to_bytes(4, "big") + data)


def talk(tls, data):
    """Sends as much of data as is taken, and reads meanwhile: answers that
    nobody reads hold up what is sent. What came until the end.
    """
    out, left = b"", memoryview(data)
    tls.setblocking(False)
    while True:
        if not tls.pending() and not any(select.select(
                [tls], [tls] if len(left) else [], [], lib.PATIENCE)):
            return out
        try:
            if len(left):
                left = left[tls.send(left[:16384]):]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError:
            left = left[:0]
        try:
            d = tls.recv(65536)
        except ssl.SSLWantReadError:
            continue
        except OSError:
            return out
        if not d:
            return out
        out += d


def goaway(data):
    """The code of a goodbye in it, or None."""
    while len(data) >= 9:
        n = int.from_bytes(data[:3], "big")
        if data[3] == 7:
            return int.from_bytes(data[13:17], "big")
        data = data[9 + n:]
    return None


def flood(name, data, bound):
    """Ended with a word, and the rest of it is not taken for long."""
    c = client()
    c.ask()
    refused = len([e for e in g.log() if "refused HTTP" in e["reason"]])
    sent = b"".join(data(65536) for _ in range(0, bound, 65536))
    code = goaway(talk(c.tls, sent))
    check(f"{name}: ended, and logged once", code in (1, 2, 11) and
          len([e for e in g.log() if "refused HTTP" in e["reason"]])
          == refused + 1, (code, g.log()[-2:]))
    c.close()


class Ids:
    """Streams that are opened and reset at once: CVE-2023-44487."""

    def __init__(self):
        self.next = 3

    def __call__(self, size):
        out = b""
        while len(out) < size:
            out += frame(1, 5, self.next, hpack)
            out += frame(3, 0, self.next, b"\0\0\0\x08")
            self.next += 2
        return out


keep = client()
flood("rapid reset", Ids(), 65536)
flood("CONTINUATION", lambda n: frame(1, 0, 3) + frame(9, 0, 3) * 50, 65536)
for name, one in (("PING", frame(6, 0, 0, bytes(8))), ("SETTINGS", frame(
        4, 0, 0)), ("PRIORITY", frame(2, 0, 3, bytes(5)))):
    flood(name, lambda n: one * (n // len(one)), 4 << 20)
check("the others of the sandbox do not notice", keep.ask().status == 200)
keep.close()
big = "b" * 40000
c = client(strict=False)
a = c.finish(c.start(base + [("x-a", big), ("x-b", big)]))
check("a head that is too large is told so", a.status == 431, a)
check("one that is not passes", c.finish(c.start(
    base[:3] + [(":path", "/good"), ("x-a", big)])).status == 200)
c.close()
check("in bounded memory", g.peak_kb() < 40000, g.peak_kb())

# ---- servers that cannot be trusted, and other protocols ----

c = client("bad.test", 8445, alpn=("h2",))
a = c.ask(extra=[("x-api-key", PLACE)])
check("a server that nobody vouches for is refused in words, over h2",
      a.status == 502 and b"certificate" in a.body and not bad.seen, a)
c.close()
s = client_tls("world", ("imap",)).wrap_socket(
    g.dial("odd.test", 8993), server_hostname="odd.test")
s.sendall(PLACE.encode())
check("what is no HTTP is not opened, its placeholder stays one",
      lib.read_all(s) == b"* OK " + PLACE.encode())
try:
    client_tls("world", ("imap",)).wrap_socket(
        g.dial("api.test", 8994), server_hostname="api.test")
    r = "passed"
except OSError:
    r = ""
check("but where rules look at requests it is refused, and the log says why",
      r == "" and log_has("deny", "offers no HTTP"))
a = client("ngx.test", 8447, alpn=("h2",)).ask()
check("h2 alone to a server that refuses it is told in words", a.status == 502
      and b"application protocol" in a.body, a)
c = client("ngx.test", 8449, alpn=("h2",))
a = c.ask()
check("and so is h2 alone to one that has no word for it", a.status == 502
      and b"does not speak HTTP/2" in a.body, a)
check("WebSocket in HTTP/2 is not offered",
      c.h2.remote_settings.enable_connect_protocol == 0)
c.close()

# ---- real clients and servers ----

front(g, "ngx.test", 8446, 9446)
front(g, "ngx.test", 8447, 9447)


def curl(port, path, *args):
    return subprocess.run(
        ["curl", "-sS", "--cacert", TMP + "/cove.crt", "--resolve",
         f"ngx.test:{port}:127.0.0.1", "--max-time", "300", *args,
         f"https://ngx.test:{port}/{path}"], capture_output=True)


form = ("-o", "/dev/null", "-w", "%{http_version} %{http_code}")
r = curl(9446, "small", *form)
check("curl speaks h2 to nginx", r.stdout == b"2 200", r)
r = curl(9447, "small", *form)
check("and HTTP/1.1 where nginx knows nothing else", r.stdout == b"1.1 200",
      r)
r = curl(9446, "small", "--http1.1", *form)
check("a client that offers HTTP/1.1 alone gets it", r.stdout == b"1.1 200",
      r)
r = curl(9446, "asked", "-H", "X-Api-Key: " + PLACE)
check("a secret reaches nginx over h2", r.stdout == f"h2 {REAL}\n".encode(),
      r)
r = curl(9446, "blob")
check("32 MB down arrive intact", hashlib.sha256(r.stdout).hexdigest()
      == want, r.stderr)
r = curl(9446, "up/blob", "-T", TMP + "/www/blob", *form)
with open(TMP + "/www/up/blob", "rb") as f:
    got = hashlib.sha256(f.read()).hexdigest()
check("and up", r.stdout == b"2 201" and got == want, r)
r = curl(9446, "up/expect", "-T", TMP + "/www/small", "-H",
         "Expect: 100-continue", *form)
check("curl waits for 100-continue", r.stdout == b"2 201", r)
r = subprocess.run(["nghttp", "-n", "-m", "20", "--no-verify-peer", "-v",
                    "https://ngx.test:9446/small"], capture_output=True,
                   text=True)
check("nghttp and its priorities", r.stdout.count(":status: 200") == 20,
      r.stdout[-800:])
before = cpu_s(g.proc.pid)
r = subprocess.run(["h2load", "-n", "2000", "-c", "8", "-m", "25",
                    "--connect-to=127.0.0.1:9446",
                    "https://ngx.test:9446/small"], capture_output=True,
                   text=True)
check("2,000 requests on 8 connections", "2000 succeeded" in r.stdout
      and "2xx" in r.stdout, r.stdout + r.stderr)
print(f"# {(cpu_s(g.proc.pid) - before) * 500:.0f} us of CPU a request")

try:
    import gate_h2_grpc
    gate_h2_grpc.run(g, check, TMP, PLACE, REAL)
except ImportError as e:
    skip("gRPC", str(e))

check("in bounded memory", g.peak_kb() < 48000, g.peak_kb())
with open(g.dir + "/net/net.log") as f:
    check("no secret in the log", REAL not in f.read())
server.terminate()
check("no stream is left", g.drained(), g.streams())
check("it ends in order", g.stop() == 0)
done()
