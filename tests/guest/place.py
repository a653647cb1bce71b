# SPDX-License-Identifier: MIT
"""Where a suite's guest runs. VIV_TEST_SMP=N: on N CPUs. VIV_TEST_MACHINE=qemu: on QEMU's q35 instead of viv.
VIV_TEST_DEBUG=1: on the kernel with checks of locks and contexts. VIV_TEST_CHAOS=SEED: viv
varies turns and ticks. VIV_TEST_TIMEOUT: seconds instead of the suite's own."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("VIV_BUILD", TOP / "build"))
SMP = os.environ.get("VIV_TEST_SMP", "")
CHAOS = os.environ.get("VIV_TEST_CHAOS", "")
QEMU = os.environ.get("VIV_TEST_MACHINE", "viv") == "qemu"
DEBUG = os.environ.get("VIV_TEST_DEBUG", "") not in ("", "0")

sys.path.insert(0, str(TOP / "tests" / "boot"))
import vivtest  # noqa: E402


class Result:
    """What the command wrote to its standard output, its exit status, and what else there is to say."""

    def __init__(self, stdout, returncode, stderr):
        self.stdout, self.returncode, self.stderr = stdout, returncode, stderr


def kernel_of(extra):
    extra = list(extra)
    if "--kernel" in extra:
        return pathlib.Path(extra[extra.index("--kernel") + 1])
    return BUILD / ("fern-debug" if DEBUG else "fern")


def run_viv(image, command, timeout, extra):
    options = ["--smp", SMP] if SMP else []
    options += ["--chaos", CHAOS] if CHAOS else []
    if DEBUG and "--kernel" not in extra:
        options += ["--kernel", str(kernel_of(extra))]
    r = subprocess.run([str(BUILD / "viv"), "run", "--disk", f"{image},snapshot", "--timeout", str(timeout), *options, *extra,
                        "--exec", command], stdin=subprocess.DEVNULL, capture_output=True)
    return Result(r.stdout, r.returncode, r.stderr)


def run_qemu(image, command, timeout, extra):
    """The command's output comes over a second serial port, raw; it runs in a session without a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        s = vivtest.Terminal(command=[
            "qemu-system-x86_64", "-machine", "q35", "-m", "256", "-smp", SMP or "1", "-display", "none",
            "-serial", "mon:stdio", "-serial", f"file:{out}", "-no-reboot", "-kernel", str(kernel_of(extra)), "-snapshot",
            "-drive", f"file={image},format=raw,if=none,id=d", "-device", "ide-hd,drive=d,bus=ide.0",
            "-append", "root=/dev/sda quiet"])
        said, status = "", 124
        try:
            s.wait_for(vivtest.PROMPT, timeout=120)
            s.type("stty raw -echo </dev/ttyS1\n")
            s.wait_for(vivtest.PROMPT, timeout=60)
            s.type(f"setsid sh -c '( {command} ) >/dev/ttyS1 2>&1 </dev/null; echo EN''DED=$?.' &\n")
            text = s.wait_for(b"ENDED=", timeout=timeout)
            text = s.wait_for(b".", timeout=10)
            status = int(text.split(b".")[0] or b"1")
            s.type("poweroff\n")
            s.wait(timeout=60)
        except vivtest.Failure as e:
            said = str(e)
        finally:
            s.close()
        time.sleep(0.1)
        return Result(out.read_bytes() if out.exists() else b"", status, said.encode())


def run(image, command, timeout=500, extra=()):
    timeout = int(os.environ.get("VIV_TEST_TIMEOUT", timeout))
    return (run_qemu if QEMU else run_viv)(image, command, timeout, extra)
