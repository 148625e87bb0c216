#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The HTTP half of gate_servers.sh: events that wait for their acknowledgement,
a WebSocket, git over HTTP, bodies by their digest, what was asked with which
credentials. Usage: gate_servers.py ADDRESS CERT KEY GIT-ROOT SEEN

Port 80 plain, port 443 with TLS. SEEN gets a line for each request:
path, X-Key, Authorization.
"""
import base64
import hashlib
import http.server
import os
import ssl
import struct
import subprocess
import sys
import threading

ADDRESS, CERT, KEY, ROOT, SEEN = sys.argv[1:6]
acked = threading.Semaphore(0)
writing = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def note(self):
        with writing, open(SEEN, "a") as f:
            f.write(f"{self.path} {self.headers.get('X-Key')} "
                    f"{self.headers.get('Authorization')}\n")

    def answer(self, body, status=200, fields=()):
        self.send_response(status)
        for k, v in fields:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        """As it comes: chunked or counted."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while n := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(n)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            d = self.rfile.read(min(left, 1 << 16))
            left -= len(d)
            yield d

    def events(self):
        """Each is sent only when the one before has arrived."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        for i in range(5):
            self.wfile.write(b"data: %d\n\n" % i)
            if not acked.acquire(timeout=600):
                return

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(
            key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.end_headers()
        self.close_connection = True
        while len(head := self.rfile.read(2)) == 2:
            n = head[1] & 127
            size = b""
            if n == 126:
                size = self.rfile.read(2)
                n = struct.unpack(">H", size)[0]
            mask = self.rfile.read(4)
            data = bytes(b ^ mask[i % 4]
                         for i, b in enumerate(self.rfile.read(n)))
            self.wfile.write(bytes((head[0], head[1] & 127)) + size + data)
            if head[0] & 15 == 8:
                return

    def git(self):
        path, _, query = self.path.partition("?")
        env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": ROOT,
               "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path[4:],
               "QUERY_STRING": query, "REQUEST_METHOD": self.command,
               "REMOTE_USER": "test",
               "CONTENT_TYPE": self.headers.get("Content-Type", ""),
               "HTTP_CONTENT_ENCODING":
                   self.headers.get("Content-Encoding", ""),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        data = b"".join(self.body())
        env["CONTENT_LENGTH"] = str(len(data))
        out = subprocess.run(["git", "http-backend"], input=data, env=env,
                             stdout=subprocess.PIPE).stdout
        head, _, body = out.partition(b"\r\n\r\n")
        fields = [x.split(": ", 1) for x in head.decode().split("\r\n")]
        status = [v for k, v in fields if k == "Status"] or ["200"]
        self.answer(body, int(status[0].split()[0]),
                    [x for x in fields if x[0] != "Status"])

    def do_GET(self):
        self.note()
        if self.path.startswith("/git/"):
            self.git()
        elif self.path == "/events":
            self.events()
        elif self.path == "/ack":
            acked.release()
            self.answer(b"")
        elif self.headers.get("Upgrade", "").lower() == "websocket":
            self.websocket()
        else:
            self.answer(b"hello from %s\n" % self.headers["Host"].encode())

    def do_POST(self):
        if self.path.startswith("/git/"):
            self.note()
            self.git()
            return
        h = hashlib.sha256()
        for d in self.body():
            h.update(d)
        self.answer(h.hexdigest().encode() + b"\n")


def serve(port, context):
    s = http.server.ThreadingHTTPServer((ADDRESS, port), Handler)
    if context:
        # The handshake is the connection's, not the listener's.
        s.socket = context.wrap_socket(s.socket, server_side=True,
                                       do_handshake_on_connect=False)
    threading.Thread(target=s.serve_forever).start()


tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(CERT, KEY)
tls.set_alpn_protocols(["http/1.1"])
serve(80, None)
serve(443, tls)
