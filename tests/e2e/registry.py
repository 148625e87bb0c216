#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry that is difficult, on 127.0.0.1: serves one OCI layout.

usage: registry.py LAYOUT LOG   (prints its port)

The repository's name says how it behaves: plain/app, private/app (a token, got
with joe:secret), resume/app (a layer breaks off in the middle, once), norange/x
(the same, and it knows no ranges), busy/app (503, once), redirect/app (blobs lie
elsewhere, and who shows a credential there is refused), away/app (redirects to
an http server that is not this host), liar/app (a layer of other bytes),
loop/app (redirects to itself), stall/app (a layer stops in the middle, once,
until the client goes). LOG gets a line for each request.
"""
import base64
import http.server
import json
import os
import sys
import threading

LAYOUT, LOG = sys.argv[1:3]
TOKEN = "a-token"
once = set()
lock = threading.Lock()


def blob(digest):
    path = os.path.join(LAYOUT, "blobs", "sha256", digest.split(":")[1])
    with open(path, "rb") as f:
        return f.read()


def first(key):
    with lock:
        new = key not in once
        once.add(key)
        return new


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def token(self):
        want = "Basic " + base64.b64encode(b"joe:secret").decode()
        if self.headers.get("Authorization") != want or \
                "scope=repository:private/app:pull" not in self.path:
            return self.answer(401)
        return self.answer(200, json.dumps({"token": TOKEN}).encode())

    def cut_off(self, data, ranges):
        start = self.headers.get("Range", "")
        at = int(start[6:-1]) if start.startswith("bytes=") else 0
        if at and ranges:
            rest = data[at:]
            return self.answer(206, rest, Content_Range="bytes %d-%d/%d" % (
                at, len(data) - 1, len(data)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if first(self.path):
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
            if "/stall/" in self.path:
                self.connection.recv(1)
            self.close_connection = True
            return None
        self.wfile.write(data)
        return None

    def give_blob(self, kind, digest):
        data = blob(digest)
        if kind == "redirect":
            return self.answer(307, Location="http://localhost:%d/else/%s" % (
                self.server.server_address[1], digest))
        if kind == "away":
            return self.answer(307, Location="http://192.0.2.1/" + digest)
        if kind == "loop":
            return self.answer(307, Location=self.path)
        if kind in ("resume", "norange", "stall") and len(data) > 10000:
            return self.cut_off(data, kind != "norange")
        if kind == "liar" and len(data) > 10000:
            data = data[:-1] + bytes([data[-1] ^ 1])
        return self.answer(200, data)

    def do_GET(self):
        with open(LOG, "a") as f:
            f.write("%s %s %s\n" % (self.path,
                                    self.headers.get("Range", "-"),
                                    self.headers.get("Authorization", "-")))
        parts = self.path.split("/")
        if self.path.startswith("/token?"):
            return self.token()
        if parts[1] == "else":
            if self.headers.get("Authorization"):
                return self.answer(400)
            return self.answer(200, blob(parts[2]))
        kind = parts[2]
        if kind == "private" and \
                self.headers.get("Authorization") != "Bearer " + TOKEN:
            return self.answer(401, WWW_Authenticate='Bearer realm='
                               '"http://127.0.0.1:%d/token",service="test"' %
                               self.server.server_address[1])
        if kind == "busy" and first(self.path):
            return self.answer(503)
        if parts[4] == "blobs":
            return self.give_blob(kind, parts[5])
        if parts[5] == "absent" or parts[5] == "sha256:" + "0" * 64:
            return self.answer(404)
        if parts[5].startswith("sha256:"):
            return self.answer(200, blob(parts[5]))
        with open(os.path.join(LAYOUT, "index.json"), "rb") as f:
            return self.answer(200, f.read())


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
