#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The same random register accesses on viv's devices and on QEMU's: 8259s, 16550, IOAPIC, RTC, PCI, bochs-display, 8042 with
keyboard and mouse.

QEMU runs stopped, driven over qtest; so its clock stands still, and what needs time is left out. Where QEMU departs
from the data sheet the accesses keep away from it:
  8259   an edge whose line falls before it is acknowledged is forgotten (QEMU keeps it), and in special mask mode a
         non-specific EOI passes over masked bits (QEMU ends them)
  16550  modem deltas appear in loopback; clearing the transmit FIFO raises no new THRE interrupt
"""
import os
import pathlib
import random
import subprocess
import sys
import traceback

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BOARD = TOP / "build" / "tests" / "device" / "qtest_board"
TREE = TOP / "build" / "emu" / "machine" / "pc.dtb"
QEMU = ["qemu-system-x86_64", "-machine", "q35", "-S", "-qtest", "stdio", "-display", "none", "-nodefaults",
        "-serial", "null", "-serial", "null", "-rtc", "base=2024-01-02T03:04:05,clock=vm", "-m", "32", "-device", "bochs-display,addr=3"]
SEEDS = {"gate": 2, "default": 6, "all": 40}[os.environ.get("VIV_TEST_LEVEL", "default")]


class Side:
    def __init__(self, command, env=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, bufsize=1, env=env)

    def send(self, line):
        self.process.stdin.write(line + "\n")
        for answer in self.process.stdout:
            if answer.startswith("OK"):
                words = answer.split()
                return int(words[1], 0) if len(words) > 1 else None
            if answer.startswith("FAIL"):
                break
        raise AssertionError(f"{line!r} was refused")

    def close(self):
        self.process.kill()
        self.process.wait()


class Pair:
    """Both machines; every answer is compared."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.viv = Side([str(BOARD)], dict(os.environ, PC_DTB=str(TREE)))
        self.qemu = Side(QEMU)
        self.history = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.viv.close()
        self.qemu.close()

    def send(self, line, mask=0xFFFFFFFF):
        ours, theirs = self.viv.send(line), self.qemu.send(line)
        self.history.append(f"{line} -> {ours} / {theirs}")
        if ours is not None and (ours ^ theirs) & mask:
            raise AssertionError("; ".join(self.history[-12:]))
        return ours

    def out(self, port, value, size="b"):
        self.send(f"out{size} {port:#x} {value:#x}")

    def read(self, port, size="b", mask=0xFFFFFFFF):
        return self.send(f"in{size} {port:#x}", mask)


def pic_sequence(p, count):
    for port, value in ((0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0), (0xA0, 0x11), (0xA1, 0x28),
                        (0xA1, 2), (0xA1, 1), (0xA1, 0)):
        p.out(port, value)
    lines = {3: 0x2F8, 4: 0x3F8}  # the two serial ports pull these lines
    for base in lines.values():
        p.out(base + 4, 8)
    p.out(0x4D0, p.random.choice((0, 0x10, 0x18, 0x08)))
    for _ in range(count):
        action = p.random.randrange(8)
        irq = p.random.choice((3, 4))
        if action < 2:
            p.out(lines[irq] + 1, 2)
        elif action == 2:
            p.out(0x20, 0x0A)
            if not p.read(0x20) >> irq & 1:
                p.out(lines[irq] + 1, 0)
        elif action == 3:
            p.out(0x20, p.random.choice((0x20, 0x60, 0xA0, 0xC0, 0xE0, 0x80, 0x00, 0x40)) | p.random.randrange(8))
        elif action == 4:
            p.out(0x21, p.random.choice((0, 0, 0x18, 0x10, 0x08)))
        elif action == 5:
            p.out(0x20, p.random.choice((0x0A, 0x0B)))
            p.read(0x20)
        elif action == 6:
            p.read(0x21)
        else:
            p.out(0x20, 0x0C)  # poll: acknowledges
            p.read(0x20)


def uart_sequence(p, count):
    base = 0x3F8
    p.out(base + 4, 0x10)
    p.out(base + 2, p.random.choice((0, 1)))
    for _ in range(count):
        action = p.random.randrange(9)
        if action == 0:
            p.out(base + 1, p.random.randrange(8))
        elif action == 1:
            p.out(base + 3, p.random.choice((3, 3, 0x13, 0x1B)))
        elif action == 2:
            p.out(base + 4, 0x10 | p.random.randrange(16))
        elif action == 3:
            p.out(base, p.random.randrange(256))
        elif action < 6:
            if p.read(base + 5) & 1:
                p.read(base)
        elif action == 6:
            p.read(base + 2)
        elif action == 7:
            p.read(base + 6, mask=0xF0)
        else:
            p.read(base + p.random.choice((1, 3, 4)))


def ioapic_sequence(p, count):
    select, window = 0xFEC00000, 0xFEC00010
    for _ in range(count):
        index = p.random.choice((1, 0x10 + p.random.randrange(48)))
        p.send(f"writel {select:#x} {index:#x}")
        if index >= 0x10 and p.random.randrange(2):
            value = p.random.randrange(1 << 32)
            # Masked, and without the bits that the 82093AA has no use for.
            value = value & 0xFF000000 if index & 1 else value & 0xAFFF | 0x10000
            p.send(f"writel {window:#x} {value:#x}")
        p.send(f"readl {window:#x}")


def rtc_sequence(p, count):
    p.out(0x70, 0x0B)
    p.out(0x71, 0x82)  # stopped: the registers are memory
    for _ in range(count):
        p.out(0x70, p.random.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0D, 0x40, 0x7F)))
        if p.random.randrange(2):
            p.out(0x71, p.random.randrange(0x60))
        p.read(0x71)


def pci_sequence(p, count):
    for _ in range(count):
        register = p.random.choice((0, 2, 9, 0x0A, 0x0B, 0x0E))
        p.out(0xCF8, p.random.choice((0, 0x80000000)) | register & ~3, "l")
        p.read(0xCF8, "l")
        size = "b" if register & 1 else p.random.choice("bw" if register & 2 else "bwl")
        p.read(0xCFC + (register & 3), size)


def display_sequence(p, count):
    def config(register, value=None, size="l"):
        p.out(0xCF8, 0x80001800 | register & ~3, "l")
        port = 0xCFC + (register & 3)
        return p.read(port, size) if value is None else p.out(port, value, size)

    for register in (0x00, 0x08, 0x2C):
        config(register)
    for bar in (0x10, 0x14, 0x18, 0x1C, 0x20, 0x24):
        config(bar, 0xFFFFFFFF)
        config(bar)
        config(bar, 0)
    frame, registers = 0xC0000000, 0xD8000000
    config(0x10, frame)
    config(0x18, registers)
    config(4, 2, "w")
    for _ in range(count):
        if p.random.randrange(10) == 0:
            frame = p.random.choice((0xC0000000, 0xC1000000, 0xD0000000, 0xFE000000))  # the last: below the IOAPIC
            config(0x10, frame)
        size, width = p.random.choice((("b", 1), ("w", 2), ("l", 4)))
        place = p.random.randrange(4)
        value = p.random.randrange(1 << 8 * width)
        if place == 0:
            address = registers + p.random.randrange(0x500, 0x520) // width * width
        elif place == 1:
            address = registers + 0x600 + 4 * p.random.randrange(3)
            size, value = "l", p.random.choice((value, 0x1E1E1E1E, 0xBEBEBEBE))
        else:
            address = frame + p.random.choice((0, 0xFF8, 0x1000, 0x9FFFF8, 0xFFFFE0)) + p.random.randrange(12)
        if p.random.randrange(2):
            p.send(f"write{size} {address:#x} {value:#x}")
        p.send(f"read{size} {address:#x}")


def ps2_sequence(p, count):
    """Commands and their answers. Left out: what QEMU's keyboard does not know (FE, F7 to FD) and our does not have (set 3)."""
    def to_mouse(*data):
        for byte in data:
            p.out(0x64, 0xD4)
            p.out(0x60, byte)
            drain()

    def drain():
        for _ in range(8):
            status = p.read(0x64, mask=0x21)  # a byte is there, and from whom
            if not status & 1:
                return
            p.read(0x60)

    keyboard = ((0xED, range(8)), (0xEE, None), (0xF0, (0, 1, 2)), (0xF2, None), (0xF3, range(0x80)), (0xF4, None), (0xF5, None),
                (0xF6, None), (0xFF, None), (0xE1, None))
    mouse = ((0xE6, None), (0xE7, None), (0xE8, range(4)), (0xE9, None), (0xEA, None), (0xEB, None), (0xF0, None), (0xF2, None),
             (0xF3, (10, 20, 40, 60, 80, 100)), (0xF4, None), (0xF5, None), (0xF6, None), (0xFF, None))
    for port, byte in ((0x64, 0xAA), (0x64, 0x60), (0x60, 0x44), (0x60, 0xFF)):  # QEMU has no firmware here that did it
        p.out(port, byte)
        drain()
    to_mouse(0xFF)
    for _ in range(count):
        action = p.random.randrange(9)
        if action < 3:
            command, arguments = p.random.choice(keyboard)
            for byte in (command, *([p.random.choice(arguments)] if arguments else [])):
                p.out(0x60, byte)
                drain()
        elif action < 6:
            command, arguments = p.random.choice(mouse)
            to_mouse(command, *([p.random.choice(arguments)] if arguments else []))
        elif action == 6:
            # The wheel, and behind it the buttons. (QEMU takes the knock apart; so it is always whole here.)
            for rates in ((200, 100, 80), (200, 200, 80))[:p.random.randrange(3)]:
                to_mouse(*(byte for rate in rates for byte in (0xF3, rate)), 0xF2)
        elif action == 7:
            p.out(0x64, p.random.choice((0x20, 0xA9, 0xAB, 0xA7, 0xA8, 0xAD, 0xAE)))
            drain()
        else:
            p.out(0x64, 0x60)
            p.out(0x60, p.random.choice((0x44, 0x04, 0x74, 0x64)))
            drain()


def main():
    failed = False
    for name, sequence, count in (("8259", pic_sequence, 400), ("16550", uart_sequence, 400),
                                  ("IOAPIC", ioapic_sequence, 200), ("RTC", rtc_sequence, 200),
                                  ("PCI", pci_sequence, 100), ("bochs-display", display_sequence, 300), ("8042", ps2_sequence, 300)):
        try:
            for seed in range(SEEDS):
                with Pair(seed) as pair:
                    sequence(pair, count)
            print(f"ok - {name} answers as QEMU's", flush=True)
        except (AssertionError, OSError, ValueError):
            failed = True
            print(f"not ok - {name} (seed {seed}): {traceback.format_exc(limit=1)}", flush=True)
    sys.exit(failed)


main()
