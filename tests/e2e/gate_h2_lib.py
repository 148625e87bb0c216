# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 for the tests of cove-gate: a client and a server that can do what
well-behaved ones do not, and a way for ordinary clients through a gate.
"""
import socket
import socketserver
import subprocess
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

import gate_lib as lib
from gate_lib import TcpServer, client_tls


class Connection(h2.connection.H2Connection):
    """After a goodbye h2 takes nothing more of what is under way."""

    def _receive_goaway_frame(self, frame):
        before = self.state_machine.state
        r = super()._receive_goaway_frame(frame)
        self.state_machine.state = before
        return r


class Answer:
    def __init__(self):
        self.interim = []
        self.head = {}
        self.body = b""
        self.pieces = []
        self.trailers = {}
        self.ended = False
        self.reset = None

    @property
    def status(self):
        return int(self.head.get(":status", 0))

    def __repr__(self):
        return (f"{self.interim} {self.head} {self.body[:300]} "
                f"{self.trailers} reset={self.reset} ended={self.ended}")


def text(headers):
    return {k.decode() if isinstance(k, bytes) else k:
            v.decode("latin1") if isinstance(v, bytes) else v
            for k, v in headers}


class Client:
    """One connection; strict=False sends what no client should."""

    def __init__(self, sock, name, alpn=("h2", "http/1.1"), strict=True,
                 ca="cove"):
        self.name = name
        self.tls = client_tls(ca, alpn).wrap_socket(
            sock, server_hostname=name)
        self.protocol = self.tls.selected_alpn_protocol()
        self.h2 = Connection(h2.config.H2Configuration(
            client_side=True, header_encoding=None,
            validate_outbound_headers=strict,
            normalize_outbound_headers=strict))
        self.answers = {}
        self.goaway = None
        self.closed = False
        self.reading = True  # gives windows back
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            try:
                self.tls.sendall(data)
            except OSError:
                self.closed = True

    def head(self, path="/", method="GET", extra=(), authority=None):
        return [(":method", method), (":scheme", "https"),
                (":authority", authority or self.name), (":path", path),
                *extra]

    def start(self, headers, end=True):
        sid = self.h2.get_next_available_stream_id()
        self.answers[sid] = Answer()
        self.h2.send_headers(sid, headers, end_stream=end)
        self.flush()
        return sid

    def take(self, event):
        a = self.answers.get(getattr(event, "stream_id", None), Answer())
        if isinstance(event, h2.events.InformationalResponseReceived):
            a.interim.append(text(event.headers))
        elif isinstance(event, h2.events.ResponseReceived):
            a.head = text(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            a.body += event.data
            a.pieces.append(event.data)
            if self.reading and event.flow_controlled_length:
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            a.trailers = text(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            a.ended = True
        elif isinstance(event, h2.events.StreamReset):
            a.reset = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code

    def pump(self):
        """What comes next; False at the end."""
        try:
            data = self.tls.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return False
        try:
            for event in self.h2.receive_data(data):
                self.take(event)
        except h2.exceptions.ProtocolError:
            self.closed = True
        self.flush()
        return not self.closed

    def until(self, test, seconds=lib.PATIENCE):
        end = time.monotonic() + seconds
        self.tls.settimeout(seconds)
        while not test() and time.monotonic() < end:
            if not self.pump():
                break
        return test()

    def finish(self, sid):
        a = self.answers[sid]
        self.until(lambda: a.ended or a.reset is not None or
                   self.goaway not in (None, 0))
        return a

    def ask(self, path="/", method="GET", extra=(), body=None, **kw):
        sid = self.start(self.head(path, method, extra, **kw),
                         end=body is None)
        if body is not None:
            self.send(sid, body)
        return self.finish(sid)

    def send(self, sid, data, end=True):
        view = memoryview(data)
        while len(view):
            room = min(self.h2.local_flow_control_window(sid),
                       self.h2.max_outbound_frame_size, len(view))
            if room == 0:
                if not self.pump() or self.answers[sid].reset is not None:
                    return False
                continue
            self.h2.send_data(sid, bytes(view[:room]))
            view = view[room:]
            self.flush()
        if end:
            self.h2.end_stream(sid)
            self.flush()
        return True

    def raw(self, data):
        """Bytes that h2 would not write."""
        self.flush()
        try:
            self.tls.sendall(data)
        except OSError:
            self.closed = True

    def close(self):
        self.tls.close()


class Server:
    """Each request becomes a call of handler(conn, sid, headers) when its
    head is there; bodies are counted and given back.
    """

    def __init__(self, port, ctx, handler, addr="127.0.0.1"):
        self.handler = handler
        self.ctx = ctx
        self.seen = []
        self.peer = None  # the newest connection
        ctx.set_alpn_protocols(["h2"])
        self.sock = socket.create_server((addr, port), backlog=512)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            s, _ = self.sock.accept()
            self.peer = Peer(self, s)
            threading.Thread(target=self.peer.run, daemon=True).start()


class Peer:
    def __init__(self, server, sock):
        self.server = server
        self.raw = sock
        self.lock = threading.RLock()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding=None))
        self.body = {}
        self.head = {}
        self.trailers = {}
        self.resets = []
        self.window = threading.Condition(self.lock)

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.tls.sendall(data)

    def run(self):
        try:
            self.tls = self.server.ctx.wrap_socket(self.raw, server_side=True)
            with self.lock:
                self.h2.initiate_connection()
                self.flush()
            while True:
                data = self.tls.recv(65536)
                if not data:
                    break
                with self.lock:
                    for event in self.h2.receive_data(data):
                        self.take(event)
                    self.flush()
                    self.window.notify_all()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        try:
            self.tls.close()
        except (OSError, AttributeError):
            pass

    def take(self, e):
        if isinstance(e, h2.events.RequestReceived):
            self.body[e.stream_id] = 0
            self.head[e.stream_id] = text(e.headers)
            self.server.seen.append(e.headers)
            self.call("head", e.stream_id)
        elif isinstance(e, h2.events.DataReceived):
            self.body[e.stream_id] += len(e.data)
            if self.call("data", e.stream_id) != "keep":
                self.h2.acknowledge_received_data(
                    e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.TrailersReceived):
            self.trailers[e.stream_id] = text(e.headers)
        elif isinstance(e, h2.events.StreamEnded):
            self.call("end", e.stream_id)
        elif isinstance(e, h2.events.StreamReset):
            self.resets.append((e.stream_id, e.error_code))

    def call(self, what, sid):
        fn = getattr(self.server.handler, what, None)
        return fn(self, sid) if fn else None

    def interim(self, sid, status):
        self.h2.send_headers(sid, [(":status", status)])

    def reset(self, sid, code):
        self.h2.reset_stream(sid, code)

    def goodbye(self):
        # h2 takes that for the end at once; what is under way is not.
        machine = self.h2.state_machine
        before = machine.state
        self.h2.close_connection()
        machine.state = before

    def send(self, sid, data, end=False):
        with self.lock:
            self.h2.send_data(sid, data, end_stream=end)
            self.flush()

    def answer(self, sid, body=b"", headers=(), trailers=None, status="200",
               more=False):
        """A short body goes at once; more: it does not end with that."""
        self.h2.send_headers(sid, [(":status", status), *headers],
                             end_stream=not body and trailers is None
                             and not more)
        if body and len(body) < 16384:
            self.h2.send_data(sid, body, end_stream=trailers is None
                              and not more)
            if trailers is not None:
                self.h2.send_headers(sid, trailers, end_stream=True)
        elif body:
            threading.Thread(target=self.write, args=(sid, body, trailers),
                             daemon=True).start()
        elif trailers is not None:
            self.h2.send_headers(sid, trailers, end_stream=True)

    def write(self, sid, body, trailers=None):
        view = memoryview(body)
        try:
            with self.lock:
                while len(view):
                    n = min(self.h2.local_flow_control_window(sid),
                            self.h2.max_outbound_frame_size, len(view))
                    if n == 0:
                        self.window.wait(10)
                        continue
                    self.h2.send_data(sid, bytes(view[:n]),
                                      end_stream=n == len(view)
                                      and trailers is None)
                    view = view[n:]
                    self.flush()
                if trailers is not None:
                    self.h2.send_headers(sid, trailers, end_stream=True)
                    self.flush()
        except (OSError, h2.exceptions.ProtocolError):
            pass


def front(gate, name, port, listen):
    """Ordinary clients reach name:port through the gate on this port."""

    def copy(a, b):
        try:
            while True:
                d = a.recv(65536)
                if not d:
                    break
                b.sendall(d)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            for s in (a, b):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def handle(self):
        s = gate.dial(name, port)
        s.settimeout(None)
        t = threading.Thread(target=copy, args=(self.request, s), daemon=True)
        t.start()
        copy(s, self.request)
        t.join()
        s.close()

    cls = type("Front", (socketserver.BaseRequestHandler,), {"handle": handle})
    s = TcpServer(("127.0.0.1", listen), cls)
    threading.Thread(target=s.serve_forever, daemon=True).start()


def nginx(name, h2, h1):
    """With and without HTTP/2; /asked tells version and X-Api-Key, /up takes
    files.
    """
    with open(lib.TMP + "/nginx.conf", "w") as f:
        f.write(f"""daemon off; master_process off; user root; pid {lib.TMP}/nginx.pid;
error_log {lib.TMP}/nginx.log; events {{ worker_connections 512; }}
http {{ access_log off; root {lib.TMP}/www; keepalive_requests 100000;
client_body_temp_path {lib.TMP}; proxy_temp_path {lib.TMP};
fastcgi_temp_path {lib.TMP}; uwsgi_temp_path {lib.TMP};
scgi_temp_path {lib.TMP}; client_max_body_size 0;
server {{ listen 127.0.0.1:{h2} ssl http2; listen 127.0.0.1:{h1} ssl;
ssl_certificate {name}.crt; ssl_certificate_key {name}.key;
location /asked {{ return 200 "$http2 $http_x_api_key\\n"; }}
location /up {{ dav_methods PUT; }} }} }}""")
    p = subprocess.Popen(["nginx", "-c", lib.TMP + "/nginx.conf", "-p",
                          lib.TMP], stderr=subprocess.DEVNULL)
    while p.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", h1)).close()
            return p
        except OSError:
            time.sleep(0.05)
    raise SystemExit("nginx does not start: see " + lib.TMP + "/nginx.log")
