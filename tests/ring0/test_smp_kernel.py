#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Runs the several-CPU kernel on viv with 2, 4 and 8 CPUs, with every TLB geometry and with varied quanta, and on QEMU
# where it is installed: the text is smp.expected's. The final state does not depend on the
# TLB, nor on being recorded.
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
failures = 0


def tap(good, text):
    global failures
    failures += not good
    print(f"{'ok' if good else 'not ok'} - {text}", flush=True)


def lines_of(path):
    with open(path, encoding="latin-1") as f:
        return f.read().splitlines()


def expected(cpus):
    return [line.replace("cpus N", f"cpus {cpus:#x}") for line in lines_of(os.path.join(HERE, "smp.expected"))]


def report(title, got, want):
    tap(got == want, title)
    for n, (a, b) in enumerate(zip(got + [""] * len(want), want + [""] * (len(got) - len(want)))):
        if a != b:
            print(f"# line {n + 1}: {a!r}, expected {b!r}")


def run_viv(viv, kernel, cpus, out, *options):
    command = [viv, "run", "--kernel", kernel, "--smp", str(cpus), "--mem", "16M", "--serial", "file:" + out, "--stats",
               *options]
    p = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, text=True)
    if p.returncode != 0:
        print(f"# exit status {p.returncode}: {p.stderr}")
        return None
    return re.search(r"^state_hash: (.*)$", p.stderr, re.M).group(1)


def test_viv(viv, kernel, folder):
    out = os.path.join(folder, "out")
    for cpus in (2, 4, 8):
        hashes = set()
        for geometry in ("full", "tiny", "off") if cpus != 8 else ("full",):
            hashes.add(run_viv(viv, kernel, cpus, out, "--tlb", geometry))
            report(f"{cpus} CPUs, --tlb {geometry}", lines_of(out), expected(cpus))
        recording = os.path.join(folder, "recording.viv")
        hashes.add(run_viv(viv, kernel, cpus, out, "--record", recording))
        tap(len(hashes) == 1, f"{cpus} CPUs: one final state {hashes}")
        p = subprocess.run([viv, "replay", recording, "--verify"], stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=120, text=True)
        tap(p.returncode == 0, f"{cpus} CPUs: replayed: {p.stderr.strip()}")
    recordings = []
    for seed in range(1, 5):
        recordings.append(os.path.join(folder, f"chaos{seed}.viv"))
        run_viv(viv, kernel, 4, out, "--chaos", str(seed), "--record", recordings[-1])
        report(f"4 CPUs, --chaos {seed}", lines_of(out), expected(4))
    p = subprocess.run([viv, "diff", *recordings[:2]], stdin=subprocess.DEVNULL, capture_output=True, timeout=120, text=True)
    good = p.returncode == 1 and "first difference" in p.stdout and "turn: CPU" in p.stdout
    tap(good, f"what differs under another seed is the turn: {p.stdout.strip()!r}")


def test_qemu(kernel, folder):
    qemu = shutil.which("qemu-system-x86_64")
    if not qemu:
        tap(True, "QEMU is not installed # skip")
        return
    for cpus in (2, 4):
        out = os.path.join(folder, "qemu")
        # Its clocks count instructions: a busy host changes nothing.
        subprocess.run([qemu, "-accel", "tcg", "-icount", "shift=3,sleep=off", "-cpu", "max", "-machine", "q35", "-m", "64",
                        "-display", "none", "-smp", str(cpus), "-no-reboot", "-monitor", "none", "-kernel", kernel, "-serial", "file:" + out,
                        "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=100)
        lines = lines_of(out)
        begin = next((i for i, line in enumerate(lines) if line.endswith("start")), len(lines))  # firmware talks first
        report(f"QEMU with {cpus} CPUs", ["start"] + lines[begin + 1:], expected(cpus))


def main():
    viv, kernel = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        test_viv(viv, kernel, folder)
        test_qemu(kernel, folder)
    sys.exit(failures != 0)


main()
