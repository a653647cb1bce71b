#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: default all gate
"""viv's memory: at most 256 MiB more than what the guest touched of its own, whatever code the guest executes."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import debian_kernels
import vivtest as t

BEYOND_MIB = 256


def measured(*arguments, timeout=600):
    """A run that must end well: its stdout, after its memory was held to the bound. VIV_TEST_HOT=1: what is executed once is
    translated."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        command = ["timeout", str(timeout), *t.command_line("run", "--cpu-engine", "jit", "--stats", *arguments)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=dict(os.environ, VIV_TEST_HOT="1"))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        shown, text = out.read(), err.read().decode(errors="replace")
    t.expect_equal(process.returncode, 0, text[-1000:])
    touched = int(re.search(r"^ram_touched_bytes: (\d+)$", text, re.M).group(1))
    mib = usage.ru_maxrss / 1024 - touched / 2**20
    print(f"# {' '.join(map(str, arguments[-2:]))}: {touched / 2**20:.0f} MiB touched, {mib:.0f} MiB beyond", flush=True)
    t.expect(mib <= BEYOND_MIB, f"{mib:.0f} MiB more than the guest's memory")
    return shown


def code(arguments, wanted, memory="256M"):
    with tempfile.TemporaryDirectory() as scratch:
        program = pathlib.Path(scratch) / "code_memory"
        subprocess.run(["musl-gcc", "-static", "-O1", "-o", program, t.TOP / "tests/lockstep/code_memory.c"], check=True)
        with t.Image(f"{program}:/bin/code_memory") as image:
            shown = measured("--disk", f"{image.path},snapshot", "--mem", memory, "--exec", f"code_memory {arguments}")
    t.expect_equal(shown, wanted, "what the guest says")


def only(*levels):
    return t.LEVEL in levels or len(sys.argv) > 1


def test_code_rewritten():
    if only("default", "all"):
        code("rewrite 10000", b"10000 rounds\n")


def test_instructions_without_translation():
    """NOPs become no code at all: it is the blocks' own memory that counts."""
    if only("default", "all"):
        code("distinct 8 n", b"8 MiB\n")


def test_distinct_code():
    """Additions to memory become a lot of code."""
    if only("default", "all"):
        code("distinct 16 m", b"16 MiB\n")


def test_more_distinct_code():
    if only("all", "gate"):
        code("distinct 128 m", b"128 MiB\n", memory="512M")


def test_debian():
    if only("all", "gate"):
        with t.Folder() as folder:
            debian_kernels.initramfs(folder / "initramfs", "uname -a\ncat /proc/cpuinfo /proc/interrupts\n")
            shown = measured("--kernel", debian_kernels.fetch("amd64").image, "--initrd", folder / "initramfs", "--mem", "512M",
                             "--append", "console=ttyS0")
        t.expect(b"\nLinux " in shown, shown[-2000:])


if __name__ == "__main__":
    t.main(globals())
