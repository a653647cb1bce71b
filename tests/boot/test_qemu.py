#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""fern on a machine that nobody here wrote: QEMU's q35, the same disk, the same shell."""
import vivtest as t


def boot(image, *extra):
    return t.Terminal(command=[
        "qemu-system-x86_64", "-machine", "q35", "-m", "256", "-display", "none", "-serial", "mon:stdio", "-no-reboot",
        "-kernel", str(t.FERN), "-snapshot", "-drive", f"file={image.path},format=raw,if=none,id=d",
        "-device", "ide-hd,drive=d,bus=ide.0", "-append", "root=/dev/sda quiet", *extra])


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


def test_four_processors_present():
    session("-smp", "4")


if __name__ == "__main__":
    t.main(globals())
