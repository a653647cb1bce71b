#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Where an emulator spends its time in one row of tools/bench: perf (package linux-perf) from the BEGIN to the END line.

usage: bench/profile.py ROW [--machine viv-jit|viv-interp|qemu] [--units N] [--lines N] [--sort FIELDS] [--keep FILE]

The first lines sum up by object. Translated code has no names; its object is a memfd.
"""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import machines  # noqa: E402
import rows  # noqa: E402


def profiled(command, name, data):
    """Runs a machine with one row under perf; the row's seconds of CPU time."""
    run, perf, begun = machines.Run(command), None, 0.0
    try:
        for line, _, cpu in run.lines():
            if line.split() == ["BEGIN", name]:
                begun = cpu
                perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-p", str(run.process.pid),
                                         "-o", str(data)], stderr=subprocess.DEVNULL)
            elif perf and line.startswith(f"END {name} "):
                return cpu - begun
        raise machines.BenchError("the run ended before the row did")
    finally:
        if perf:
            perf.send_signal(signal.SIGINT)
            perf.wait()
        run.close()


def report(data, fields, count):
    text = subprocess.run(["perf", "report", "-i", str(data), "--stdio", "--no-children", "-F", f"overhead,{fields}", "-s", fields],
                          capture_output=True, text=True, check=True).stdout
    lines = [line.rstrip(" -") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    lines.sort(key=lambda line: -float(line.split("%")[0]))
    print("\n".join(lines[:count]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("row", choices=[row.name for row in rows.ROWS if row.group != "boot"])
    parser.add_argument("--machine", choices=("viv-jit", "viv-interp", "qemu"))
    parser.add_argument("--units", type=int, help="default: three times those of tools/bench")
    parser.add_argument("--lines", type=int, default=30)
    parser.add_argument("--sort", default="dso,symbol")
    parser.add_argument("--keep", type=pathlib.Path, help="keep perf's data there")
    options = parser.parse_args()
    if not shutil.which("perf"):
        print("profile: perf is missing (Debian: linux-perf)", file=sys.stderr)
        return 65
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    with tempfile.TemporaryDirectory() as folder:
        files, data = machines.Files(pathlib.Path(folder)), options.keep or pathlib.Path(folder) / "perf.data"
        there = machines.available(files)
        machine = there.get(options.machine or next(iter(there)))
        if not machine:
            print(f"profile: this viv has no {options.machine}", file=sys.stderr)
            return 65
        units = options.units or 3 * rows.BY_NAME[options.row].units_on(machine.name)
        command = machine.debian(files.vmlinux, f"{machines.APPEND} work={options.row}:{units}")
        seconds = profiled(command, options.row, data)
        print(f"{options.row} on {machine.name}: {units} units in {seconds:.2f} s of CPU time")
        report(data, "dso", 5)
        report(data, options.sort, options.lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
