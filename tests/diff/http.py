#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cove's HTTP/1 parser against h11, on generated and mutated messages: what
Cove takes, h11 must take and read in the same way (method, target, fields,
body, trailers, where the message ends). What Cove refuses and h11 takes is
strictness, and counted by reason. Prints TAP.

usage: http.py PATH-TO-http_read [MESSAGES [SEED]]
"""
import collections
import random
import struct
import subprocess
import sys

try:
    import h11
except ImportError:
    print("1..0 # SKIP python3-h11 is not installed")
    sys.exit(0)

MESSAGES = int(sys.argv[2]) if len(sys.argv) > 2 else 30000
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 20260101
REQUEST, RESPONSE, TO_HEAD, TO_CONNECT = range(4)
REFUSED, INCOMPLETE, READ = range(3)
rnd = random.Random(SEED)
NEXT = b"GET /next HTTP/1.1\r\nHost: n\r\n\r\n"

# ---- messages ----

NAMES = [b"Accept", b"X-A", b"x-a", b"Cookie", b"!#$%&'*+-.^_`|~9", b"Date",
         b"Content-Type", b"Trailer", b"Keep-Alive", b"Range", b"X_Y"]
VALUES = [b"", b"1", b"a, b", b"  padded\t ", b"q=\"x;y\\\"z\"", b"\xe4\xf6",
          b"a\tb", b"close", b"%00", b"x" * 300, b":", b"=?utf-8?q?x?="]
BODY = bytes(range(256))
EVIL = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"\x0b",
        b"\x7f", b"\xa0", b"0", b"+", b"-", b"_", b"\r\n\r\n", b"\r\n ",
        b"chunked", b"HTTP/1.1", b"0\r\n\r\n", b"\x85", b"\"", b"0x"]


def case(b):
    return bytes(c ^ 32 if 65 <= c & ~32 <= 90 and rnd.random() < .2 else c
                 for c in b)


def chunks(body):
    out = b""
    while body:
        n = rnd.randint(1, len(body))
        out += rnd.choice([b"%x", b"%X", b"0%x", b"000%x"]) % n
        out += rnd.choice([b"", b"", b"", b";a", b";a=b", b";a=\"b c\"", b" ",
                           b"\t;x", b";"]) + b"\r\n" + body[:n] + b"\r\n"
        body = body[n:]
    trailers = b"".join(rnd.choice([b"X-T", b"Digest", b"Host"]) + b":"
                        + rnd.choice(VALUES) + b"\r\n"
                        for _ in range(rnd.choice([0, 0, 1, 2])))
    return (out + rnd.choice([b"0", b"0", b"000", b"0;x=y"]) + b"\r\n"
            + trailers + b"\r\n")


def framing():
    """Fields that frame a body, and what follows the head."""
    body = BODY[:rnd.choice([0, 1, 5, 40, 256])]
    n = b"%d" % len(body)
    return rnd.choice(3 * [
        lambda: ([], b""),
        lambda: ([b"Content-Length: " + n], body),
        lambda: ([b"Content-Length:" + n], body),
        lambda: ([b"Transfer-Encoding: chunked"], chunks(body)),
        lambda: ([b"Transfer-Encoding: Chunked"], chunks(body)),
    ] + [
        lambda: ([b"Content-Length: " + rnd.choice(
            [b"+" + n, b"-0", n + b", " + n, n + b" ", b"0" + n, b"0x1", b"",
             n + b"," + n, b"1_0", b"9" * 25, n + b";", b"\"" + n + b"\""])],
            body),
        lambda: ([b"Content-Length: " + n, b"Content-Length: " + n], body),
        lambda: ([b"Content-Length: " + n, b"Content-Length: 0"], body),
        lambda: ([b"Content-Length: " + n, b"Transfer-Encoding: chunked"],
                 chunks(body)),
        lambda: ([b"Transfer-Encoding: " + rnd.choice(
            [b"gzip, chunked", b"chunked, chunked", b"identity", b"chunked ",
             b"\tchunked", b"xchunked", b"chunked, identity", b"\"chunked\"",
             b"chunked;q=1", b""])], chunks(body)),
        lambda: ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: "
                  + rnd.choice([b"chunked", b"identity", b""])], chunks(body)),
    ])()


def head(first):
    frame, rest = framing()
    fields = frame + [rnd.choice(NAMES) + rnd.choice([b": ", b":", b":\t"])
                      + rnd.choice(VALUES)
                      for _ in range(rnd.choice([0, 1, 2, 6]))]
    if rnd.random() < .2:
        fields.append(b"Connection: " + rnd.choice(
            [b"close", b"keep-alive", b"upgrade", b"X-A, close", b"host",
             b"Content-Length", b"te", b", ,close"]))
    if rnd.random() < .1:
        fields.append(b"Upgrade: websocket")
    if rnd.random() < .1:
        fields.append(b"Expect: " + rnd.choice([b"100-continue", b"200"]))
    return first, fields, rest


def request():
    target = rnd.choice([b"/", b"/a/b?c=d&e"] * 5 + [
                         b"*", b"http://h.test/x", b"/%2e", b"http://h.test", b"h.test:80", b"/a#b", b"//x/..",
                         b"/[]{}|^`", b"/" + b"y" * 500, b"?q", b"/\xe4"])
    method = rnd.choice([b"GET", b"POST"] * 5 + [b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"get",
                         b"CONNECT", b"M-SEARCH", b"X" * 32, b"X" * 33])
    version = rnd.choice([b"1.1"] * 30 + [b"1.0", b"1.2", b"2.0", b"0.9", b"1.",
                                         b"1.10"])
    first, fields, rest = head(method + b" " + target + b" HTTP/" + version)
    host = rnd.choice([b"h.test"] * 20 + [b"h.test:80", b"", b"[::1]:8", b"a b",
                                         b"u@h", b"h.test:x", b"a,b"])
    for _ in range(rnd.choice([1] * 18 + [0, 2])):
        fields.insert(rnd.randint(0, len(fields)), b"Host: " + host)
    return first, fields, rest


def response():
    code = rnd.choice([b"200"] * 12 + [b"204", b"304", b"404", b"100", b"101",
                                      b"099", b"600", b"20", b"2000"])
    reason = rnd.choice([b" OK", b" ", b"", b" N\xe4", b" a\tb", b"  x "])
    return head(b"HTTP/" + rnd.choice([b"1.1"] * 12 + [b"1.0", b"1.2"]) + b" "
                + code + reason)


def mutate(m):
    for _ in range(rnd.choice([1, 1, 1, 2, 4])):
        at = rnd.randint(0, len(m))
        how = rnd.randrange(6)
        if how == 0:
            m = m[:at] + rnd.choice(EVIL) + m[at:]
        elif how == 1:
            m = m[:at] + m[at + rnd.choice([1, 1, 2, 9]):]
        elif how == 2:
            m = m[:at] + bytes([rnd.randrange(256)]) + m[at + 1:]
        elif how == 3:
            lines = m.split(b"\r\n")
            k = rnd.randrange(len(lines))
            lines.insert(rnd.randrange(len(lines)), lines[k])
            m = b"\r\n".join(lines)
        elif how == 4:
            m = m.replace(b"\r\n", rnd.choice([b"\n", b"\r", b"\r\r\n"]),
                          rnd.randint(1, 3))
        else:
            m = case(m)
    return m


def message():
    kind = rnd.choice([REQUEST] * 4 + [RESPONSE] * 3 + [TO_HEAD, TO_CONNECT])
    first, fields, rest = request() if kind == REQUEST else response()
    m = b"\r\n".join([first] + fields) + b"\r\n\r\n" + rest
    if rnd.random() < .4:
        m = mutate(m)
    return kind, m + (NEXT if rnd.random() < .7 else b"")


# ---- how each reads them ----

Read = collections.namedtuple(
    "Read", "used minor status word target body trailer fields")


def cove(messages):
    """(verdict, why or Read) of each; messages are (kind, bytes, step)."""
    asked = b"".join(struct.pack("=IBB", len(m), k, s) + m
                     for k, m, s in messages)
    out = subprocess.run([sys.argv[1]], input=asked, check=True,
                         stdout=subprocess.PIPE).stdout
    at = 0

    def u32():
        nonlocal at
        at += 4
        return struct.unpack_from("=I", out, at - 4)[0]

    def text():
        nonlocal at
        n = u32()
        at += n
        return out[at - n:at]

    for _ in messages:
        verdict = out[at]
        at += 1
        why = text()
        if verdict != READ:
            yield verdict, why.decode()
            continue
        used, minor, status = u32(), u32(), u32()
        word, target, body, trailer = text(), text(), text(), text()
        fields = [(text().lower(), text()) for _ in range(u32())]
        yield READ, Read(used, minor, status, word, target, body, trailer,
                         fields)
    assert at == len(out)


def other(kind, m):
    c = h11.Connection(h11.SERVER if kind == REQUEST else h11.CLIENT,
                       max_incomplete_event_size=1 << 20)
    if kind != REQUEST:
        method = {TO_HEAD: "HEAD", TO_CONNECT: "CONNECT"}.get(kind, "GET")
        c.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
        c.send(h11.EndOfMessage())
    c.receive_data(m)
    start, body, ended = None, b"", False
    try:
        while True:
            e = c.next_event()
            if isinstance(e, (h11.Request, h11.Response,
                              h11.InformationalResponse)):
                start = e
                if isinstance(e, h11.InformationalResponse):
                    break
            elif isinstance(e, h11.Data):
                body += bytes(e.data)
            elif isinstance(e, h11.EndOfMessage):
                break
            elif e is h11.PAUSED and start:
                break
            elif e is h11.NEED_DATA and not ended and kind != REQUEST:
                ended = True
                c.receive_data(b"")
            else:
                return INCOMPLETE, None
    except h11.RemoteProtocolError as e:
        return REFUSED, str(e)
    trailer = (b"".join(n + b":" + v + b"\r\n" for n, v in e.headers)
               if isinstance(e, h11.EndOfMessage) else b"")
    rest = len(c.trailing_data[0])
    return READ, Read(
        len(m) - rest, int(start.http_version[2:]),
        getattr(start, "status_code", 0),
        getattr(start, "method", None) or getattr(start, "reason", b""),
        getattr(start, "target", b""), body, trailer, list(start.headers))


def coding(n, v):
    return n, v.lower() if n == b"transfer-encoding" else v


def plain(r):
    """Without what h11 changes: case of names and of codings, white space."""
    trailer = [line.partition(b":") for line in r.trailer.split(b"\r\n")]
    return r._replace(
        fields=[coding(n, v) for n, v in r.fields],
        trailer=[coding(n.lower(), v.strip(b" \t")) for n, _, v in trailer])


def differs(kind, m, a, b):
    parts = [f"{n}: {x!r:.300} but for h11 {y!r:.300}" for n, x, y
             in zip(Read._fields, a, b) if x != y]
    return f"kind {kind}, {m!r:.700}: " + "; ".join(parts)


# ---- the comparison ----

# Where Cove takes what h11 does not, and why that is no other reading.
def tolerated(kind, m, why):
    if kind == REQUEST and m.startswith(b"\r\n"):
        return "an empty line before the request (RFC 9112 section 2.2)"
    if "_SWITCH_UPGRADE" in why:
        return "101 unasked, which the proxy refuses, not the parser"
    return None


count = failed = 0


def check(name, ok, detail=()):
    global count, failed
    count += 1
    failed += not ok
    for line in detail:
        print("# " + str(line))
    print(f"{'ok' if ok else 'not ok'} {count} - {name}")


messages = [message() for _ in range(MESSAGES)]
print(f"# seed {SEED}, {MESSAGES} messages")
whole = list(cove([(k, m, 0) for k, m in messages]))
pieces = list(cove([(k, m, rnd.choice([1, 2, 3, 7, 50])) for k, m in messages]))
tally = collections.Counter(v for v, _ in whole)
cut, wrong, only_us, longer = [], [], collections.Counter(), []
strict = collections.Counter()
same = refused_both = 0
for (kind, m), mine, cut_up in zip(messages, whole, pieces):
    if mine != cut_up:
        cut.append((kind, m, mine, cut_up))
    verdict, theirs = other(kind, m)
    if mine[0] == READ:
        if verdict == READ:
            r, t = plain(mine[1]), plain(theirs)
            same += r == t
            if r != t:
                wrong.append(differs(kind, m, r, t))
        elif why := tolerated(kind, m, theirs):
            only_us[why] += 1
        else:
            wrong.append((kind, m, mine[1], theirs))
    elif mine[0] == REFUSED:
        if verdict == READ:
            strict[mine[1]] += 1
        else:
            refused_both += 1
    elif verdict == READ:
        longer.append((kind, m, theirs))

check("both kinds of message came, taken and refused",
      tally[READ] > MESSAGES / 10 and tally[REFUSED] > MESSAGES / 10, [tally])
check("how the bytes are cut does not matter", not cut, cut[:3])
check(f"{same} messages that Cove takes are the same for h11", not wrong,
      wrong[:5])
check("what Cove waits for, h11 does not take for complete", not longer,
      longer[:3])
for why, n in only_us.items():
    print(f"# {n} that only Cove takes: {why}")
print(f"# {refused_both} refused by both")
for why, n in strict.most_common():
    print(f"# {n} that only Cove refuses: {why}")
print(f"1..{count}")
sys.exit(failed > 0)
