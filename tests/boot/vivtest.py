# SPDX-License-Identifier: MIT
"""What the boot tests share: running viv, a pseudo-terminal to type at, TAP lines.

Where the environment says so, every guest that a test gives no number of CPUs (kernel, seed) of its own runs elsewhere than
on one CPU of viv. VIV_TEST_SMP=N: on N CPUs. VIV_TEST_DEBUG=1: on the kernel with checks of locks and contexts.
VIV_TEST_CHAOS=SEED: viv varies turns and ticks. VIV_TEST_LOCKSTEP=1: both engines, compared: a difference ends the run, with
status 123."""
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("VIV_BUILD", TOP / "build"))
VIV = BUILD / "viv"
FERN = BUILD / "fern"
ROOTFS = BUILD / "rootfs.img"
LEVEL = os.environ.get("VIV_TEST_LEVEL", "default")
SMP = os.environ.get("VIV_TEST_SMP", "")
CHAOS = os.environ.get("VIV_TEST_CHAOS", "")
LOCKSTEP = os.environ.get("VIV_TEST_LOCKSTEP", "") not in ("", "0")
DEBUG = os.environ.get("VIV_TEST_DEBUG", "") not in ("", "0")
NOT_IN_LOCKSTEP = {"--cpu-engine", "--record", "--gdb", "--screenshot", "--display"}
PROMPT = b"# "

os.environ["PATH"] += ":/usr/sbin:/sbin"


class Failure(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


def expect_equal(seen, wanted, what=""):
    if seen != wanted:
        raise Failure(f"{what}: wanted {wanted!r}, saw {seen!r}")


def command_line(*arguments, binary=VIV):
    """viv's, with what the environment adds to a run of fern."""
    given = list(map(str, arguments))
    if given[:1] != ["run"] or {"--from", "--help", "--machine"} & set(given):
        return [str(binary), *given]
    added = ["--smp", SMP] if SMP and "--smp" not in given else []
    added += ["--chaos", CHAOS] if CHAOS and "--chaos" not in given else []
    added += ["--cpu-engine", "lockstep"] if LOCKSTEP and not NOT_IN_LOCKSTEP & set(given) else []
    if DEBUG and "--kernel" not in given:
        added += ["--kernel", str(BUILD / "fern-debug")]
        added += [] if "--disk" in given else ["--disk", f"{ROOTFS},snapshot"]
    return [str(binary), "run", *added, *given[1:]]


def viv(*arguments, stdin=b"", timeout=120, env=None, cwd=None, binary=VIV):
    """Runs viv without a terminal; returns the finished process with bytes in stdout and stderr."""
    options = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    return subprocess.run(command_line(*arguments, binary=binary), capture_output=True, timeout=timeout, env=env, cwd=cwd,
                          **options)


def run_exec(command, *options, stdin=b"", timeout=120, **more):
    return viv("run", *options, "--exec", command, stdin=stdin, timeout=timeout, **more)


def stats(result):
    pairs = re.findall(r"^(\w+): (\S+)$", result.stderr.decode(errors="replace"), re.M)
    return dict(pairs)


def e2fsck_clean(image):
    result = subprocess.run(["e2fsck", "-fn", str(image)], capture_output=True, text=True)
    expect(result.returncode == 0, f"e2fsck -fn says {result.returncode}: {result.stdout[-1500:]}")


class Folder:
    """A folder that goes when the test is over."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp())
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Terminal:
    """viv (or another command) on a pseudo-terminal, as a person has it."""

    def __init__(self, *arguments, command=None, rows=24, cols=80, cwd=None):
        argv = command or command_line("run", *arguments)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            if cwd:
                os.chdir(cwd)
            os.environ["TERM"] = "xterm"
            os.execvp(argv[0], argv)
        import fcntl
        import struct
        import termios
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.output = b""
        self.status = None

    def read_for(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            part = os.read(self.fd, 65536)
        except OSError:
            part = b""
        self.output += part
        return bool(part)

    def wait_for(self, text, timeout=60):
        """Reads until text (bytes, or a compiled pattern) appears after what was consumed before; consumes it."""
        pattern = text if isinstance(text, re.Pattern) else re.compile(re.escape(text))
        deadline = time.monotonic() + timeout
        while True:
            match = pattern.search(self.output)
            if match:
                before = self.output[:match.end()]
                self.output = self.output[match.end():]
                return before
            left = deadline - time.monotonic()
            if left <= 0 or (not self.read_for(min(left, 1.0)) and self.ended()):
                raise Failure(f"waited for {pattern.pattern!r}; the terminal shows {self.output[-1500:]!r}")

    def type(self, text):
        os.write(self.fd, text.encode() if isinstance(text, str) else text)

    def command(self, text, timeout=60):
        """Types a line, returns what came between its echo and the next prompt."""
        self.type(text + "\n")
        self.wait_for(b"\n", timeout)
        return self.wait_for(PROMPT, timeout)[:-len(PROMPT)]

    def ended(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return self.status is not None

    def wait(self, timeout=30):
        deadline = time.monotonic() + timeout
        while not self.ended():
            if time.monotonic() > deadline:
                raise Failure(f"did not end; the terminal shows {self.output[-1500:]!r}")
            self.read_for(0.1)
        while self.read_for(0):
            pass
        return os.waitstatus_to_exitcode(self.status)

    def close(self):
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.status = -9
        os.close(self.fd)


class Image:
    """A private copy of the root image."""

    def __init__(self, *adds, size="64M"):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.path = self.folder / "disk.img"
        if adds or size != "64M":
            subprocess.run([str(TOP / "tools" / "mkrootfs"), str(self.path), "--size", size,
                            *[x for a in adds for x in ("--add", a)]], check=True)
        else:
            shutil.copyfile(ROOTFS, self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


def main(module_globals):
    """Runs every function named test_* and prints TAP. Arguments choose by name."""
    bad = ran = 0
    for name, function in list(module_globals.items()):
        if not name.startswith("test_") or not callable(function):
            continue
        if len(sys.argv) > 1 and not any(word in name for word in sys.argv[1:]):
            continue
        label = f"{pathlib.Path(module_globals['__file__']).stem} {name[5:].replace('_', ' ')}"
        started = time.monotonic()
        ran += 1
        try:
            function()
            print(f"ok - {label} ({time.monotonic() - started:.1f} s)", flush=True)
        except Failure as failure:
            bad += 1
            print(f"not ok - {label}: {failure}", flush=True)
        except Exception:  # a test's own mistake must not hide the others
            bad += 1
            print(f"not ok - {label}: {traceback.format_exc(limit=4)}", flush=True)
    missing = not ran and len(sys.argv) > 1
    if missing:
        print(f"not ok - no test has {' or '.join(sys.argv[1:])} in its name, at this VIV_TEST_LEVEL", flush=True)
    sys.exit(1 if bad or missing else 0)
