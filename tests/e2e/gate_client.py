#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs in the guest: a WebSocket's and an event stream's client, without any
library. Usage: gate_client.py ws|events URL [CA]
"""
import os
import ssl
import struct
import sys
import socket
import urllib.parse
import urllib.request

kind, url = sys.argv[1:3]
tls = ssl.create_default_context(cafile=sys.argv[3] if sys.argv[3:] else None)


def events():
    n = 0
    with urllib.request.urlopen(url + "/events", context=tls) as r:
        for line in r:
            if line.startswith(b"data: "):
                assert int(line[6:]) == n
                n += 1
                urllib.request.urlopen(url + "/ack", context=tls).read()
    print(n, "events")


def frame(data):
    mask = os.urandom(4)
    size = (bytes((0x80 | len(data),)) if len(data) < 126
            else bytes((0x80 | 126,)) + struct.pack(">H", len(data)))
    return b"\x82" + size + mask + bytes(b ^ mask[i % 4]
                                         for i, b in enumerate(data))


def ws():
    u = urllib.parse.urlsplit(url)
    secure = u.scheme == "https"
    s = socket.create_connection((u.hostname, u.port or
                                  (443 if secure else 80)))
    if secure:
        s = tls.wrap_socket(s, server_hostname=u.hostname)
    s.sendall(f"GET /ws HTTP/1.1\r\nHost: {u.netloc}\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    f = s.makefile("rb")
    status = f.readline().split()[1]
    assert status == b"101", status
    while (line := f.readline().strip()):
        if line.lower().startswith(b"sec-websocket-accept"):
            assert line.endswith(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), line
    for n in (1, 125, 126, 60000):
        data = os.urandom(n)
        s.sendall(frame(data))
        head = f.read(2)
        size = head[1] if head[1] < 126 else struct.unpack(
            ">H", f.read(2))[0]
        assert f.read(size) == data
    print("4 messages")


{"ws": ws, "events": events}[kind]()
