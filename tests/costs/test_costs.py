#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""fern's costs in steps, against the committed figures (3 %) and against twice Linux's.

usage: test_costs.py [--update]      the committed figures are those of one CPU
With VIV_TEST_SMP=N what one task does alone must cost what it does on one CPU; where tasks wait for each other the cost is
one of where they happen to run, and must only stay below twice the figure of one CPU.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = TOP / "tests" / "costs"
TABLE = HERE / "costs.txt"
LINUX = {
    "getppid": 323, "read-zero": 646, "pread-tmpfs": 1807, "stat": 3002, "open-close": 5490, "sigaction": 463,
    "signal": 3844, "pipe-self": 2385, "pipe-round-trip": 11412, "futex-round-trip": 7728,
    "anonymous-fault": 3310, "cow-fault": 3802, "cached-file-fault": 586, "mmap-munmap-64k": 12176,
    "fork-exit-wait": 148000, "vfork-exit-wait": 38000, "fork-exec": 571000, "sh-c": 1190000, "pthread": 35000,
}
WAIT_FOR_EACH_OTHER = {"pipe-round-trip", "futex-round-trip", "fork-exit-wait", "vfork-exit-wait", "fork-exec", "sh-c", "pthread"}
SEVERAL_CPUS = vivtest.SMP not in ("", "1")


def measure():
    with tempfile.TemporaryDirectory() as work:
        program = os.path.join(work, "costs")
        subprocess.run(["gcc", "-static", "-O1", "-pthread", "-o", program, str(HERE / "costs.c")], check=True)
        image = os.path.join(work, "rootfs.img")
        subprocess.run([str(TOP / "tools" / "mkrootfs"), image, "--add", f"{program}:/costs"], check=True)
        result = vivtest.run_exec("/costs", "--disk", f"{image},snapshot", "--timeout", "300", timeout=320)
    if result.returncode:
        print(f"not ok - costs: viv exit {result.returncode}: {result.stderr.decode(errors='replace').strip()}")
        sys.exit(1)
    return {name: int(steps) for name, steps in (line.split() for line in result.stdout.decode().splitlines())}


def read_table():
    lines = [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return {name: int(steps) for name, steps, _ in lines}


def update(seen):
    head = [line for line in TABLE.read_text().splitlines() if line.startswith("#")]
    rows = [f"{name:<18} {steps:>8} {LINUX[name]:>8}" for name, steps in seen.items()]
    TABLE.write_text("\n".join(head + rows) + "\n")


def problem_of(name, steps, want):
    if steps is None or want is None:
        return f"measured {steps}, committed {want}"
    if SEVERAL_CPUS and name in WAIT_FOR_EACH_OTHER:
        if steps > 2 * want:
            return f"{steps} steps, more than twice the {want} on one CPU"
    elif abs(steps - want) > 0.03 * want:
        return f"{steps} steps, committed {want}: more than 3 % apart"
    return f"{steps} steps, more than twice Linux's {LINUX[name]}" if steps > 2 * LINUX[name] else None


def main():
    if "--update" in sys.argv and SEVERAL_CPUS:
        sys.exit("test_costs.py: the committed figures are those of one CPU")
    seen = measure()
    if "--update" in sys.argv:
        update(seen)
    committed, bad = read_table(), 0
    for name, linux in LINUX.items():
        steps = seen.get(name)
        problem = problem_of(name, steps, committed.get(name))
        print(f"not ok - cost {name}: {problem}" if problem else f"ok - cost {name} {steps} (Linux {linux})")
        bad += problem is not None
    return 1 if bad else 0


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    sys.exit(main())
