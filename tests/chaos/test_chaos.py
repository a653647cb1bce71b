#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: default all
"""The programs of tests/guest under --chaos SEED, on the kernel with lock order, atomic sleep and preempt count checks: on one
CPU and on four.

usage: test_chaos.py [NAME...]      each seed must print what the host prints; VIV_TEST_SMP=N: only with N CPUs
"""
import concurrent.futures
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "guest"))
import test_guest as guest  # noqa: E402

KERNEL = guest.place.vivtest.BUILD / "fern-debug"
LEVEL = os.environ.get("VIV_TEST_LEVEL", "default")
SEEDS = range(1, 11 if LEVEL == "all" else 4)
# Level default runs these with four CPUs, under the first seed.
HANDFUL = ["exec_threads", "futex_raw", "job_control", "mm_cow", "pipe_blocking", "process_random", "thread_signals",
           "threads_futex", "wait_options", "zombies"]

# Programs whose answer is about time shares: chaos moves the ticks and ends of quanta that those are made of.
LEFT_OUT = {
    "nice_shares": "prints whether CPU shares are within 5 % of the weights",
}


def check_seed(cpus, seed, programs, expected, folder):
    """Prints one TAP line per seed; returns whether it was right."""
    folder.mkdir()
    seen, result = guest.run_in_guest(programs, folder, ["--kernel", str(KERNEL), "--chaos", str(seed), "--smp", str(cpus)])
    bad = []
    for p in programs:
        want, got = expected[p.name], seen.get(p.name)
        if got is None:
            bad.append(f"{p.name} did not run to its end")
        elif got != want:
            bad.append(f"{p.name} status host {want[1]} guest {got[1]}, {guest.first_difference(want[0], got[0])}")
    if "end" not in seen or result.returncode:
        bad.append(f"viv exit {result.returncode}: {result.stderr.decode(errors='replace')[-2000:]}")
    print(f"{'not ok' if bad else 'ok'} - chaos {seed} on {cpus}: {len(programs)} programs" + "".join(f"; {b}" for b in bad), flush=True)
    return not bad


def plan(programs, named):
    """[(CPUs, seed, programs)]"""
    if guest.place.vivtest.SMP:
        return [(guest.place.vivtest.SMP, seed, programs) for seed in SEEDS]
    runs = [(1, seed, programs) for seed in SEEDS]
    if LEVEL == "all" or named:
        return runs + [(4, seed, programs) for seed in SEEDS]
    return runs + [(4, SEEDS[0], [p for p in programs if p.stem in HANDFUL])]


def main():
    names = sys.argv[1:] or sorted(p.stem for p in guest.HERE.glob("*.c") if p.stem not in LEFT_OUT)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "bin").mkdir()
        (work / "host").mkdir()
        programs = guest.compile_all(names, work / "bin")
        expected = {p.name: guest.run_on_host(p, work / "host") for p in programs}
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            right = list(pool.map(lambda r: check_seed(*r, expected, work / f"cpus{r[0]}seed{r[1]}"), plan(programs, sys.argv[1:])))
    return 0 if all(right) else 1


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    sys.exit(main())
