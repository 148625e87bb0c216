#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 through cove-gate to opened hosts, without a guest: real servers and
clients, then ones that break the rules. Prints TAP.
Usage: gate_h2.py PATH-TO-cove-gate
"""
import hashlib
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gate_lib as lib
from gate_lib import Gate, check, done, keys, pem, secret

lib.enter("127.0.0.1 web.test api.test sec.test other.test bad.test odd.test\n")
TMP = lib.TMP
from gate_h2_lib import Client, Server, front

REAL = "sk-real-" + os.urandom(8).hex()
for ca in ("cove", "world", "nobody"):
    lib.authority(ca)
for host in ("sec.test", "api.test"):
    lib.certificate("world", host)


# ---- servers ----

class Handler:
    """Tells what it was asked; paths make it behave in other ways."""

    def head(self, conn, sid):
        path = conn.head[sid][":path"]
        if path == "/trailers":
            conn.answer(sid, b"body", [], [("x-sum", "77"),
                                           ("content-length", "9")])

    def end(self, conn, sid):
        head = conn.head[sid]
        if head[":path"] == "/trailers":
            return
        lines = "".join(f"{k}: {v}\n" for k, v in head.items())
        body = (f"{lines}body {conn.body[sid]}\n"
                f"{conn.trailers.get(sid)}\n").encode()
        conn.answer(sid, body if head[":method"] != "HEAD" else b"",
                    [("content-length", str(len(body)))])


odd = Server(8443, lib.certificate("world", "odd.test"), Handler())
KEYS = keys(secret("acme", REAL, ["odd.test", "sec.test"],
                   ["x-api-key: %s", "authorization: Bearer %s", "?key"]))
LOOP = "allow 127.0.0.0/8 id=loop\n"
g = Gate("allow odd.test\nallow sec.test\nallow other.test\nallow bad.test\n"
         "allow api.test method=GET\n" + LOOP, keys=KEYS,
         roots=pem("world.crt"))
check("it serves", g.answer == b"\1", g.answer)

c = Client(g.dial("odd.test", 8443), "odd.test")
check("both sides agree on h2", c.protocol == "h2", c.protocol)
a = c.ask(extra=[("x-api-key", "cove-secret-acme")])
check("a placeholder becomes the secret", a.status == 200
      and f"x-api-key: {REAL}".encode() in a.body, a)
done()
