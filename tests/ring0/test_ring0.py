#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Runs a ring-0 kernel on viv with every TLB geometry, on QEMU and on Bochs where they are installed, and compares what it
# prints with NAME.expected (written from the SDM). QEMU and Bochs may differ in the tests that NAME.qemu_differs and
# NAME.bochs_differs name, each with the section of the SDM that decides; QEMU also in RF.
import os
import re
import shutil
import subprocess
import sys
import tempfile

import bochs

NOT_ON_QEMU = ("cr0 pg without pe", "cr3 bit 63 without pcide", "irq 13: wait", "xapic mode: id")
VIV_OPTIONS = {"x2apic": ["--cpu", "v2,+x2apic"]}
HERE = os.path.dirname(os.path.abspath(__file__))


def lines_of(path):
    with open(path, encoding="latin-1") as f:
        return f.read().splitlines()


def may_differ(name, other):
    """Names of tests, one a line; a line "# ..." above says why."""
    path = os.path.join(HERE, f"{name}.{other}_differs")
    lines = lines_of(path) if os.path.exists(path) else []
    return {line for line in lines if not line.startswith("# ")}


def report(title, got, want):
    for n, (a, b) in enumerate(zip(got + [""] * len(want), want + [""] * (len(got) - len(want)))):
        if a != b:
            print(f"{title}: line {n + 1}:\n  got      {a}\n  expected {b}")
            return False
    return True


def name_of(kernel):
    return os.path.splitext(os.path.basename(kernel))[0]


def run_viv(viv, kernel, geometry, out):
    command = [viv, "run", "--kernel", kernel, "--serial", "file:" + out, "--tlb", geometry, "--stats"]
    command += VIV_OPTIONS.get(name_of(kernel), [])
    p = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, text=True)
    if p.returncode != 0:
        print(f"viv --tlb {geometry}: exit status {p.returncode}: {p.stderr}")
        return None
    return re.search(r"^state_hash: (.*)$", p.stderr, re.M).group(1)


def test_viv(viv, kernel, want, folder):
    good, hashes = True, set()
    for geometry in ("full", "tiny", "off"):
        out = os.path.join(folder, "viv-" + geometry)
        state = run_viv(viv, kernel, geometry, out)
        if state is None:
            return False
        hashes.add(state)
        good &= report(f"viv --tlb {geometry}", lines_of(out), want)
    if len(hashes) != 1:
        print("state hashes depend on the TLB:", hashes)
        return False
    return good


def test_qemu(kernel, name, want, folder):
    qemu = shutil.which("qemu-system-x86_64")
    if not qemu:
        print("QEMU is not installed: not compared")
        return True
    out = os.path.join(folder, "qemu")
    # Clocks that count instructions, so that a busy host changes nothing; but then it steps differently through REP.
    clock = ["-icount", "shift=3,sleep=off"] if name == "platform" else []
    subprocess.run([qemu, "-accel", "tcg", *clock, "-cpu", "max", "-machine", "q35", "-m", "64", "-display", "none",
                    "-no-reboot", "-monitor", "none", "-kernel", kernel, "-serial", "file:" + out,
                    "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    differs = may_differ(name, "qemu")
    text = "\n".join(lines_of(out))
    got = text[text.index(want[0].rsplit(": ", 1)[0] + ": "):].splitlines()  # firmware talks first
    # QEMU leaves out what it does not survive, at the end.
    last = next((i for i, line in enumerate(want) if line.startswith(NOT_ON_QEMU)), len(want))
    good = len(got) >= last
    if not good:
        print(f"QEMU stopped after {len(got)} lines")
    for a, b in zip(got[:last], want[:last]):
        if a.replace(" rf", "") != b.replace(" rf", "") and b.rsplit(": ", 1)[0] not in differs:
            print(f"QEMU differs:\n  QEMU     {a}\n  expected {b}")
            good = False
    return good


def test_bochs(kernel, boot_sector, name, want, folder):
    if not bochs.installed():
        print("Bochs is not installed: not compared")
        return True
    out = os.path.join(folder, "bochs")
    log = bochs.run(kernel, boot_sector, out)
    got = lines_of(out) if os.path.exists(out) else []
    differs, good = may_differ(name, "bochs"), len(got) == len(want)
    if not good:
        print(f"Bochs printed {len(got)} lines of {len(want)}; its log ends: {log[-1500:]}")
    for a, b in zip(got, want):
        if a != b and b.rsplit(": ", 1)[0] not in differs:
            print(f"Bochs differs:\n  Bochs    {a}\n  expected {b}")
            good = False
    return good


def main():
    viv, kernel, boot_sector = sys.argv[1:4]
    name = name_of(kernel)
    want = lines_of(os.path.join(HERE, name + ".expected"))
    with tempfile.TemporaryDirectory() as folder:
        good = test_viv(viv, kernel, want, folder)
        good &= test_qemu(kernel, name, want, folder)
        good &= test_bochs(kernel, boot_sector, name, want, folder)
    sys.exit(0 if good else 1)


main()
