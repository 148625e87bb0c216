# SPDX-License-Identifier: Apache-2.0
"""What the tests of cove-gate without a guest share: namespaces with nothing
but loopback in them, a gate whose other side is the test, TAP.
"""
import ctypes
import hashlib
import http.server
import json
import os
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

socketserver.BaseServer.handle_error = lambda *a: None
LIBC = ctypes.CDLL(None)  # before there are threads whose locks a fork keeps
PATIENCE = 120  # seconds for what must happen, on a machine that is busy
TMP = None
GATE = None
count = 0
failed = 0


def enter(hosts, resolver=False, nets=()):
    """Starts the test again in namespaces: hosts is /etc/hosts, resolver makes
    127.0.0.1 the only one, nets are addresses/bits that loopback answers for.
    """
    global TMP, GATE
    GATE = os.path.abspath(sys.argv[1])
    if os.environ.get("COVE_GATE_INSIDE") != "1":
        extra = ["-r"] if os.geteuid() != 0 else []
        os.environ["COVE_GATE_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", *extra, "-m", "-n", sys.executable,
                              os.path.abspath(sys.argv[0]), *sys.argv[1:]])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for net in nets:
        fam = "-6" if ":" in net else "-4"
        subprocess.run(["ip", fam, "addr", "add", net, "dev", "lo"]
                       + (["nodad"] if fam == "-6" else []), check=True)
        if fam == "-6":
            subprocess.run(["ip", "-6", "route", "add", "local", net,
                            "dev", "lo"], check=True)
    TMP = tempfile.mkdtemp(prefix="cove-gate.")
    put("/etc/hosts", hosts)
    if resolver:
        put("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    return GATE, TMP


def put(path, text):
    name = TMP + "/" + os.path.basename(path)
    with open(name, "w") as f:
        f.write(text)
    subprocess.run(["mount", "--bind", name, os.path.realpath(path)],
                   check=True)


def check(name, ok, detail=""):
    global count, failed
    count += 1
    if not ok:
        failed += 1
        for line in str(detail).splitlines():
            print("# " + line)
    print(f"{'ok' if ok else 'not ok'} {count} - {name}", flush=True)


def skip(name, why):
    global count
    if os.environ.get("COVE_MUST_RUN") == "1":
        check(name, False, "must run, but: " + why)
        return
    count += 1
    print(f"ok {count} - {name} # SKIP {why}", flush=True)


def done():
    print(f"1..{count}", flush=True)
    shutil.rmtree(TMP, ignore_errors=True)
    os._exit(failed > 0)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"hello from %s\n" % self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *a):
        pass


class Server6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve_http(cls, addr):
    s = cls((addr, 8080), Handler)
    threading.Thread(target=s.serve_forever, daemon=True).start()


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"banner\n")
        n = 0
        while True:
            d = self.request.recv(65536)
            if not d:
                break
            n += len(d)
            self.request.sendall(d)
        self.request.sendall(b"total %d\n" % n)


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


def tlv(tag, data):
    return struct.pack("<HHI", tag, 0, len(data)) + data


def u32(tag, v):
    return tlv(tag, struct.pack("<I", v))


def memfd(data):
    fd = os.memfd_create("test")
    os.write(fd, data if isinstance(data, bytes) else data.encode())
    return fd


# ---- certificates and keys; all files below TMP ----

def openssl(*args):
    subprocess.run(["openssl", *args], check=True, cwd=TMP,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def authority(name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
            f"/CN={name}", "-keyout", name + ".key", "-out", name + ".crt")


def certificate(ca, *hosts):
    """HOST.key and HOST.crt of the first host, and the context with them."""
    host = hosts[0]
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", "/CN=x", "-keyout", host + ".key", "-out",
            host + ".csr")
    with open(TMP + "/ext", "w") as f:
        f.write("subjectAltName=" + ",".join("DNS:" + h for h in hosts)
                + "\n")
    openssl("x509", "-req", "-in", host + ".csr", "-CA", ca + ".crt", "-CAkey",
            ca + ".key", "-CAcreateserial", "-days", "9", "-extfile", "ext",
            "-out", host + ".crt")
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(f"{TMP}/{host}.crt", f"{TMP}/{host}.key")
    ctx.set_alpn_protocols(["http/1.1"])
    return ctx


def pem(name):
    with open(f"{TMP}/{name}", "rb") as f:
        return f.read()


def secret(name, value, hosts, uses, placeholder=None):
    body = tlv(1, name.encode()) + tlv(5, value.encode())
    body += tlv(4, (placeholder or "cove-secret-" + name).encode())
    for h in hosts:
        body += tlv(2, h.encode())
    for u in uses:
        body += tlv(3, u.encode())
    return tlv(3, body)


def keys(*secrets):
    """What a gate signs with (the authority "cove") and puts in."""
    return (tlv(1, pem("cove.key")) + tlv(2, pem("cove.crt"))
            + b"".join(secrets))


def client_tls(ca="cove", alpn=("http/1.1",)):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.load_verify_locations(f"{TMP}/{ca}.crt")
    if alpn:
        ctx.set_alpn_protocols(list(alpn))
    return ctx


class Gate:
    def __init__(self, rules, name="box", extra=b"", keys=None, roots=None):
        self.extra = extra  # more of the birth message
        self.files = {72: keys, 73: roots}  # by tag; bytes, or None
        self.dir = tempfile.mkdtemp(dir=TMP)
        self.start(rules, name)

    def listen(self, name, kind):
        path = f"{self.dir}/{name}"
        if os.path.exists(path):
            os.unlink(path)
        s = socket.socket(socket.AF_UNIX, kind)
        s.bind(path)
        s.listen(4096)
        return s

    def start(self, rules, name="box"):
        egress = self.listen("vsock.sock_3128", socket.SOCK_STREAM)
        dns = self.listen("vsock.sock_53", socket.SOCK_STREAM)
        ctl = self.listen("gate.sock", socket.SOCK_SEQPACKET)
        os.makedirs(self.dir + "/net", exist_ok=True)
        d = os.open(self.dir + "/net", os.O_PATH | os.O_DIRECTORY)
        p = memfd(rules)
        run = os.open(self.dir, os.O_PATH | os.O_DIRECTORY)
        mine, theirs = socket.socketpair(socket.AF_UNIX,
                                         socket.SOCK_SEQPACKET)
        body = (u32(1, 1) + tlv(2, name.encode()) + u32(60, 0) + u32(61, 1)
                + u32(62, 2) + u32(63, 3) + u32(64, 4) + u32(68, 5)
                + self.extra)
        fds = [egress.fileno(), dns.fileno(), ctl.fileno(), d, p, run]
        for tag, data in self.files.items():
            if data is not None:
                body += u32(tag, len(fds))
                fds.append(memfd(data))
        socket.send_fds(mine, [body], fds)
        fd = theirs.fileno()

        def child():
            LIBC.prctl(1, 9)  # PR_SET_PDEATHSIG
            os.dup2(fd, 3)

        self.proc = subprocess.Popen([GATE], preexec_fn=child,
                                     close_fds=False)
        theirs.close()
        self.answer = mine.recv(4096)
        for s in (egress, dns, ctl, mine):
            s.close()
        for fd in fds[3:]:
            os.close(fd)
        self.ctl = None

    def connect(self, name):
        s = socket.socket(socket.AF_UNIX)
        # With a timeout connect() would not wait for room in a full queue.
        s.connect(f"{self.dir}/{name}")
        s.settimeout(PATIENCE)
        return s

    def control(self, kind, body=b"", fds=()):
        if not self.ctl:
            self.ctl = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.ctl.connect(self.dir + "/gate.sock")
        msg = struct.pack("<IBBH", len(body), kind, 0, 0) + body
        socket.send_fds(self.ctl, [msg], list(fds))
        return self.ctl.recv(4096)

    def send_fd(self, kind, data):
        fd = memfd(data)
        r = self.control(kind, b"", [fd])
        os.close(fd)
        return r[4]

    def set_rules(self, rules):
        return self.send_fd(3, rules)

    def set_keys(self, data):
        return self.send_fd(11, data)

    def streams(self):
        return self.stats()[10]

    def drained(self, seconds=PATIENCE):
        """Waits until no stream is left."""
        end = time.monotonic() + seconds
        while self.streams() > 0 and time.monotonic() < end:
            time.sleep(0.05)
        return self.streams() == 0

    def peak_kb(self):
        with open(f"/proc/{self.proc.pid}/status") as f:
            return [int(x.split()[1]) for x in f if x.startswith("VmHWM")][0]

    def stats(self):
        r = self.control(5)
        out, p = {}, 8
        while p < len(r):
            tag, _, n = struct.unpack_from("<HHI", r, p)
            out[tag] = struct.unpack_from("<Q", r, p + 8)[0]
            p += 8 + n
        return out

    def dns(self, name, kind=1):
        q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0)
        for label in name.split("."):
            q += bytes([len(label)]) + label.encode()
        q += b"\0" + struct.pack(">HH", kind, 1)
        s = self.connect("vsock.sock_53")
        s.sendall(struct.pack(">H", len(q)) + q)
        r = recv_exact(s, struct.unpack(">H", recv_exact(s, 2))[0])
        s.close()
        code = struct.unpack(">H", r[2:4])[0] & 15
        if struct.unpack(">H", r[6:8])[0] == 0:
            return code, None
        return code, r[-16:] if kind == 28 else r[-4:]

    def dial(self, addr, port, proto=1, first=b""):
        """addr: a name, or an address as text. first goes with the head: who
        is denied has to speak within seconds.
        """
        try:
            raw = bytes(10) + b"\xff\xff" + socket.inet_aton(addr)
        except OSError:
            try:
                raw = socket.inet_pton(socket.AF_INET6, addr)
            except OSError:
                code, v4 = self.dns(addr)
                if v4 is None:
                    raise OSError("NXDOMAIN")
                raw = bytes(10) + b"\xff\xff" + v4
        s = self.connect("vsock.sock_3128")
        s.sendall(struct.pack("<BBHI", 1, proto, port, 0) + raw + first)
        return s

    def ask(self, addr, port, text):
        return read_all(self.dial(addr, port, first=text))

    def get(self, addr, port, host=None, path="/", extra=""):
        return self.ask(addr, port,
                        f"GET {path} HTTP/1.1\r\nHost: {host or addr}\r\n"
                        f"{extra}Connection: close\r\n\r\n".encode())

    def log(self, name="net.log"):
        """Its lines; one that is being written is none yet."""
        with open(f"{self.dir}/net/{name}") as f:
            return [json.loads(x) for x in f if x.endswith("\n")]

    def stop(self):
        self.proc.terminate()
        return self.proc.wait(PATIENCE)


def recv_exact(s, n):
    """n bytes, less at the end. MSG_WAITALL does not wait where there is a
    timeout.
    """
    out = b""
    while len(out) < n and (d := s.recv(n - len(out))):
        out += d
    return out


def read_all(s):
    out = b""
    try:
        while True:
            d = s.recv(65536)
            if not d:
                break
            out += d
    except ConnectionResetError:
        out += b"<reset>"
    s.close()
    return out


def hello(name):
    """A ClientHello that names a host."""
    sni = name.encode()
    ext = struct.pack(">HHHBH", 0, len(sni) + 5, len(sni) + 3, 0, len(sni))
    ext += sni
    body = (b"\3\3" + bytes(32) + b"\0" + struct.pack(">HH", 2, 0x1301)
            + b"\1\0" + struct.pack(">H", len(ext)) + ext)
    msg = b"\1" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\3\1" + struct.pack(">H", len(msg)) + msg


def proc_figures(pid, *more):
    """Descriptors of a process, and kilobytes of its own. Pages of its files
    are not among them: whether those are private depends on who else runs the
    same program. more: other lines of smaps_rollup to add.
    """
    fds = len(os.listdir(f"/proc/{pid}/fd"))
    with open(f"/proc/{pid}/smaps_rollup") as f:
        kb = sum(int(x.split()[1]) for x in f
                 if x.split(":")[0] in ("Anonymous", "Swap", *more))
    return fds, kb
