#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP, TLS and secrets through cove-gate, without a guest.

Runs in namespaces of its own: loopback only, a hosts file made here. Prints
TAP. Usage: gate_http.py PATH-TO-cove-gate
"""
import base64
import hashlib
import os
import socket
import socketserver
import ssl
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gate_lib as lib
from gate_lib import (Gate, TcpServer, authority, certificate, check,
                      client_tls, done, keys, pem, read_all, secret)

lib.enter("127.0.0.1 web.test other.test api.test sec.test bad.test\n")


def read_head(f):
    lines = []
    while True:
        line = f.readline()
        if line in (b"\r\n", b""):
            return lines
        lines.append(line.rstrip(b"\r\n"))


def field(head, name):
    for line in head[1:]:
        k, _, v = line.partition(b":")
        if k.lower() == name:
            return v.strip()
    return None


def read_chunked(f):
    body = b""
    while True:
        n = int(f.readline().split(b";")[0], 16)
        if n == 0:
            return body, read_head(f)
        body += f.read(n)
        f.readline()


class Http(socketserver.StreamRequestHandler):
    """Answers with what it was asked, so that the test sees it."""

    def handle(self):
        while self.one():
            pass

    def one(self):
        head = read_head(self.rfile)
        if not head:
            return False
        method, target, _ = head[0].split(b" ")
        self.server.seen.append(b"\n".join(head))
        if field(head, b"upgrade"):
            return self.upgrade()
        if target == b"/expect":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        n, trailers = 0, []
        digest = hashlib.sha256()
        if field(head, b"transfer-encoding"):
            body, trailers = read_chunked(self.rfile)
            n = len(body)
            digest.update(body)
        else:
            left = int(field(head, b"content-length") or 0)
            while left > 0:
                d = self.rfile.read(min(left, 65536))
                if not d:
                    return False
                digest.update(d)
                n += len(d)
                left -= len(d)
        return self.answer(method, target, head, n, trailers, digest)

    def answer(self, method, target, head, n, trailers, digest):
        w = self.wfile
        if target == b"/sse":
            w.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                    b"Content-Type: text/event-stream\r\n\r\n")
            for i in range(3):
                data = b"data: %d\n\n" % i
                w.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.server.tick.acquire()
            w.write(b"0\r\nX-Trailer: end\r\n\r\n")
            return True
        if target.startswith(b"/big"):
            size = int(target[4:])
            w.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            block = bytes(range(256)) * 256
            while size > 0:
                w.write(block[:min(size, 65536)])
                size -= 65536
            return True
        body = b"%s\nbody %d %s\n%s\n" % (
            b"\n".join(head), n, digest.hexdigest()[:16].encode(),
            b" ".join(trailers))
        w.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        if method != b"HEAD":
            w.write(body)
        return field(head, b"connection") != b"close"

    def upgrade(self):
        self.wfile.write(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n"
                         b"Upgrade: websocket\r\n\r\nhi")
        while True:
            d = self.request.recv(65536)
            if not d:
                return False
            self.request.sendall(b"<" + d + b">")


def serve(port, handler=Http, wrap=None):
    s = TcpServer(("127.0.0.1", port), handler)
    s.seen = []
    s.tick = threading.Semaphore(0)
    if wrap:
        s.socket = wrap.wrap_socket(s.socket, server_side=True)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return s


def answer(f):
    head = read_head(f)
    if field(head, b"transfer-encoding"):
        body, _ = read_chunked(f)
    else:
        body = f.read(int(field(head, b"content-length") or 0))
    return head, body


def tls(s, name, alpn=("http/1.1",), ca="cove"):
    return client_tls(ca, alpn).wrap_socket(s, server_hostname=name)


# ---- plain HTTP ----

web = serve(8080)
echo = serve(7000, type("Echo", (socketserver.BaseRequestHandler,), {
    "handle": lambda self: [self.request.sendall(d) for d in iter(
        lambda: self.request.recv(65536), b"")]}))
LOOP = "allow 127.0.0.0/8 id=loop\n"
g = Gate("allow web.test id=web\nallow api.test method=GET id=get\n"
         "allow api.test method=POST path=/up/** id=up\n"
         "deny api.test path=/secret/** id=hidden\n" + LOOP)
check("it serves", g.answer == b"\1", g.answer)
r = g.get("web.test", 8080)
check("a request passes", b"GET / HTTP/1.1" in r and b"200 OK" in r, r)

s = g.dial("web.test", 8080)
f = s.makefile("rb")
ok = True
for i in range(50):
    s.sendall(b"GET /%d HTTP/1.1\r\nHost: web.test\r\n\r\n" % i)
    ok = ok and b"GET /%d " % i in answer(f)[1]
check("50 requests on one connection", ok)
s.sendall(b"GET /x HTTP/1.1\r\nHost: other.test\r\n\r\n")
head, body = answer(f)
check("another Host in the middle is refused in words", b"403" in head[0]
      and b"names another host" in body, (head, body))
s.sendall(b"GET /y HTTP/1.1\r\nHost: web.test:8080\r\n\r\n")
check("and the connection goes on", b"GET /y" in answer(f)[1])
s.sendall(b"".join(b"GET /p%d HTTP/1.1\r\nHost: WEB.test.\r\n\r\n" % i
                   for i in range(20)))
check("20 requests at once", all(b"GET /p%d " % i in answer(f)[1]
                                 for i in range(20)))
s.sendall(b"POST /expect HTTP/1.1\r\nHost: web.test\r\nContent-Length: 4\r\n"
          b"Expect: 100-continue\r\n\r\n")
check("100-continue arrives before the body", b"100" in read_head(f)[0])
s.sendall(b"body")
check("and then the answer", b"body 4 " in answer(f)[1])
s.sendall(b"POST /c HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked"
          b"\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 77\r\nHost: evil\r\n\r\n")
body = answer(f)[1]
check("a chunked body with a trailer", b"body 5 " in body
      and b"X-Sum: 77" in body and b"evil" not in body, body)
s.sendall(b"HEAD / HTTP/1.1\r\nHost: web.test\r\n\r\n")
check("HEAD has a length and no body",
      int(field(read_head(f), b"content-length")) > 0)
s.sendall(b"GET /sse HTTP/1.1\r\nHost: web.test\r\n\r\n")
head = read_head(f)
events = []
for i in range(3):
    n = int(f.readline(), 16)
    events.append(f.read(n))
    f.readline()
    web.tick.release()
check("events arrive one by one", events ==
      [b"data: %d\n\n" % i for i in range(3)], events)
check("with their trailer", f.readline() == b"0\r\n"
      and read_head(f) == [b"X-Trailer: end"])
s.close()

s = g.dial("web.test", 8080)
s.sendall(b"GET /ws HTTP/1.1\r\nHost: web.test\r\nUpgrade: websocket\r\n"
          b"Connection: Upgrade\r\n\r\n")
f = s.makefile("rb")
check("an upgrade", b"101" in read_head(f)[0] and f.read(2) == b"hi")
s.sendall(b"\x81\x00")
check("carries raw bytes", f.read(4) == b"<\x81\x00>")
s.shutdown(socket.SHUT_WR)
check("and its half-close", f.read() == b"")
s.close()

total = 64 << 20
s = g.dial("web.test", 8080)
f = s.makefile("rb")
s.sendall(b"GET /big%d HTTP/1.1\r\nHost: web.test\r\n\r\n" % total)
read_head(f)
want = hashlib.sha256(bytes(range(256)) * 256 * (total >> 16)).digest()
got = hashlib.sha256()
left = total
while left:
    d = f.read(min(left, 1 << 20))
    if not d:
        break
    got.update(d)
    left -= len(d)
check("64 MB down arrive intact", got.digest() == want)
s.sendall(b"PUT /up HTTP/1.1\r\nHost: web.test\r\nContent-Length: %d\r\n\r\n"
          % total)
for i in range(total >> 16):
    s.sendall(bytes(range(256)) * 256)
check("and up", b"body %d %s" % (total, want.hex()[:16].encode())
      in answer(f)[1])
s.close()
check("in bounded memory", g.peak_kb() < 40000, g.peak_kb())

for name, text in (
        ("both lengths", "POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length:"
         " 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a space before the colon", "GET / HTTP/1.1\r\nHost : web.test\r\n"
         "\r\n"),
        ("a folded line", "GET / HTTP/1.1\r\nHost: web.test\r\nX: a\r\n b\r\n"
         "\r\n"),
        ("a bare line feed", "GET / HTTP/1.1\nHost: web.test\n\n"),
        ("two hosts", "GET / HTTP/1.1\r\nHost: web.test\r\nHost: web.test\r\n"
         "\r\n"),
        ("an absolute target of another host", "GET http://other.test/ "
         "HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n"),
        ("CONNECT", "CONNECT web.test:8080 HTTP/1.1\r\nHost: web.test:8080"
         "\r\n\r\n")):
    web.seen.clear()
    r = g.ask("web.test", 8080, text.encode())
    check(f"{name}: refused", r.startswith(b"HTTP/1.1 4") and b"cove:" in r
          and not web.seen, (r, web.seen))
s = g.dial("web.test", 7000)
s.sendall(b"EHLO me\r\n")
check("what only looks like HTTP is passed on", s.recv(99) == b"EHLO me\r\n")
s.close()

# ---- methods and paths ----

r = g.get("api.test", 8080, path="/a")
check("an allowed method passes", b"200 OK" in r, r)
s = g.dial("api.test", 8080)
f = s.makefile("rb")
s.sendall(b"DELETE /a HTTP/1.1\r\nHost: api.test\r\n\r\n")
head, body = answer(f)
check("another is denied in words", b"403" in head[0]
      and b"no rule allows DELETE /a" in body, body)
s.sendall(b"POST /up/x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 0\r\n"
          b"\r\n")
check("an allowed path passes on the same connection",
      b"POST /up/x" in answer(f)[1])
for path in ("/secret/x", "/%73ecret/x", "/a/../secret/x", "/a%2f..%2fsecret",
             "//secret/x", "/secret/%2e%2e/x"):
    s.sendall(b"GET %s HTTP/1.1\r\nHost: api.test\r\n\r\n" % path.encode())
    head, body = answer(f)
    check(f"{path} is denied", b"403" in head[0], (head, body))
s.sendall(b"GET /still HTTP/1.1\r\nHost: api.test\r\n\r\n")
check("and it goes on", b"GET /still" in answer(f)[1])
s.close()
s = g.dial("api.test", 7000)
s.sendall(b"SSH-2.0-x\r\n")
check("what is no HTTP is closed there", read_all(s) in (b"", b"<reset>"))
s = g.dial("api.test", 8080)
f = s.makefile("rb")
s.sendall(b"GET /sse HTTP/1.1\r\nHost: api.test\r\n\r\n")
read_head(f)
g.set_rules("allow web.test id=web\nallow api.test method=POST\n" + LOOP)
r = f.read()
check("rules that change cut what is under way", b"X-Trailer" not in r, r)
s.close()
log = g.log()
check("every verdict is in the log", any(
    e["verdict"] == "deny" and "DELETE /a" in e["reason"] for e in log)
    and any(e["verdict"] == "deny" and e["rule"] == "hidden" for e in log)
    and any(e["verdict"] == "allow" and "POST /up/x" in e["reason"]
            for e in log))
check("no stream is left", g.drained(), g.streams())
check("it ends in order", g.stop() == 0)

# ---- TLS and secrets ----

REAL = "sk-real-" + os.urandom(8).hex()
for name in ("cove", "world", "nobody"):
    authority(name)
sec = serve(8443, wrap=certificate("world", "sec.test"))
api = serve(8444, wrap=certificate("world", "api.test"))
bad = serve(8445, wrap=certificate("nobody", "bad.test"))
wrong = serve(8446, wrap=certificate("world", "other.test"))
KEYS = keys(
    secret("acme", REAL, ["sec.test", "bad.test:8445"],
           ["x-api-key: %s", "authorization: Bearer %s",
            "authorization: Basic %s", "?key"]))
g = Gate("allow sec.test\nallow other.test\nallow bad.test\n"
         "allow api.test method=GET\n" + LOOP, keys=KEYS,
         roots=pem("world.crt"))
check("it serves with keys", g.answer == b"\1", g.answer)


def tget(name, port, request, sni=None, **kw):
    try:
        s = tls(g.dial(name, port), sni or name, **kw)
    except OSError as e:
        print("#", g.proc.poll(), g.log()[-1])
        raise
    s.sendall(request.encode())
    head, body = answer(s.makefile("rb"))
    s.close()
    return head, body


def ask(name, port, *fields, path="/", **kw):
    return tget(name, port, f"GET {path} HTTP/1.1\r\nHost: {name}\r\n"
                + "".join(x + "\r\n" for x in fields) + "\r\n", **kw)


def basic(text):
    return "Authorization: Basic " + base64.b64encode(text.encode()).decode()


head, body = ask("sec.test", 8443, "X-Api-Key: cove-secret-acme")
check("a placeholder becomes the secret", b"200" in head[0]
      and f"X-Api-Key: {REAL}".encode() in body, (head, body))
head, body = ask("sec.test", 8443, "Authorization: bearer cove-secret-acme")
check("also behind Bearer", f"bearer {REAL}".encode() in body, body)
head, body = ask("sec.test", 8443, basic("x-access-token:cove-secret-acme"))
check("and inside Basic", basic("x-access-token:" + REAL).encode() in body,
      body)
head, body = ask("sec.test", 8443, path="/?a=1&key=cove-secret-acme&b=2")
check("and in the query", f"/?a=1&key={REAL}&b=2".encode() in body, body)
for field_ in ("X-Other: cove-secret-acme", "X-Api-Key: a cove-secret-acme",
               "Authorization: Bearer sk-own", "X-Api-Key: cove-secret-acme2"):
    head, body = ask("sec.test", 8443, field_)
    check(f"'{field_}' is not touched", field_.encode() in body
          and REAL.encode() not in body, body)
s = tls(g.dial("sec.test", 8443), "sec.test")
f = s.makefile("rb")
ok = True
for i in range(50):
    s.sendall(b"GET /%d HTTP/1.1\r\nHost: sec.test\r\nX-Api-Key: "
              b"cove-secret-acme\r\n\r\n" % i)
    body = answer(f)[1]
    ok = ok and b"GET /%d " % i in body and REAL.encode() in body
check("50 requests on one connection", ok)
s.sendall(b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
head, body = answer(f)
check("another Host inside TLS is refused", b"403" in head[0], (head, body))
s.sendall(b"PUT /up HTTP/1.1\r\nHost: sec.test\r\nContent-Length: %d\r\n\r\n"
          % total)
for i in range(total >> 16):
    s.sendall(bytes(range(256)) * 256)
check("64 MB up arrive intact", b"body %d %s" % (total, want.hex()[:16].encode())
      in answer(f)[1])
s.sendall(b"GET /big%d HTTP/1.1\r\nHost: sec.test\r\n\r\n" % total)
read_head(f)
got = hashlib.sha256()
left = total
while left:
    d = f.read(min(left, 1 << 20))
    if not d:
        break
    got.update(d)
    left -= len(d)
check("and down", got.digest() == want)
g.set_keys(keys())
s.sendall(b"GET / HTTP/1.1\r\nHost: sec.test\r\nX-Api-Key: cove-secret-acme"
          b"\r\n\r\n")
body = answer(f)[1]
check("a removed secret is gone at once", b"cove-secret-acme" in body
      and REAL.encode() not in body, body)
s.close()
g.set_keys(KEYS)
s = tls(g.dial("sec.test", 8443), "sec.test")
f = s.makefile("rb")
s.sendall(b"GET /ws HTTP/1.1\r\nHost: sec.test\r\nUpgrade: websocket\r\n"
          b"Connection: Upgrade\r\n\r\n")
check("an upgrade inside TLS", b"101" in read_head(f)[0] and f.read(2) == b"hi")
s.sendall(b"x")
check("carries raw bytes", f.read(3) == b"<x>")
s.close()
s = tls(g.dial("sec.test", 8443), "sec.test", alpn=None)
s.sendall(b"GET / HTTP/1.1\r\nHost: sec.test\r\nConnection: close\r\n\r\n")
r = read_all(s)
check("a client without ALPN, and a close", b"200 OK" in r
      and r.endswith(b"\n\n"), r)

s = tls(g.dial("other.test", 8446), "other.test", ca="world")
s.sendall(b"GET / HTTP/1.1\r\nHost: other.test\r\nX-Api-Key: "
          b"cove-secret-acme\r\n\r\n")
body = answer(s.makefile("rb"))[1]
check("a host without a secret is not opened, its placeholder stays one",
      b"X-Api-Key: cove-secret-acme" in body, body)
s.close()
web.seen.clear()
r = g.get("sec.test", 8080, extra="X-Api-Key: cove-secret-acme\r\n")
check("no secret leaves without TLS", b"cove-secret-acme" in r
      and REAL.encode() not in r, r)
head, body = ask("bad.test", 8445, "X-Api-Key: cove-secret-acme")
check("a server that nobody vouches for is refused in words",
      b"502" in head[0] and b"certificate" in body and not bad.seen,
      (head, body, bad.seen))
g.set_keys(keys(secret("w", REAL, ["sec.test"], ["x-api-key: %s"])))
head, body = ask("sec.test", 8446, "X-Api-Key: cove-secret-w")
check("a certificate for another name too", b"502" in head[0]
      and b"hostname mismatch" in body and not any(
          REAL.encode() in x for x in wrong.seen), (head, body))
head, body = ask("api.test", 8444)
check("methods are judged inside TLS: allowed", b"200" in head[0], head)
head, body = tget("api.test", 8444, "DELETE /x HTTP/1.1\r\nHost: api.test"
                  "\r\n\r\n")
check("and denied", b"403" in head[0] and b"DELETE /x" in body, (head, body))
g.set_keys(keys(secret("c", REAL, ["**.test"], ["*: *"], "my-token")))
head, body = ask("sec.test", 8443, "X-Any: a my-token b my-token")
check("a custom secret is replaced anywhere",
      f"X-Any: a {REAL} b {REAL}".encode() in body, body)
try:
    s = tls(g.dial("sec.test", 8443), "sec.test", ca="nobody")
    r = "accepted"
except ssl.SSLError:
    r = ""
check("a client without Cove's authority refuses it", r == "", r)
check("broken keys are refused", g.set_keys(b"\1\2\3") == 2)
check("and change nothing", REAL.encode() in
      ask("sec.test", 8443, "X-Any: my-token")[1])
with open(g.dir + "/net/net.log") as f:
    log = f.read()
check("no secret in the log", REAL not in log and "\"open\"" in log,
      [x for x in log.splitlines() if REAL in x or "open" in x][:3] or log[-900:])
check("no stream is left", g.drained(), g.streams())
check("it ends in order", g.stop() == 0)
done()
