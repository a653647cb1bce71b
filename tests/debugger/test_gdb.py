#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Stock gdb, scripted, against fern (gdb_session.py has the scenarios), and a client that misbehaves."""
import atexit
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "boot"))
from vivtest import FERN, TOP, VIV, Failure, Terminal, expect, expect_equal, main  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
PROGRAM, DISK, TRACE = FOLDER / "prog", FOLDER / "disk.img", FOLDER / "trace"


def prepare():
    subprocess.run(["musl-gcc", "-static", "-no-pie", "-Wl,-Ttext-segment=0x10000000", "-g", "-O0", "-o", PROGRAM,
                    HERE / "gdb_program.c"], check=True)
    subprocess.run([TOP / "tools" / "mkrootfs", DISK, "--add", f"{PROGRAM}:/bin/prog"], check=True)
    subprocess.run([VIV, "run", "--record", TRACE, *MACHINE], check=True, timeout=60, stdin=subprocess.DEVNULL)


MACHINE = ["--disk", f"{DISK},snapshot", "--exec", "/bin/prog"]
REPLAY = ["replay", TRACE]
RUN = ["run", *MACHINE]


class Viv:
    """viv with --gdb, and what it says."""

    def __init__(self, *arguments, where=None):
        self.socket = str(FOLDER / "socket")
        self.process = subprocess.Popen([VIV, *map(str, arguments), "--gdb", where or f"unix:{self.socket}"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.errors = self.process.stderr.readline().decode()
        expect("waiting for gdb" in self.errors, f"viv says {self.errors!r}")

    def end(self, timeout=60):
        try:
            self.output, errors = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.output, errors = self.process.communicate()
            raise Failure(f"viv does not end: {errors[-500:]!r}")
        self.errors += errors.decode(errors="replace")
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Client:
    """A gdb that does as it is told, byte by byte."""

    def __init__(self, viv):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(viv if isinstance(viv, str) else viv.socket)
        self.buffer = b""

    def send(self, packet):
        if isinstance(packet, str):
            packet = packet.encode()
        self.socket.sendall(b"$" + packet + b"#%02x" % (sum(packet) & 255))

    def read(self, size):
        while len(self.buffer) < size:
            part = self.socket.recv(4096)
            expect(part, "viv closed the connection")
            self.buffer += part
        part, self.buffer = self.buffer[:size], self.buffer[size:]
        return part

    def reply(self):
        while self.read(1) != b"$":
            pass
        text = b""
        while (byte := self.read(1)) != b"#":
            text += byte
        self.read(2)
        return text.decode(errors="replace")

    def ask(self, packet):
        self.send(packet)
        return self.reply()


def environment(viv, scenario):
    return dict(os.environ, VIV_GDB_SOCKET=viv.socket, VIV_GDB_PROGRAM=str(PROGRAM), VIV_GDB_SCENARIO=scenario,
                VIV_GDB_HOOKS=str(TOP / "tools" / "gdb" / "viv.gdb"),
                LC_ALL="C", HOME=str(FOLDER))


def check_told(text):
    """What gdb_session.py's told() wants stands behind the command before it."""
    told = ""
    for line in text.splitlines():
        word, _, rest = line.partition(": ")
        if line.startswith("(gdb) "):
            told = ""
        elif word == "wanted":
            expect(rest in told, f"wanted {rest!r}, saw {told!r}")
        elif word == "absent":
            expect(rest not in told, f"did not want {rest!r}, saw {told!r}")
        else:
            told += line + "\n"


def scenario(name, arguments=REPLAY, status=0):
    with Viv(*arguments) as viv:
        gdb = subprocess.run(["gdb", "-nx", "-batch", "-x", HERE / "gdb_session.py", FERN], env=environment(viv, name),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        text = gdb.stdout.decode(errors="replace")
        expect("scenario done" in text, f"{text[-2500:]}")
        check_told(text)
        expect_equal(viv.end(), status, f"viv's status ({viv.errors[-300:]})")
        return text, viv


def test_kernel_breakpoint_and_back():
    scenario("kernel")


def test_thousand_steps_back():
    scenario("thousand")


def test_writer_of_a_stack_byte():
    scenario("watch")


def test_source_lines():
    scenario("lines")


def test_calls_into_the_program():
    scenario("calls", RUN)


def test_system_calls():
    scenario("syscalls")


def test_faults():
    scenario("faults")


def test_tasks_are_threads():
    scenario("threads")


def test_monitor():
    scenario("monitor")


def test_end_of_the_guest():
    scenario("end", RUN)


def test_run_begins_again():
    scenario("run_again")


def test_branch_and_detach():
    # The program finds the byte that gdb wrote, and fails.
    _, viv = scenario("branch", RUN, status=1)
    expect("waiting" in viv.errors, "viv says nothing")


def test_detach_lets_it_go_on():
    scenario("detach", RUN, status=0)


def test_interrupt_of_stock_gdb():
    with Viv("run", "--exec", "while :; do :; done") as viv:
        gdb = subprocess.Popen(["gdb", "-nx", "-q", FERN], env=environment(viv, ""), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        gdb.stdin.write(f"target extended-remote {viv.socket}\ncontinue\n".encode())
        gdb.stdin.flush()
        time.sleep(1.5)
        gdb.send_signal(signal.SIGINT)
        gdb.stdin.write(b"print $step > 1000\nkill\nquit\n")
        text = gdb.communicate(timeout=30)[0].decode(errors="replace")
        expect("received signal SIGINT" in text and "= 1" in text, text[-1500:])
        expect_equal(viv.end(), 0, "viv's status")


def test_interrupt_of_a_sleeping_guest():
    with Viv("run", "--pace", "host", "--exec", "sleep 1000") as viv:
        client = Client(viv)
        client.send("c")
        time.sleep(1.5)
        began = time.monotonic()
        client.socket.sendall(b"\x03")
        expect(client.reply().startswith("T02"), "no SIGINT")
        expect(time.monotonic() - began < 1, f"it took {time.monotonic() - began:.2f} s")
        client.send("k")
        expect_equal(viv.end(), 0, "viv's status")


def test_console_while_gdb_is_there():
    path = str(FOLDER / "socket")
    terminal = Terminal("--gdb", f"unix:{path}")
    try:
        terminal.wait_for(b"waiting for gdb")
        client = Client(path)
        client.send("c")
        terminal.wait_for(b"# ")
        expect(b"typed 7" in terminal.command("echo typed $((3 + 4))"), "the console does not work")
        time.sleep(0.3)  # the guest sleeps for a key now
        client.socket.sendall(b"\x03")
        expect(client.reply().startswith("T02"), "no SIGINT")
        terminal.type("echo typed $((4 + 4))\n")  # while it stands still
        time.sleep(0.2)
        client.send("c")
        terminal.wait_for(b"typed 8")
        client.socket.sendall(b"\x03")
        client.reply()
        terminal.type(b"\x01x")
        expect_equal(terminal.wait(), 0, "Ctrl-A x while it is halted")
    finally:
        terminal.close()


def test_garbage():
    with Viv(*RUN) as viv:
        client = Client(viv)
        client.socket.sendall(bytes(range(256)) * 50 + b"$g#00$$$}#" + b"\x03\x03")
        client.socket.sendall(b"$" + b"a" * 100000 + b"#%02x" % (97 * 100000 & 255))
        while "p1" not in client.ask("qSupported:multiprocess+") and client.ask("qC") != "QCp1.10000000":
            pass
        for packet in ("", "Z", "Z9,,", "vCont;", "m", "mffffffffffffffff,ffffffff", "X0,ffff:", "G", "p", "P9999=0",
                       "qXfer:features:read:target.xml:ffffffffffffffff,ffffffffffffffff", "H", "T", "bz",
                       "qRcmd,zz", "QCatchSyscalls:1;99999999999999999999", "vRunx", "C", "\x00\xff}"):
            client.ask(packet)
        expect(client.ask("?").startswith("T05"), "no stop reply after garbage")
        client.ask("D")
        expect_equal(viv.end(), 0, "viv's status")


def test_vanishing_gdb():
    with Viv(*RUN) as viv:
        client = Client(viv)
        client.send("Z0,ffffffff80200000,1")
        client.socket.sendall(b"$m10")  # half a packet
        client.socket.close()
        client = Client(viv)
        client.ask("s")
        client.send("c")  # and gone while it runs
        client.socket.close()
        client = Client(viv)
        expect(client.ask("?").startswith("T"), "no stop reply for the next one")
        expect_equal(client.ask("D"), "OK", "detach")
        expect_equal(viv.end(), 0, "viv's status")
        expect(viv.errors.count("went away") == 2, viv.errors)


def test_vanishing_gdb_keeps_the_recording():
    trace = FOLDER / "kept"
    with Viv("run", "--record", trace, *MACHINE) as viv:
        client = Client(viv)
        client.send("c")
        client.socket.close()
        time.sleep(0.5)
        viv.process.send_signal(signal.SIGTERM)
        expect_equal(viv.end(), 128 + signal.SIGTERM, "viv's status")
    result = subprocess.run([VIV, "replay", trace, "--verify"], capture_output=True, timeout=60)
    expect_equal(result.returncode, 0, result.stderr.decode())


def test_kill_loses_little_of_the_recording():
    """What the guest had said two seconds before the kill is there: viv writes every half second of a run."""
    trace = FOLDER / "killed"
    with Viv("run", "--record", trace, "--exec", "while :; do echo x; done", where=f"unix:{FOLDER / 'socket'}") as viv:
        client = Client(str(FOLDER / "socket"))
        client.send("c")
        pipe = viv.process.stdout.fileno()
        said, seen = 0, []  # its output so far; when there was how much
        while not seen or time.monotonic() < seen[0][0] + 2:
            part = os.read(pipe, 65536)
            expect(part, f"it ended after {said} bytes")
            said += len(part)
            if said >= 1000:
                seen.append((time.monotonic(), said))
        viv.process.kill()
        killed = time.monotonic()
        viv.process.communicate()
    result = subprocess.run([VIV, "replay", f"{trace}.incomplete"], capture_output=True, timeout=60)
    expect(result.returncode == 0 and b"cut off" in result.stderr, f"{result.stderr[-300:]!r}")
    before = max(size for when, size in seen if when <= killed - 2)
    expect(len(result.stdout) >= before, f"{len(result.stdout)} bytes of output, {before} had been seen")


def test_recorded_branch():
    trace = FOLDER / "branched"
    _, viv = scenario("branch", ["run", "--record", trace, *MACHINE], status=1)
    result = subprocess.run([VIV, "replay", trace], capture_output=True, timeout=60)
    expect_equal(result.stdout, viv.output, "output")
    expect_equal(result.returncode, 1, "it ends as the guest did")


def test_second_gdb_is_sent_away():
    with Viv(*RUN) as viv:
        first = Client(viv)
        expect(first.ask("?").startswith("T"), "first")
        second = socket.socket(socket.AF_UNIX)
        second.settimeout(10)
        second.connect(viv.socket)
        expect_equal(second.recv(1), b"", "the second connection")
        expect(first.ask("?").startswith("T"), "the first afterwards")
        first.send("k")
        expect_equal(viv.end(), 0, "viv's status")


def refused(*arguments):
    result = subprocess.run([VIV, "run", *arguments], capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
    lines = result.stderr.decode().splitlines()
    expect(result.returncode in (64, 65) and len(lines) == 1 and not result.stdout, f"{arguments}: {result}")
    return lines[0]


def test_addresses():
    expect("--gdb-any" in refused("--gdb", "0.0.0.0:0"), "no hint")
    refused("--gdb", "[::]:0")
    refused("--gdb", "80000")
    refused("--gdb", "localhost:")
    refused("--gdb", "unix:")
    refused("--gdb", "unix:/nowhere/at/all")
    refused("--gdb", "unix:" + "x" * 200)
    with Viv(*RUN, where="0") as viv:
        host, port = viv.errors.split()[-1].rsplit(":", 1)
        expect_equal(host, "127.0.0.1", "host")
        client = socket.create_connection((host, int(port)), 10)
        client.sendall(b"$D#44")
        expect_equal(viv.end(), 0, "viv's status")


prepare()
main(globals())
