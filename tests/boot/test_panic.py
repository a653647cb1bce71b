#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a dying kernel says: registers, symbolised backtrace, last log lines; and the kernel's own self-test."""
import pathlib
import tempfile

import vivtest as t


def panic_log(letter):
    with tempfile.TemporaryDirectory() as work:
        log = pathlib.Path(work) / "log"
        r = t.run_exec(f"echo last words > /dev/kmsg; echo {letter} > /proc/sysrq-trigger", "--log", log)
        t.expect_equal(r.returncode, 125)
        return log.read_text(errors="replace")


def test_kmsg():
    """Not among tests/guest/devices.c: a host that is a container has none."""
    t.expect_equal(t.run_exec("stat -c '%F %t:%T' /dev/kmsg").stdout, b"character special file 1:b\n")


def test_crash():
    log = panic_log("c")
    report = log[log.index("Kernel panic: sysrq triggered crash"):]
    t.expect("task sh" in report and "syscall_dispatch+0x" in report and "vfs_write+0x" in report, report)
    t.expect(log.count("last words") == 2, log)  # when it was said, and among the last lines


def test_kernel_stack_overflow():
    log = panic_log("x")
    report = log[log.index("Kernel panic: kernel stack overflow in sh"):]
    t.expect("RIP 0010:" in report and "overflow+0x" in report and "CR2 " in report, report)


def test_kernel_null_jump():
    log = panic_log("n")
    report = log[log.index("Kernel panic: "):]
    t.expect("RIP 0010:0000000000000000" in report and "CR2 0000000000000000" in report and "trigger+0x" in report, report)


def test_selftest():
    with tempfile.TemporaryDirectory() as work:
        log = pathlib.Path(work) / "log"
        r = t.viv("run", "--append", "selftest", "--log", log, "--exec", "true")
        text = log.read_text(errors="replace")
        t.expect("selftest: 1000 rounds" in text and "results 1 2" in text, f"{r.returncode} {text}")


if __name__ == "__main__":
    t.main(globals())
