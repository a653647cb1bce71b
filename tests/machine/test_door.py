#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_door.py [VIV ECHO SLEEPER TICKER NMI]: terminal, pipes, signals, limits and bad input, without a kernel of ours."""
import os
import pathlib
import pty
import select
import signal
import stat
import subprocess
import sys
import tempfile
import termios
import time

BUILD = pathlib.Path(__file__).resolve().parent.parent.parent / "build"
DEFAULTS = [str(BUILD / name) for name in ("viv", "tests/machine/echo.elf", "tests/machine/sleeper.elf",
                                           "tests/machine/ticker.elf", "tests/machine/nmi.elf")]
VIV, ECHO, SLEEPER, TICKER, NMI = sys.argv[1:6] or DEFAULTS
failures = 0


def check(condition, what):
    global failures
    if not condition:
        failures += 1
    print(("ok - " if condition else "not ok - ") + what)


def viv(*arguments, stdin=b"", timeout=60):
    return subprocess.run([VIV, "run", *arguments], input=stdin, capture_output=True, timeout=timeout)


class OnTerminal:
    def __init__(self, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(VIV, [VIV, "run", *arguments])
        self.seen = b""

    def wait_for(self, text, seconds=20):
        deadline = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.fd, 4096)
                except OSError:
                    break
        return text in self.seen

    def type(self, data):
        os.write(self.fd, data)

    def is_raw(self):
        return not termios.tcgetattr(self.fd)[3] & (termios.ICANON | termios.ECHO)

    def end(self):
        status = os.waitpid(self.pid, 0)[1]
        cooked = not self.is_raw()
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status), cooked


def test_pipe():
    data = bytes(range(256)).replace(b"q", b"") * 400
    r = viv("--kernel", ECHO, stdin=data + b"q")
    check(r.returncode == 3 and r.stdout == b"ready\n" + data, "102,000 bytes pass a synchronous pipe unchanged")
    r = viv("--kernel", ECHO, stdin=b"")
    check(r.returncode == 4 and r.stdout == b"ready\n", "end of file drops the carrier")
    runs = {viv("--kernel", ECHO, "--stats", stdin=b"abcq").stderr.split(b"state_hash")[1] for _ in range(3)}
    check(len(runs) == 1, "runs with the same input end in the same state")
    slow = subprocess.Popen([VIV, "run", "--kernel", ECHO, "--stats"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    for byte in (b"a", b"b", b"cq"):
        time.sleep(0.1)
        slow.stdin.write(byte)
        slow.stdin.flush()
    err = slow.communicate()[1]
    check(err.split(b"state_hash")[1] in runs, "and so does one whose input comes slowly")


def test_terminal():
    t = OnTerminal("--kernel", ECHO)
    check(t.wait_for(b"ready\n") and t.is_raw(), "the terminal is raw while the guest runs")
    t.type(b"abc\x03\x1a")
    check(t.wait_for(b"abc\x03\x1a"), "every key reaches the guest")
    t.type(b"\x01h")
    check(t.wait_for(b"C-a x"), "Ctrl-A h helps")
    t.type(b"\x01\x01")
    check(t.wait_for(b"\x01"), "Ctrl-A twice sends one")
    t.type(b"\x01x")
    check(t.end() == (0, True), "Ctrl-A x quits with 0 and restores the terminal")
    t = OnTerminal("--kernel", ECHO)
    t.wait_for(b"ready\n")
    t.type(b"q")
    check(t.end() == (3, True), "the guest's exit restores the terminal")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGABRT, signal.SIGSEGV):
        t = OnTerminal("--kernel", ECHO)
        t.wait_for(b"ready\n")
        os.kill(t.pid, number)
        status, cooked = t.end()
        wanted = 128 + number if number in (signal.SIGTERM, signal.SIGHUP) else -number
        check(status == wanted and cooked, f"signal {number} restores the terminal (status {status})")


def test_limits():
    begin = time.monotonic()
    r = viv("--kernel", SLEEPER, stdin=b"")
    check(r.returncode == 125 and r.stdout == b"up\n" and r.stderr.count(b"\n") == 1,
          "a guest that waits for nothing ends with 125 and one line")
    check(time.monotonic() - begin < 5, "at once")
    r = viv("--kernel", NMI, stdin=b"")
    check(r.returncode == 7 and not r.stderr, "an NMI can still wake it")
    p = subprocess.Popen([VIV, "run", "--kernel", ECHO, "--timeout", "0.5"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.read()
    err = p.stderr.read()
    check(p.wait() == 124 and err.count(b"\n") == 1, "the time limit counts while input is waited for")
    p = subprocess.Popen([VIV, "run", "--kernel", ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    p.stdout.readline()
    p.send_signal(signal.SIGTERM)
    check(p.wait(10) == 143, "SIGTERM ends a run that waits for input")
    r = viv("--kernel", TICKER, "--until", "20000", "--stats", stdin=b"")
    check(r.returncode == 0 and b"steps: 20000\n" in r.stderr, "--until stops exactly there")
    begin = time.monotonic()
    r = viv("--kernel", TICKER, "--pace", "host", stdin=b"")
    check(0.9 < time.monotonic() - begin < 2.0 and r.returncode == 7, "--pace host takes the guest's second")
    reader = subprocess.run(f"'{VIV}' run --kernel '{ECHO}' < /dev/zero | head -c 100 | wc -c", shell=True,
                            capture_output=True, timeout=30)
    check(reader.stdout.strip() == b"100", "a reader that goes away ends the run")
    # A host without the device: a descriptor that takes no writes either.
    full = open("/dev/full", "wb") if stat.S_ISCHR(os.stat("/dev/full").st_mode) else open(os.devnull, "rb")
    full = subprocess.run([VIV, "run", "--kernel", TICKER], stdin=subprocess.DEVNULL, stdout=full,
                          stderr=subprocess.PIPE, timeout=30)
    check(full.returncode == 65 and full.stderr.count(b"\n") == 1, "output that cannot be written is a failure")


def test_bad_input():
    with tempfile.TemporaryDirectory() as folder:
        f = pathlib.Path(folder)
        (f / "empty").write_bytes(b"")
        (f / "odd").write_bytes(b"x" * 1000)
        (f / "q.qcow2").write_bytes(b"QFI\xfb" + b"\0" * 508)
        (f / "good").write_bytes(b"\0" * 4096)
        (f / "m.dts").write_text("/dts-v1/;\n/ { };\n")
        cases = [
            (64, ["--frob"], b"--frob"), (64, ["--mem"], b"--mem"), (64, ["--mem", "12Q"], b"12Q"),
            (65, ["--mem", "1000T"], b"--mem"), (64, ["--smp", "9"], b"--smp"), (64, ["--tlb", "big"], b"--tlb"),
            (64, ["--cpu-engine", "warp"], b"interp"), (64, ["--cpu", "v9", "--kernel", ECHO], b"v9"),
            (65, ["--kernel", ECHO, "--record", "/nonexistent/x"], b"/nonexistent/x"),
            (64, ["--trace", "colours"], b"colours"),
            (65, ["--kernel", str(f)], folder.encode()), (65, ["--kernel", str(f / "empty")], b"empty"),
            (65, ["--kernel", str(f / "odd")], b"odd"), (65, ["--kernel", str(f / "none")], b"none"),
            (65, ["--kernel", ECHO, "--disk", str(f / "odd")], b"512"),
            (65, ["--kernel", ECHO, "--disk", str(f / "empty")], b"512"),
            (65, ["--kernel", ECHO, "--disk", str(f / "q.qcow2")], b"qemu-img convert"),
            (64, ["--kernel", ECHO, "--disk", str(f / "good") + ",maybe"], b"maybe"),
            (65, ["--kernel", ECHO, "--machine", str(f / "odd")], b"odd"),
            (65, ["--kernel", ECHO, "--machine", str(f / "m.dts"), "--mem", "64M"], b"/memory"),
            (65, ["--kernel", ECHO, "--serial", "file:/nonexistent/x"], b"/nonexistent/x"),
            (65, ["--kernel", ECHO, "--trace", "faults=/nonexistent/x"], b"/nonexistent/x"),
        ]
        for status, arguments, word in cases:
            r = viv(*arguments)
            check(r.returncode == status and not r.stdout and r.stderr.count(b"\n") == 1 and word in r.stderr,
                  f"{status} {arguments}: {r.stderr!r}")
        first = subprocess.Popen([VIV, "run", "--kernel", ECHO, "--disk", str(f / "good")], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        first.stdout.readline()
        for suffix in ("", ",ro", ",snapshot"):
            r = viv("--kernel", ECHO, "--disk", str(f / "good") + suffix)
            check(r.returncode == 65 and b"in use" in r.stderr, f"a disk in use is refused{suffix}")
        first.communicate(b"q")
        check(viv("--kernel", ECHO, "--disk", str(f / "good"), stdin=b"q").returncode == 3, "and free afterwards")


def main():
    test_pipe()
    test_terminal()
    test_limits()
    test_bad_input()
    return 1 if failures else 0


sys.exit(main())
