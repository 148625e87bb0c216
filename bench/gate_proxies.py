# SPDX-License-Identifier: Apache-2.0
"""What bench/gate.py compares: an nginx behind, and in front of it nothing,
cove-gate, tinyproxy, squid and mitmproxy, all with the same keys (P-256).

Each is a class with connect(name), a stream to that name's port 8443 through
it; ca, the authority that a client sees there; h2, whether it speaks HTTP/2;
and pid, None for no process.
"""
import gate_lib as lib
import os
import shutil
import signal
import socket
import subprocess
import time

ORIGIN = 8443  # of every name below bench.test
CLOCK = 2     # CPUCLOCK_SCHED, of a whole process, threads that ended too


def clock(pid):
    return time.clock_gettime((~pid << 3) | CLOCK) * 1e6


def children(pid):
    found = []
    for t in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{t}/children") as f:
            found += map(int, f.read().split())
    return found


def tree(pid):
    return [pid] + [x for c in children(pid) for x in tree(c)]


def cpu(pid):
    """User and system time of a process and all below it, microseconds."""
    total = 0
    for p in tree(pid):
        with open(f"/proc/{p}/stat") as f:
            gone = f.read().rsplit(")", 1)[1].split()[13:15]
        total += clock(p) + sum(map(int, gone)) * 1e6 / os.sysconf("SC_CLK_TCK")
    return total


def private(pid):
    return sum(lib.proc_figures(p)[1] for p in tree(pid))


def run(*args, **kw):
    return subprocess.Popen(args, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL,
                            preexec_fn=lambda: lib.ctypes.CDLL(None).prctl(
                                1, signal.SIGKILL), **kw)


def run_as_user(*args):
    """For what gives up being root, where there may be nobody else."""
    return ["unshare", "-U", "--map-user=1000", "--map-group=1000", *args]


def wait_port(port, proc=None):
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if proc and proc.poll() is not None:
                break
            time.sleep(0.1)
    raise OSError(f"nothing listens on port {port}")


def dns():
    """Every name is this machine, for a minute."""
    if os.fork():
        return
    lib.ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 53))
    while True:
        q, who = s.recvfrom(4096)
        end = q.index(b"\0", 12) + 5
        four = q[end - 3] == 1
        s.sendto(q[:2] + b"\x81\x80\0\1\0" + bytes([four]) + bytes(4)
                 + q[12:end] + (b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1"
                                if four else b""), who)


def origin():
    lib.authority("origin")
    lib.certificate("origin", "bench.test", "*.bench.test")
    os.makedirs(lib.TMP + "/www")
    for name, size in (("1k", 1024), ("8m", 8 << 20)):
        with open(f"{lib.TMP}/www/{name}", "wb") as f:
            f.write(bytes(size))
    with open(lib.TMP + "/nginx.conf", "w") as f:
        f.write(f"""daemon off; master_process off; pid {lib.TMP}/nginx.pid;
error_log /dev/null; events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000; sendfile on;
tcp_nodelay on; client_body_temp_path {lib.TMP}; proxy_temp_path {lib.TMP};
fastcgi_temp_path {lib.TMP}; uwsgi_temp_path {lib.TMP};
scgi_temp_path {lib.TMP};
server {{ listen 127.0.0.1:{ORIGIN} ssl http2 backlog=1024; root {lib.TMP}/www;
ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate bench.test.crt;
ssl_certificate_key bench.test.key; }} }}""")
    p = run(*run_as_user("nginx", "-c", lib.TMP + "/nginx.conf", "-p",
                         lib.TMP))
    wait_port(ORIGIN, p)


class Direct:
    h2 = True
    pid = None
    ca = "origin"

    def connect(self, name):
        return socket.create_connection(("127.0.0.1", ORIGIN))


class Cove:
    h2 = True

    def __init__(self, opened):
        rule = "method=GET " if opened else ""
        self.g = lib.Gate(f"allow bench.test {rule}\n"
                          f"allow *.bench.test {rule}\nallow 127.0.0.0/8\n",
                          keys=lib.keys(), roots=lib.pem("origin.crt"))
        self.ca = "cove" if opened else "origin"
        self.pid = self.g.proc.pid

    def connect(self, name):
        return self.g.dial(name, ORIGIN)


class Connect:
    """A proxy that is asked with CONNECT."""
    h2 = False

    def __init__(self, opened, port, *command):
        self.ca = "cove" if opened else "origin"
        self.port = port
        self.p = run(*command)
        wait_port(port, self.p)
        self.pid = self.p.pid

    def connect(self, name):
        s = socket.create_connection(("127.0.0.1", self.port))
        s.sendall(b"CONNECT %s:%d HTTP/1.1\r\nHost: %s\r\n\r\n"
                  % (name.encode(), ORIGIN, name.encode()))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            d = s.recv(1)
            if not d:
                break
            head += d
        if b" 200 " not in head:
            raise OSError(head)
        return s


def conf(name, text):
    with open(f"{lib.TMP}/{name}", "w") as f:
        f.write(text)
    return f"{lib.TMP}/{name}"


class Tinyproxy(Connect):
    def __init__(self, opened):
        super().__init__(opened, 8888, "tinyproxy", "-d", "-c", conf(
            "tinyproxy.conf", "Port 8888\nListen 127.0.0.1\nTimeout 60\n"
            f"LogLevel Critical\nLogFile \"{lib.TMP}/tinyproxy.log\"\n"
            "MaxClients 500\nAllow 127.0.0.1\n"))


class Squid(Connect):
    def __init__(self, opened):
        # What it leaves in shared memory must not be found by the next one.
        subprocess.run(["mount", "-t", "tmpfs", "none", "/dev/shm"],
                       check=True)
        port, what = (3128 + opened), lib.TMP + f"/squid{opened}"
        text = f"""http_access allow all
pid_filename none
access_log none
cache_log {what}.log
cache deny all
coredump_dir {lib.TMP}
pinger_enable off
via off
forwarded_for delete
shutdown_lifetime 0 seconds
"""
        bump = ""
        if opened:
            tool = "/usr/lib/squid/security_file_certgen"
            subprocess.run([tool, "-c", "-s", what + ".db", "-M", "4MB"],
                           check=True, stdout=subprocess.DEVNULL)
            bump = (" ssl-bump generate-host-certificates=on"
                    " dynamic_cert_mem_cache_size=4MB"
                    f" cert={lib.TMP}/cove.crt key={lib.TMP}/cove.key")
            text += f"""sslcrtd_program {tool} -s {what}.db -M 4MB
sslcrtd_children 2 startup=1 idle=1
tls_outgoing_options cafile={lib.TMP}/origin.crt
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
"""
        text += f"http_port 127.0.0.1:{port}{bump}\n"
        super().__init__(opened, port, *run_as_user(
            "squid", "-N", "-f", conf(f"squid{opened}.conf", text)))


class Mitmproxy(Connect):
    h2 = True

    def __init__(self, opened):
        home, port = f"{lib.TMP}/mitm{opened}", 8090 + opened
        os.makedirs(home)
        with open(home + "/mitmproxy-ca.pem", "wb") as f:
            f.write(lib.pem("cove.key") + lib.pem("cove.crt"))
        ignore = [] if opened else ["--ignore-hosts", "."]
        super().__init__(
            opened, port, "mitmdump", "-q", "-p", str(port), "--listen-host",
            "127.0.0.1", "--set", f"confdir={home}", "--set",
            f"ssl_verify_upstream_trusted_ca={lib.TMP}/origin.crt", *ignore)


def there(kinds):
    need = {Tinyproxy: "tinyproxy", Squid: "squid", Mitmproxy: "mitmdump"}
    return [k for k in kinds if k not in need or shutil.which(need[k])]
