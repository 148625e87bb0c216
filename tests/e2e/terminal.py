#!/usr/bin/env python3
"""exec -t under a real pseudo-terminal: resize, Ctrl-C, job control, vi."""
import fcntl, os, pty, re, select, signal, struct, subprocess, sys, termios, time

here = os.path.dirname(os.path.abspath(__file__))
n = fails = 0


def result(good, name, detail=""):
    global n, fails
    n += 1
    print(f"{'ok' if good else 'not ok'} {n} - {name}", flush=True)
    if not good:
        fails += 1
        for line in repr(detail).split("\\n")[-30:]:
            print("#", line)


class Terminal:
    """A child on its own pseudo-terminal, read until a pattern shows."""

    def __init__(self, argv, rows=24, cols=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            self.fd = 0
            self.resize(rows, cols)
            os.execv(argv[0], argv)
        self.seen = b""

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, cols, 0, 0))

    def send(self, data):
        os.write(self.fd, data)

    def expect(self, pattern, seconds=120):
        end = time.monotonic() + seconds
        while True:
            m = re.search(pattern, self.seen)
            if m:
                self.seen = self.seen[m.end():]
                return m
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return None
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                return None
            self.seen += data

    def wait(self):
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def check(t, name, pattern):
    m = t.expect(pattern)
    result(m is not None, name, t.seen)
    return m


def main():
    cove, box = os.environ["COVE"], "tty"
    t = Terminal([cove, "exec", "-it", box, "bash", "--norc"])
    t.send(b"PS1='rdy''> '\r")
    check(t, "a prompt on the terminal", rb"rdy> ")
    t.send(b"tty; echo done\r")
    check(t, "the command has a terminal", rb"/dev/pts/\d+")
    t.expect(rb"rdy> ")
    t.send(b"stty size\r")
    check(t, "the size of the terminal", rb"24 80")
    t.expect(rb"rdy> ")
    t.send(b"trap 'stty size' WINCH\r")
    t.expect(rb"rdy> ")
    t.resize(40, 132)
    # The shell may look at its traps with the next line only, and the new size
    # and what is typed come by different ways.
    for _ in range(60):
        t.send(b"\r")
        m = t.expect(rb"40 132", 2)
        if m:
            break
    result(m is not None, "resize reaches the command", t.seen)
    t.send(b"trap - WINCH; clear; echo go''ne\r")
    t.expect(rb"gone")
    t.expect(rb"rdy> ")
    t.send(b"sh -c 'echo sta\"\"rt; exec sleep 1000'\r")
    t.expect(rb"start")
    t.send(b"\x03")
    result(t.expect(rb"rdy> ") is not None, "Ctrl-C ends the command inside")
    t.send(b"echo still $((40+2))\r")
    check(t, "and the shell lives on", rb"still 42")
    t.expect(rb"rdy> ")
    t.send(b"sh -c 'echo sta\"\"rt; exec sleep 1000'\r")
    t.expect(rb"start")
    t.send(b"\x1a")
    check(t, "Ctrl-Z stops a job", rb"Stopped")
    t.expect(rb"rdy> ")
    t.send(b"jobs\r")
    check(t, "jobs lists it", rb"Stopped.*sleep 1000")
    t.send(b"bg\r")
    check(t, "bg continues it", rb"sleep 1000.*&")
    t.send(b"kill %1; wait; echo en''ded\r")
    check(t, "and it can be ended", rb"ended")
    t.send(b"vi /tmp/vi-test\r")
    check(t, "vi draws its screen", rb"~")
    t.send(b"ihello from vi\x1b:wq\r")
    t.expect(rb"rdy> ")
    t.send(b"clear; cat /tmp/vi-test; echo c''at\r")
    check(t, "vi wrote the file", rb"hello from vi")
    t.expect(rb"cat")
    t.send(b"exit 9\r")
    result(t.wait() == 9, "the exit status arrives")
    before = termios.tcgetattr(0) if os.isatty(0) else None
    t = Terminal(["/bin/sh", "-c",
                  f"stty -a >/tmp/cove-tty-$$.a; {cove} exec -it {box} true; "
                  "stty -a >/tmp/cove-tty-$$.b; "
                  "cmp /tmp/cove-tty-$$.a /tmp/cove-tty-$$.b; r=$?; "
                  "rm -f /tmp/cove-tty-$$.*; exit $r"])
    result(t.wait() == 0, "the terminal's settings are restored")
    t = Terminal([cove, "exec", "-it", box, "sh", "-c", "echo ready; sleep 1000"])
    t.expect(rb"ready")
    t.send(b"\x10\x11")
    result(t.wait() == 0, "ctrl-p ctrl-q detaches")
    print(f"1..{n}")
    return fails > 0


if __name__ == "__main__":
    sys.exit(main())
