#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Keyboard and mouse of fern on QEMU, whose monitor presses the keys: scan codes to events, what evdev and mousedev
promise (input_events.c), machines without a mouse or a controller."""
import pathlib
import re
import socket
import subprocess
import tempfile
import time

import vivtest as t

SYN = (0, 0, 0)
MSC, KEY, REL = 4, 1, 2


class Machine:
    """fern at a prompt, with QEMU's monitor beside it."""

    def __init__(self, *extra, append=""):
        self.folder = tempfile.TemporaryDirectory()
        here = pathlib.Path(self.folder.name)
        program = here / "input_events"
        subprocess.run(["musl-gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-I", str(t.TOP / "guest"), "-o",
                        str(program), str(t.TOP / "tests/boot/input_events.c")], check=True)
        self.image = t.Image(f"{program}:/t/input_events")
        path = here / "monitor"
        self.serial = t.Terminal(command=[
            "qemu-system-x86_64", "-machine", "q35", "-m", "256", "-display", "none", "-serial", "stdio", "-no-reboot",
            "-monitor", f"unix:{path},server=on,wait=off", "-snapshot",
            "-kernel", str(t.BUILD / "fern-debug" if t.DEBUG else t.FERN),
            "-drive", f"file={self.image.path},format=raw,if=none,id=d", "-device", "ide-hd,drive=d,bus=ide.0",
            "-smp", t.SMP or "1", "-append", f"root=/dev/sda quiet {append}", *extra])
        self.serial.wait_for(t.PROMPT, timeout=60)
        self.monitor_socket = socket.socket(socket.AF_UNIX)
        self.monitor_socket.connect(str(path))
        self.monitor_answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.serial.close()
        self.monitor_socket.close()
        self.image.__exit__()
        self.folder.cleanup()

    def monitor_answer(self):
        answer = b""
        while not answer.endswith(b"(qemu) "):
            answer += self.monitor_socket.recv(4096)
        return answer

    def monitor(self, *lines):
        for line in lines:
            if isinstance(line, float):
                time.sleep(line)
                continue
            self.monitor_socket.sendall(line.encode() + b"\n")
            self.monitor_answer()
            long = line.startswith("sendkey") and line.count(" ") == 1  # such keys are held for 100 ms
            time.sleep(0.13 if long else 0.025)

    def events(self, device, count, *actions):
        self.serial.type(f"/t/input_events dump /dev/input/{device} {count}\n")
        self.serial.wait_for(b"READY")
        self.monitor(*actions)
        seen = self.serial.wait_for(t.PROMPT, timeout=20)
        return [tuple(map(int, e)) for e in re.findall(rb"EVENT (\d+) (\d+) (-?\d+)", seen)]

    def answer_until_done(self, program, actions):
        self.serial.type(f"/t/input_events {program}\n")
        while True:
            seen = self.serial.wait_for(re.compile(rb"ASK ([^\r\n]+)\r|PASSED|FAILED"), timeout=30)
            t.expect(b"not ok" not in seen, seen.decode(errors="replace"))
            wanted = re.search(rb"ASK ([^\r\n]+)\r$", seen)
            if not wanted:
                t.expect(seen.endswith(b"PASSED"), seen.decode(errors="replace"))
                self.serial.wait_for(t.PROMPT)
                return
            self.monitor(*actions[wanted[1].decode()])
            self.serial.type("go\n")


def pressed(code, scan, value=1):
    """A key's packet."""
    return [(MSC, 4, scan), (KEY, code, value), SYN]


def keys(m):
    seen = m.events("event0", 6, "sendkey a")
    t.expect_equal(seen, pressed(30, 0x1E) + pressed(30, 0x1E, 0), "a")
    seen = m.events("event0", 12, "sendkey shift-left")
    t.expect_equal([e for e in seen if e[0] == KEY], [(KEY, 42, 1), (KEY, 105, 1), (KEY, 105, 0), (KEY, 42, 0)],
                   "Shift-Left")
    seen = m.events("event0", 8, "sendkey pause", "sendkey print")
    t.expect_equal([e for e in seen if e[0] == KEY], [(KEY, 119, 1), (KEY, 119, 0), (KEY, 99, 1)], "Pause, Print")


def mouse(m):
    t.expect_equal(m.events("event1", 3, "mouse_move 5 -3"), [(REL, 0, 5), (REL, 1, -3), SYN], "movement")
    seen = m.events("event1", 4, "mouse_button 1", "mouse_button 0")
    t.expect_equal(seen, [(KEY, 0x110, 1), SYN, (KEY, 0x110, 0), SYN], "left button")
    t.expect_equal(m.events("event1", 2, "mouse_move 0 0 1"), [(REL, 8, 1), SYN], "wheel")
    m.answer_until_done("mice", {"move": ["mouse_move 10 20"], "button": ["mouse_button 1", "mouse_button 0"]})


def evdev(m):
    actions = {letter: [f"sendkey {letter} 20"] for letter in "abefgh"}
    actions["d"] = [1.2, "sendkey d 20", 0.1]  # QEMU's next key waits as long again as the one before was held
    m.answer_until_done("evdev", actions | {"many": ["sendkey q-w-e-r-t-y-u-i-o-p"] * 2 + [0.4], "hold c": ["sendkey c 1000"]})


def idle(m):
    def interrupts():
        return re.findall(rb"[^\n]+i8042", m.serial.command("cat /proc/interrupts"))
    before = interrupts()
    t.expect_equal(len(before), 2, "two interrupts")
    time.sleep(1)
    t.expect_equal(interrupts(), before, "nobody asks the controller")


def keyboard_and_mouse():
    with Machine() as m:
        keys(m)
        mouse(m)
        evdev(m)
        idle(m)


KEY_NAMES = {" ": "spc", "\n": "ret", "/": "slash", "-": "minus", ".": "dot", ">": "shift-dot", "$": "shift-4", ";": "semicolon",
             "=": "equal", "'": "apostrophe", "&": "shift-7", "?": "shift-slash"}


def typed(text):
    """The monitor's lines that type it. Keys must not overlap: one after the other."""
    return [f"sendkey {KEY_NAMES.get(c, 'shift-' + c.lower() if c.isupper() else c)} 10" for c in text]


def test_terminals():
    with Machine("-vga", "none", "-device", "bochs-display", append="console=tty0 console=ttyS0") as m:
        def says(command, wanted, what):
            for _ in range(20):
                seen = m.serial.command(command)
                if wanted in seen:
                    return
                time.sleep(0.1)
            raise t.Failure(f"{what}: {seen!r}")
        m.monitor(*typed("tty>/tmp/a;echo Hello >/tmp/b\n"))
        says("cat /tmp/a /tmp/b", b"Hello", "typed at tty1")
        says("cat /tmp/a", b"/dev/tty1", "where")
        m.monitor("sendkey caps_lock", *typed("echo x1"), "sendkey caps_lock", *typed(" 2>/tmp/c\n"))
        says("cat /tmp/c", b"ECHO: not found", "Caps Lock")
        m.monitor(*typed("sleep 1000\n"), "sendkey ctrl-c", *typed("echo $? >/tmp/d\n"))
        says("cat /tmp/d", b"130", "Ctrl-C")
        m.monitor(*typed("echo X >/tmp/f"), *["sendkey left 10"] * 8, "sendkey delete 10", *typed("y"), "sendkey ret 10")
        says("cat /tmp/f", b"y", "cursor keys and Delete")
        m.monitor("sendkey alt-f2", "sendkey ret", *typed("\ntty >/tmp/g\n"))
        says("cat /tmp/g", b"/dev/tty2", "Alt-F2 and Enter")
        m.monitor("sendkey alt-left", *typed("tty >/tmp/h\n"))
        says("cat /tmp/h", b"/dev/tty1", "Alt-Left")
        m.monitor(*typed("blocks 2>/tmp/i\n"))
        time.sleep(0.3)
        m.monitor("sendkey left", "sendkey up", *["sendkey spc"] * 3, "sendkey q")
        says("grep -v 'blocks: 0 ' /tmp/i", b"points", "a game was played")
        m.monitor("sendkey alt-sysrq-s")
        m.monitor("sendkey alt-sysrq-z")
        says("dmesg | grep sysrq:", b"sync (s)", "SysRq")
        m.serial.type("exec sleep 1000\n")
        time.sleep(0.2)
        m.monitor_socket.sendall(b"sendkey ctrl-alt-delete\n")
        t.expect_equal(m.serial.wait(20), 0, "Ctrl-Alt-Del restarts, and QEMU was told to end then")


def untranslated_keyboard():
    with Machine(append="i8042.direct") as m:
        seen = m.events("event0", 6, "sendkey a")
        t.expect_equal(seen, pressed(30, 0x1C) + pressed(30, 0x1C, 0), "a, set 2")
        seen = m.events("event0", 6, "sendkey up")
        t.expect_equal(seen, pressed(103, 0xE075) + pressed(103, 0xE075, 0), "Up, set 2")
        t.expect(b"AT Raw Set 2 keyboard" in m.serial.command("cat /proc/bus/input/devices"), "its name")


def without_controller_or_mouse():
    with Machine("-machine", "q35,i8042=off") as m:
        t.expect(b"i8042: no controller" in m.serial.command("dmesg"), "no controller")
        t.expect(b"event0" not in m.serial.command("ls /dev/input"), "no devices")
    with Machine(append="i8042.noaux") as m:
        t.expect(b"event1" not in m.serial.command("ls /dev/input"), "no mouse")
        t.expect_equal(len(m.events("event0", 3, "sendkey q")), 3, "the keyboard works")


if t.LEVEL != "default":
    test_keyboard_and_mouse = keyboard_and_mouse
    test_untranslated_keyboard = untranslated_keyboard
    test_without_controller_or_mouse = without_controller_or_mouse


if __name__ == "__main__":
    t.main(globals())
