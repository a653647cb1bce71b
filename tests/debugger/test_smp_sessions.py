#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The debugger's faces with several CPUs: a script, and stock gdb where it is installed. The guest is tests/ring0/smp.c."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

BUILD = pathlib.Path(os.environ.get("VIV_TOP", pathlib.Path(__file__).resolve().parent.parent.parent)) / "build"
VIV = BUILD / "viv"
KERNEL = BUILD / "tests/ring0/smp.elf"
MACHINE = ["--kernel", str(KERNEL), "--smp", "2", "--mem", "16M"]
count = 0


def tap(good, what, text):
    global count
    count += 1
    print(f"{'ok' if good else 'not ok'} {count} - {what}")
    if not good:
        print("".join(f"# {line}\n" for line in text.splitlines()[-40:]))


def debug(*lines):
    """The answer to each line."""
    p = subprocess.run([VIV, "debug", "--script", "-", *MACHINE, "--symbols", KERNEL], input="\n".join(lines), text=True,
                       capture_output=True, timeout=60)
    answers = [part.partition("\n")[2] for part in p.stdout.split("(viv) ")[1:]]
    return answers + [""] * (len(lines) - len(answers)), p.stdout + p.stderr


def scripts():
    a, text = debug("cpus", "break started", "continue", "cpus", "cpu 0", "stepi", "reverse-stepi", "transitions 9", "cpu 1",
                    "nexti 3", "watch counter 8", "continue", "who-wrote counter 8")
    tap(a[0].startswith("> cpu 0  ring 0  pvh_start") and "  cpu 1  ring 0  halted" in a[0], "cpus at the beginning", text)
    tap("cpu 1  ring 0" in a[2], "a stop names its CPU", text)
    tap("> cpu 1  ring 0  started" in a[3] and "  cpu 0  ring 0" in a[3], "and makes it the one that is meant", text)
    tap("cpu 0  ring 0" in a[4] and "cpu 0  ring 0" in a[5] and "cpu 0  ring 0" in a[6], "steps of another CPU", text)
    tap("cpu 1  ring 0 to 0  far" in a[7] and "cpu 0  ring 0 to 0  far" in a[7], "transitions of both", text)
    tap("cpu 1  ring 0" in a[9], "next of the second", text)
    tap("watchpoint 2: counter" in a[11], "a watchpoint", text)
    tap("by the CPU 0 at counting" in a[12], "who wrote, with the CPU", text)
    a, text = debug("cpu 2")
    tap("there is no CPU 2" in a[0], "a CPU that is not there", text)


GDB = """set pagination off
set confirm off
target extended-remote 127.0.0.1:{port}
info threads
break interrupt
continue
echo == first\\n
info threads
delete
thread 1
stepi
echo == thread\\n
thread
thread 2
stepi
stepi
reverse-stepi
echo == thread\\n
thread
p $step
monitor cpus
kill
"""


def gdb(folder):
    if not shutil.which("gdb"):
        tap(True, "gdb is not installed # skip", "")
        return
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    script = os.path.join(folder, "script")
    with open(script, "w") as f:
        f.write(GDB.format(port=port))
    viv = subprocess.Popen([VIV, "run", "--gdb", str(port), *MACHINE], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    try:
        viv.stderr.readline()  # it listens
        p = subprocess.run(["gdb", "-q", "-nx", "-batch", "-x", script, KERNEL], capture_output=True, text=True,
                           timeout=60, stdin=subprocess.DEVNULL)
        text, monitor = p.stdout, p.stderr
    finally:
        viv.kill()
        viv.wait()
    parts = text.split("== ") + [""] * 4
    tap("(CPU 0)" in parts[0] and "(CPU 1)" in parts[0], "gdb: a thread for each CPU", text)
    tap("* 2    " in parts[1] and "interrupt ()" in parts[1], "gdb: the second CPU is told its interrupt", text)
    tap("Current thread is 1 " in parts[2], "gdb: a step of the first", text)
    tap("Current thread is 2 " in parts[3] and "> cpu 1  ring 0" in monitor, "gdb: steps of the second, and back",
        text + monitor)


with tempfile.TemporaryDirectory() as work:
    scripts()
    gdb(work)
print(f"1..{count}")
