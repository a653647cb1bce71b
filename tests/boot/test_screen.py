#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""fern's console, virtual terminals and /dev/fb0 as pictures show them; test_screen_qemu.py has them on QEMU."""
import hashlib
import pathlib
import re
import subprocess
import tempfile

import pictures
import screen_text
import vivtest as t

COLOURS = r"\033[1;33mbright \033[0;31;42mred\033[m \033[4mline\033[m \033[7mturned\033[m \033[38;5;208morange\033[m caf\303\251 \342\224\214\342\224\202\342\224\220"
COLOUR_PICTURE = "6adbf30cedc9e530"  # the picture was looked at


def show(command, *options, status=0, folder):
    """The picture that is on the screen when the command has ended."""
    name = folder / "screen.png"
    r = t.viv("run", "--screenshot", name, "--exec", f"set -e; {command}; sleep 0.1", *options, timeout=60)
    if status is not None:
        t.expect_equal(r.returncode, status, r.stdout + r.stderr)
    return pictures.read_png(name)


def compile_program(folder):
    out = folder / "display_program"
    subprocess.run(["musl-gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-idirafter", "/usr/include", "-idirafter",
                    "/usr/include/x86_64-linux-gnu", "-o", str(out), str(t.TOP / "tests/boot/display_program.c")], check=True)
    return out


def programs_picture():
    rows = []
    for y in range(480):
        rows.append(b"".join(((x * 3 + y * 0x205) & 0xFFFFFF).to_bytes(3, "big") for x in range(640)))
    return 640, 480, rows


def test_text_and_colours():
    with t.Folder() as folder:
        seen = show(f"printf '{COLOURS}\\r\\nsecond' > /dev/tty1", folder=folder)
        t.expect_equal(seen[:2], (1024, 768))
        t.expect_equal(screen_text.text_of(seen, 1), ["bright red line turned orange café ┌│┐".replace("line", "????")])
        at = lambda x: screen_text.cell_at(seen, x, 0)
        t.expect_equal([at(x) for x in (0, 7, 16, 33)],
                       [("b", 0xFFFF55, 0), ("r", 0xAA0000, 0x00AA00), ("t", 0, 0xAAAAAA), ("é", 0xAAAAAA, 0)])
        t.expect_equal(at(24)[1], 0xFF8700)
        t.expect(screen_text.text_of(seen)[1].startswith("second"), "the second line")
        digest = hashlib.sha256(b"".join(seen[2])).hexdigest()[:16]
        t.expect_equal(digest, COLOUR_PICTURE, "the whole picture")


def test_scrolling():
    with t.Folder() as folder:
        seen = show("seq 1 300 > /dev/tty1; for i in 301 302 303; do echo $i > /dev/tty1; sleep 0.05; done; printf '\\033[A\\033[K' > "
                    "/dev/tty1", folder=folder)
        t.expect_equal([line for line in screen_text.text_of(seen)][:46], [str(n) for n in range(257, 303)])
        # While /dev/fb0 is open the picture stays at the memory's beginning: another way of scrolling.
        seen = show("exec 3</dev/fb0; seq 1 60 > /dev/tty1; sleep 0.05; seq 61 100 > /dev/tty1; sleep 0.05; seq 101 103 > /dev/tty1; "
                    "sleep 0.05; grep -q ^0,0 /sys/class/graphics/fb0/pan", folder=folder)
        t.expect_equal(screen_text.text_of(seen)[:47], [str(n) for n in range(57, 104)])


def test_nothing_is_drawn_unasked():
    with t.Folder() as folder:
        seen = show("echo hidden > /dev/tty2; chvt 1; cat /proc/fb | grep -q bochs", folder=folder)
        t.expect(not any(any(row) for row in seen[2]), "the foreground terminal has been given nothing")
        seen = show("echo hidden > /dev/tty2; echo one > /dev/tty1; chvt 2; stty -F /dev/tty0 size > /dev/tty0", folder=folder)
        t.expect_equal(screen_text.text_of(seen)[:2], ["hidden", "48 128"])


def test_log_and_panic():
    with t.Folder() as folder:
        seen = show("echo from user space > /dev/kmsg", "--append", "console=tty0", folder=folder)
        text = "\n".join(screen_text.text_of(seen))
        t.expect("fern: a kernel for viv" in text and re.search(r"^\[ .*\] from user space$", text, re.M), text)
        seen = show("sleep 0.1; echo c > /proc/sysrq-trigger", "--append", "console=tty0", status=None, folder=folder)
        text = "\n".join(screen_text.text_of(seen))
        t.expect("Kernel panic: sysrq triggered crash" in text, text)
        seen = show("sleep 0.1; echo c > /proc/sysrq-trigger", status=None, folder=folder)
        t.expect(not any(any(row) for row in seen[2]), "no console=tty0: nothing on the display")


def test_programs():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with t.Image(f"{compile_program(folder)}:/t/display_program") as image:
            shot = folder / "end.png"
            r = t.viv("run", "--disk", f"{image.path},snapshot", "--screenshot", shot, "--exec",
                       "seq 1 100 > /dev/tty1; sleep 0.1; seq 1 9 > /dev/tty1; sleep 0.1; /t/display_program")
            t.expect_equal((r.returncode, r.stdout), (0, b"display_program: passed\n"), r.stderr)
            t.expect(pictures.read_png(shot) == programs_picture(), "the program's picture")


if __name__ == "__main__":
    t.main(globals())
