#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""fern on a machine that nobody here wrote: QEMU's q35, the same disk, the same shell."""
import pathlib
import subprocess
import tempfile

import vivtest as t


def boot(image, *extra, append=""):
    if "-smp" not in extra:
        extra = ("-smp", t.SMP or "1", *extra)
    return t.Terminal(command=[
        "qemu-system-x86_64", "-machine", "q35", "-m", "256", "-display", "none", "-serial", "mon:stdio", "-no-reboot",
        "-kernel", str(t.FERN), "-snapshot", "-drive", f"file={image.path},format=raw,if=none,id=d",
        "-device", "ide-hd,drive=d,bus=ide.0", "-append", f"root=/dev/sda quiet {append}", *extra])


def session(*extra):
    with t.Image() as image:
        converse(boot(image, *extra))


def converse(s):
    try:
        s.wait_for(t.PROMPT, timeout=60)
        t.expect(b"Linux fern" in s.command("uname -a"), "uname")
        s.command("echo kept > /root/f; sync")
        t.expect(b"kept" in s.command("cat /root/f"), "file")
        t.expect(b"/dev/sda" in s.command("mount"), "mount")
        s.type("poweroff\n")
        t.expect_equal(s.wait(), 0, "QEMU's exit")
    finally:
        s.close()


def test_prompt_and_poweroff():
    session()


def test_power_button():
    """ACPI's, which QEMU's monitor presses: init switches off."""
    with t.Image() as image:
        s = boot(image)
        try:
            s.wait_for(t.PROMPT, timeout=60)
            s.type("\x01c")
            s.wait_for(b"(qemu)")
            s.type("system_powerdown\n")
            t.expect_equal(s.wait(), 0, "QEMU's exit")
        finally:
            s.close()


def first_line(text):
    return text.split(b"\n")[0].strip()


def compile_work(folder):
    out = folder / "smp_work"
    subprocess.run(["musl-gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", str(out),
                    str(t.TOP / "tests/boot/smp_work.c")], check=True)
    return out


def test_four_processors_at_work():
    with tempfile.TemporaryDirectory() as folder, \
            t.Image(f"{compile_work(pathlib.Path(folder))}:/t/smp_work") as image:
        s = boot(image, "-smp", "4")
        try:
            s.wait_for(t.PROMPT, timeout=60)
            t.expect_equal(first_line(s.command("nproc")), b"4", "nproc")
            t.expect_equal(first_line(s.command("grep -c ^processor /proc/cpuinfo")), b"4", "/proc/cpuinfo")
            t.expect(b"CPU3" in s.command("cat /proc/interrupts"), "/proc/interrupts")
            t.expect_equal(first_line(s.command("grep -c ^cpu[0-3] /proc/stat")), b"4", "/proc/stat")
            seen = s.command("/t/smp_work 4 1000 shared", timeout=180)
            t.expect(b"smp_work: passed" in seen and b"not ok" not in seen, seen.decode(errors="replace"))
            s.type("poweroff\n")
            t.expect_equal(s.wait(), 0, "QEMU's exit")
        finally:
            s.close()


def test_fewer_processors_wanted():
    with t.Image() as image:
        s = boot(image, "-smp", "4", append="maxcpus=2")
        try:
            s.wait_for(t.PROMPT, timeout=60)
            t.expect_equal(first_line(s.command("nproc")), b"2", "nproc")
        finally:
            s.close()


if __name__ == "__main__":
    t.main(globals())
