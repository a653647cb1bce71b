#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: default all
"""The programs of tests/guest under --chaos SEED, on the kernel with lock order, atomic sleep and preempt count checks.

usage: test_chaos.py [NAME...]      each seed must print what the host prints
"""
import concurrent.futures
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "guest"))
import test_guest as guest  # noqa: E402

KERNEL = guest.TOP / "build" / "fern-debug"
LEVEL = os.environ.get("VIV_TEST_LEVEL", "default")
SEEDS = range(1, 11 if LEVEL == "all" else 4)

# Programs whose answer is about time shares: chaos moves the ticks and ends of quanta that those are made of.
LEFT_OUT = {
    "nice_shares": "prints whether CPU shares are within 5 % of the weights",
}


def check_seed(seed, programs, expected, folder):
    """Prints one TAP line per seed; returns whether it was right."""
    folder.mkdir()
    seen, result = guest.run_in_guest(programs, folder, ["--kernel", str(KERNEL), "--chaos", str(seed)])
    bad = []
    for p in programs:
        want, got = expected[p.name], seen.get(p.name)
        if got is None:
            bad.append(f"{p.name} did not run to its end")
        elif got != want:
            bad.append(f"{p.name} status host {want[1]} guest {got[1]}, {guest.first_difference(want[0], got[0])}")
    if "end" not in seen or result.returncode:
        bad.append(f"viv exit {result.returncode}: {result.stderr.decode(errors='replace')[-2000:]}")
    print(f"{'not ok' if bad else 'ok'} - chaos {seed}: {len(programs)} programs" + "".join(f"; {b}" for b in bad), flush=True)
    return not bad


def main():
    names = sys.argv[1:] or sorted(p.stem for p in guest.HERE.glob("*.c") if p.stem not in LEFT_OUT)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "bin").mkdir()
        (work / "host").mkdir()
        programs = guest.compile_all(names, work / "bin")
        expected = {p.name: guest.run_on_host(p, work / "host") for p in programs}
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            right = list(pool.map(lambda s: check_seed(s, programs, expected, work / f"seed{s}"), SEEDS))
    return 0 if all(right) else 1


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    sys.exit(main())
