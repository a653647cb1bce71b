#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: all gate
"""fern's console and /dev/fb0 on QEMU's displays, keys from its monitor."""
import pathlib
import re
import socket
import tempfile
import time

import screen_text
import vivtest as t
from test_screen import compile_program, programs_picture


class Qemu:
    """fern with QEMU's display, and the monitor for keys and pictures."""

    def __init__(self, folder, image, *extra, append="console=tty0"):
        path = folder / "monitor"
        self.folder = folder
        self.serial = t.Terminal(command=[
            "qemu-system-x86_64", "-machine", "q35", "-m", "256", "-display", "none", "-serial", "stdio", "-no-reboot", "-snapshot",
            "-monitor", f"unix:{path},server=on,wait=off", "-kernel", str(t.BUILD / "fern-debug" if t.DEBUG else t.FERN),
            "-drive", f"file={image.path},format=raw,if=none,id=d", "-device", "ide-hd,drive=d,bus=ide.0", "-smp", t.SMP or "1",
            "-append", f"root=/dev/sda quiet {append}", *extra])
        self.serial.wait_for(t.PROMPT)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.serial.close()
        self.socket.close()

    def answer(self):
        seen = b""
        while not seen.endswith(b"(qemu) "):
            seen += self.socket.recv(4096)

    def monitor(self, line):
        self.socket.sendall(line.encode() + b"\n")
        self.answer()

    def keys(self, *names):
        for name in names:
            self.monitor(f"sendkey {name} 20")
            time.sleep(0.05)

    def picture(self):
        file = self.folder / "screen.ppm"
        self.monitor(f"screendump {file}")
        kind, size, _, dots = file.read_bytes().split(b"\n", 3)
        width, height = map(int, size.split())
        return width, height, [dots[3 * width * y:3 * width * (y + 1)] for y in range(height)]

    def wait_for_text(self, pattern, timeout=20):
        deadline = time.monotonic() + timeout
        while True:
            text = "\n".join(screen_text.text_of(self.picture(), 20))
            if re.search(pattern, text, re.M):
                return text
            if time.monotonic() > deadline:
                raise t.Failure(f"no {pattern!r} on the screen:\n{text}")
            time.sleep(0.3)


def converse(q):
    q.wait_for_text(r"^root@fern:~# ")
    q.keys(*"echo", "spc", *"one", "ret")
    q.wait_for_text(r"^one$")
    q.keys("alt-f2")
    q.wait_for_text("^tty2: press Enter")
    q.keys("ret")
    q.wait_for_text(r"^root@fern:~# ")
    q.keys(*"tty", "ret")
    q.wait_for_text("^/dev/tty2$")
    q.keys(*"sleep", "spc", *"99", "ret", "ctrl-c", *"echo", "spc", *"b", "ret")
    q.wait_for_text("^b$")
    q.serial.command("chvt 1")
    q.wait_for_text("^one$")
    q.keys(*"seq", "spc", *"200", "ret")
    q.wait_for_text(r"(?m)^154$")
    q.keys("shift-pgup", "shift-pgup")
    q.wait_for_text(r"(?m)\A118$")
    q.keys("shift-pgdn")
    q.wait_for_text(r"(?m)\A136$")
    q.keys("ret")  # typing ends it
    q.wait_for_text(r"(?m)\A155$")
    q.keys("ctrl-l")
    q.keys("ctrl-d")  # the shell is started again
    q.wait_for_text(r"^BusyBox")


def test_qemu():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with t.Image(f"{compile_program(folder)}:/t/display_program") as image:
            with Qemu(folder, image, "-vga", "none", "-device", "bochs-display") as q:
                converse(q)
            with Qemu(folder, image, "-vga", "std", append="") as q:
                seen = q.serial.command("/t/display_program")
                t.expect(b"display_program: passed" in seen, seen.decode(errors="replace"))
                t.expect(q.picture() == programs_picture(), "the program's picture")


if __name__ == "__main__":
    t.main(globals())
