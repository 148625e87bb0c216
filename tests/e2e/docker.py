#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of a Docker socket that owes nothing to the docker CLI.

docker.py SOCKET get PATH                    status and body of a GET
docker.py SOCKET exec CONTAINER CMD...       stdin to a command and back: a
                                             hijacked connection whose sending
                                             side is closed before the answer
"""
import json
import socket
import sys


def dial(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)  # waits where a queue is full, without a time limit
    s.settimeout(500)
    return s


def read_all(s):
    got = b""
    while True:
        d = s.recv(65536)
        if not d:
            return got
        got += d


def request(path, method, target, body=None, extra=""):
    s = dial(path)
    data = json.dumps(body).encode() if body is not None else b""
    s.sendall(f"{method} {target} HTTP/1.1\r\nHost: docker\r\n{extra}"
              f"Content-Type: application/json\r\n"
              f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
    return s


def call(path, method, target, body=None):
    s = request(path, method, target, body, "Connection: close\r\n")
    head, _, body = read_all(s).partition(b"\r\n\r\n")
    if b"chunked" in head:
        out = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            n = int(size, 16)
            out, body = out + body[:n], body[n + 2:]
        body = out
    return int(head.split()[1]), body


def run_exec(path, container, argv):
    status, body = call(path, "POST", f"/containers/{container}/exec", {
        "AttachStdin": True, "AttachStdout": True, "AttachStderr": True,
        "Cmd": argv})
    assert status == 201, body
    s = request(path, "POST", f"/exec/{json.loads(body)['Id']}/start",
                {"Detach": False, "Tty": False},
                "Connection: Upgrade\r\nUpgrade: tcp\r\n")
    got = b""
    while b"\r\n\r\n" not in got:
        got += s.recv(65536)
    head, _, got = got.partition(b"\r\n\r\n")
    assert head.split()[1] == b"101", head
    s.sendall(sys.stdin.buffer.read())
    s.shutdown(socket.SHUT_WR)
    got += read_all(s)
    while got:  # frames: stream, three zeroes, length
        n = int.from_bytes(got[4:8], "big")
        sys.stdout.buffer.write(got[8:8 + n])
        got = got[8 + n:]


def main():
    path, what, *rest = sys.argv[1:]
    if what == "get":
        status, body = call(path, "GET", rest[0])
        print(status, body.decode())
    else:
        run_exec(path, rest[0], rest[1:])


main()
