#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The programs with parallel work on four CPUs of viv. Level all: every program of tests/guest, on four CPUs of viv and
of QEMU. place.py has the same choice for single runs."""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
LEVEL = os.environ.get("VIV_TEST_LEVEL", "default")
# Its answer is about the shares of one CPU, and it takes what its neighbours on the host leave it.
LEFT_OUT = {"nice_shares"}


def run(names, **where):
    r = subprocess.run([sys.executable, str(HERE / "test_guest.py"), *names], env={**os.environ, **where},
                       capture_output=True, text=True)
    bad = [line for line in r.stdout.splitlines() if line.startswith("not ok") or "did not finish" in line]
    if r.returncode and not bad:
        bad = [r.stderr[-1000:]]
    kind = " ".join(f"{k}={v}" for k, v in where.items())
    print(f"{'not ok' if bad else 'ok'} - {len(names)} programs, {kind}" + "".join(f"\n# {b}" for b in bad), flush=True)
    return not bad


def main():
    everything = sorted(p.stem for p in HERE.glob("*.c") if p.stem not in LEFT_OUT)
    parallel = [n for n in everything if n.startswith("parallel_")]
    right = run(parallel, VIV_TEST_SMP="4", VIV_TEST_CHAOS="1")  # short turns: far more orders of events
    if LEVEL == "all":
        right &= run(everything, VIV_TEST_SMP="4")
        right &= run(everything, VIV_TEST_SMP="4", VIV_TEST_MACHINE="qemu", VIV_TEST_TIMEOUT="1500")
        right &= run(parallel, VIV_TEST_SMP="4", VIV_TEST_MACHINE="qemu", VIV_TEST_DEBUG="1", VIV_TEST_TIMEOUT="1500")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
