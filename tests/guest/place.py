# SPDX-License-Identifier: MIT
"""Where a suite's guest runs: beside what vivtest.py reads from the environment (VIV_TEST_SMP, VIV_TEST_DEBUG,
VIV_TEST_CHAOS), VIV_TEST_MACHINE=qemu: on QEMU's q35 instead of viv. VIV_TEST_TIMEOUT: seconds instead of the suite's own."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
QEMU = os.environ.get("VIV_TEST_MACHINE", "viv") == "qemu"

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
    return vivtest.BUILD / ("fern-debug" if vivtest.DEBUG else "fern")


def run_viv(image, command, timeout, extra):
    r = vivtest.viv("run", "--disk", f"{image},snapshot", "--timeout", timeout, *extra, "--exec", command, stdin=None,
                    timeout=None)
    return Result(r.stdout, r.returncode, r.stderr)


def run_qemu(image, command, timeout, extra):
    """The command's output comes over a second serial port, raw; it runs in a session without a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        s = vivtest.Terminal(command=[
            "qemu-system-x86_64", "-machine", "q35", "-m", "256", "-smp", vivtest.SMP or "1", "-display", "none",
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
