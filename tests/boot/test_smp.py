#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""fern with several CPUs on viv: parallel work that checks itself, the same run twice, varied schedules."""
import pathlib
import re
import subprocess
import tempfile

import vivtest as t

SEEDS = range(1, 11) if t.LEVEL == "all" else (1,)


def work(*options):
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "smp_work"
        subprocess.run(["musl-gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", str(program),
                        str(t.TOP / "tests/boot/smp_work.c")], check=True)
        with t.Image(f"{program}:/t/smp_work") as image:
            r = t.run_exec("/t/smp_work 4", "--smp", "4", "--disk", f"{image.path},snapshot", "--stats", *options)
    t.expect(r.returncode == 0 and b"smp_work: passed" in r.stdout, f"{options}: {r.stdout!r} {r.stderr[-1500:]!r}")
    return r


def test_the_same_run_twice():
    a, b = work(), work()
    t.expect_equal(b.stdout, a.stdout, "output")
    t.expect_equal(t.stats(b)["state_hash"], t.stats(a)["state_hash"], "final state")


def test_under_other_schedules():
    """With lock order, owners and sleeping while atomic checked on every lock that the work takes."""
    for seed in SEEDS:
        work("--chaos", seed, "--kernel", t.BUILD / "fern-debug")


def test_fewer_cpus_asked_for():
    r = t.run_exec("nproc; grep Cpus_allowed_list /proc/self/status", "--smp", "4", "--append", "maxcpus=3")
    t.expect_equal(r.stdout.split(), [b"3", b"Cpus_allowed_list:", b"0-2"], "CPUs")


def test_debian_programs_count_them():
    """util-linux and coreutils read /sys/devices/system/cpu and the affinity of tasks."""
    programs = [pathlib.Path("/usr/bin") / name for name in ("lscpu", "nproc", "taskset")]
    libraries = subprocess.run(["ldd", *programs], check=True, capture_output=True, text=True).stdout
    libraries = sorted(set(re.findall(r"(/lib\S*\.so\S*)", libraries)))
    adds = [f"{p}:/debian/{p.name}" for p in programs] + [f"{pathlib.Path(lib).resolve()}:{lib}" for lib in libraries]
    with t.Image(*adds) as image:
        r = t.run_exec("cd /debian; ./lscpu | grep -e 'CPU(s)' -e list -e Core; ./lscpu -p=CPU,CORE,SOCKET | grep -v '#'; ./nproc; ./nproc --all; "
                       "./taskset -c 2 ./nproc; ./taskset -c 1-2 ./taskset -cp 1; cat /sys/devices/system/cpu/cpu2/topology/thread_siblings_list",
                       "--disk", f"{image.path},snapshot", "--smp", "4", "--append", "maxcpus=3")
    t.expect_equal(re.sub(r" +", " ", r.stdout.decode()).splitlines(), [
        "CPU(s): 4", "On-line CPU(s) list: 0-2", "Off-line CPU(s) list: 3", "Core(s) per socket: 3", "0,0,0", "1,1,0", "2,2,0",
        "3", "4", "1", "pid 1's current affinity list: 0-2", "2"], "as Debian sees them")


def test_the_lock_checks_check():
    """Each broken rule ends in its own panic."""
    for rule, message in (("twice", "taken twice on CPU"), ("sleep", "scheduling while atomic"),
                          ("order", "which elsewhere is taken under it"), ("irq", "and elsewhere with interrupts on")):
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "log"
            r = t.run_exec("true", "--kernel", t.BUILD / "fern-debug", "--append", f"selftest={rule}", "--log", log)
            t.expect(r.returncode == 125 and message in log.read_text(), f"{rule}: {log.read_text()[-1500:]}")


if __name__ == "__main__":
    t.main(globals())
