#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""viv's own figures against their goals, and fern's work (bench/work.c) on viv, on QEMU TCG and natively, in one run.

usage: bench/viv_figures.py [--rounds N] [--only NAME,NAME]

Wall time is taken on the host from the guest's marker lines, never from the guest's clock. The kernel (fern), the image
and the program are the same on both emulators; rounds alternate; medians are printed, with their ratio.
tools/bench compares engines under Debian's kernel; bench/record_cost.py says what recording costs.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
VIV, FERN = TOP / "build" / "viv", TOP / "build" / "fern"
WORKLOADS = ["integer", "sieve", "sort", "getppid", "pipe", "fork", "touch", "files"]
INIT = """#!/bin/sh
/bin/mount -t proc proc /proc
/bin/mount -t tmpfs tmpfs /tmp
/usr/local/bin/work {names}
echo bench-over
/sbin/poweroff -f
"""


def make_image(work, names):
    program = work / "work"
    subprocess.run(["musl-gcc", "-static", "-O2", "-o", str(program), str(TOP / "bench" / "work.c")], check=True)
    init = work / "bench-init"
    init.write_text(INIT.format(names=" ".join(names)))
    init.chmod(0o755)
    image = work / "bench.img"
    subprocess.run([str(TOP / "tools" / "mkrootfs"), str(image), "--add", f"{program}:/usr/local/bin/work",
                    "--add", f"{init}:/bench-init"], check=True)
    return program, image


def timed_lines(command):
    """Seconds between "begin NAME" and "end NAME", and the ticks that the guest saw."""
    seconds, ticks, begun = {}, {}, {}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for raw in process.stdout:
        now, words = time.monotonic(), raw.decode(errors="replace").split()
        if len(words) == 2 and words[0] == "begin":
            begun[words[1]] = now
        elif len(words) == 3 and words[0] == "end" and words[1] in begun:
            seconds[words[1]], ticks[words[1]] = now - begun[words[1]], int(words[2])
        elif words == ["bench-over"]:
            process.kill()
    process.wait()
    return seconds, ticks


def commands(program, image, names):
    qemu = ["qemu-system-x86_64", "-machine", "q35", "-m", "256", "-display", "none", "-serial", "stdio", "-no-reboot",
            "-kernel", str(FERN), "-append", "root=/dev/sda init=/bench-init quiet", "-snapshot",
            "-drive", f"file={image},format=raw,if=none,id=d", "-device", "ide-hd,drive=d,bus=ide.0"]
    viv = [str(VIV), "run", "--disk", f"{image},snapshot", "--exec", "work " + " ".join(names)]
    native = [str(program), *names]
    return {"viv": viv, "qemu": qemu, "native": native}


def side_by_side(work, names, rounds):
    program, image = make_image(work, names)
    runs = {who: {name: [] for name in names} for who in ("viv", "qemu", "native")}
    steps = {}
    for _ in range(rounds):
        for who, command in commands(program, image, names).items():
            seconds, ticks = timed_lines(command)
            for name in names:
                runs[who][name].append(seconds.get(name, float("nan")))
            if who == "viv":
                steps = ticks
    print(f"{'workload':<10} {'viv s':>8} {'qemu s':>8} {'native s':>9} {'viv:qemu':>9} {'viv:native':>11} {'M steps/s':>10}")
    for name in names:
        viv, qemu, native = (statistics.median(runs[who][name]) for who in ("viv", "qemu", "native"))
        rate = steps.get(name, 0) / viv / 1e6
        print(f"{name:<10} {viv:8.3f} {qemu:8.3f} {native:9.4f} {viv / qemu:9.2f} {viv / native:11.1f} {rate:10.0f}")


def stats_of(command):
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=messages)
        _, _, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        messages.seek(0)
        pairs = (line.split(": ", 1) for line in messages.read().splitlines() if ": " in line)
        stats = {key.strip(): value.strip() for key, value in pairs}
    stats["overhead_mib"] = usage.ru_maxrss / 1024 - int(stats.get("ram_touched_bytes", 0)) / 2**20
    return stats, wall


def own_figures(work, rounds):
    _, image = make_image(work, [])
    files = [str(VIV), "run", "--stats", "--disk", f"{image},snapshot", "--exec", "work files; cp -r /etc /var/tmp; ls -lR / > /dev/null"]
    rates = []
    for _ in range(rounds):
        stats, _ = stats_of(files)
        rates.append(float(stats["instructions"]) / float(stats["wall_seconds"]) / 1e6)
    print(f"boot of fern with file work: {statistics.median(rates):.0f} M instructions/s (goal 110)")
    walls = [stats_of([str(VIV), "run", "--exec", "true"])[1] for _ in range(rounds)]
    print(f"viv run --exec true: {statistics.median(walls):.2f} s (goal 2)")
    overhead = stats["overhead_mib"]
    stats, _ = stats_of([str(VIV), "run", "--stats", "--exec", "true"])
    print(f"  of it, steps: {int(stats['steps']) / 1e6:.1f} M")
    print(f"steps to the shell's prompt: {steps_to_prompt() / 1e6:.1f} M (goal 150)")
    print(f"RSS beyond the guest memory touched: {overhead:.0f} MiB with file work, {stats['overhead_mib']:.0f} MiB for true (goal 64)")


def time_travel():
    """Going back in time in a session of 2*10^9 steps (bench/time_travel.c)."""
    print("time travel (goals: reverse step cold 200 ms, warm 1 ms, search back over 10^9 steps 12 s, checkpoints 1.02):", flush=True)
    subprocess.run([str(TOP / "build" / "bench" / "time_travel"), str(FERN), str(TOP / "build" / "rootfs.img")], check=True)


def debugger():
    """What the debugger's questions cost in such a session (bench/debugger.c), in CPU time."""
    print("debugger (goals: reverse step cold 200 ms, warm 1 ms, who-wrote once indexed 4 s):", flush=True)
    subprocess.run([str(TOP / "build" / "bench" / "debugger"), str(FERN), str(TOP / "build" / "rootfs.img")], check=True)


def steps_to_prompt():
    """Input that is no terminal is read when the shell reads it: its end at the prompt ends the run."""
    stats, _ = stats_of([str(VIV), "run", "--stats"])
    return int(stats["steps"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    options = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if not VIV.exists() or not FERN.exists():
        print("viv_figures: build/viv or build/fern is missing; run tools/run or tools/test first", file=sys.stderr)
        return 65
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        side_by_side(work, options.only.split(","), options.rounds)
        own_figures(work, options.rounds)
    time_travel()
    debugger()
    return 0


if __name__ == "__main__":
    sys.exit(main())
