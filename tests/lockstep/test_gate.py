#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: gate all
"""The translator against the interpreter: Debian's kernel to its shell with one and two CPUs, and random programs."""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import debian_kernels
import vivtest as t

APPEND = "console=ttyS0 console_msg_format=syslog ignore_loglevel"
PROGRAMS = 20000


def boot(cpus, *options):
    with t.Folder() as folder:
        debian_kernels.initramfs(folder / "initramfs", "uname -a\ncat /proc/cpuinfo /proc/interrupts\n")
        r = t.viv("run", "--cpu-engine", f"lockstep:{cpus}", "--kernel", debian_kernels.fetch("cloud-amd64").image, "--initrd",
                  folder / "initramfs", "--append", APPEND, "--mem", "512M", "--smp", str(cpus), *options, timeout=400)
    text = r.stderr.decode(errors="replace")
    t.expect_equal(r.returncode, 0, text)
    found = re.search(r"the engines agree: (\d+) comparisons, (\d+) of memory too, in (\d+) steps", text)
    t.expect(found and int(found.group(2)) > 5000 and b"Linux " in r.stdout, text)
    print(f"# --smp {cpus}: {found.group(0)}")


def test_debian():
    boot(1)


def test_debian_with_two_cpus():
    boot(2)


def test_until_random_steps():
    """Machines of either engine run until 1,000 random steps of fern's boot are in the same states."""
    for cpus, count in ((1, 1000), (2, 300)):
        r = subprocess.run([str(t.BUILD / "tests" / "lockstep" / "test_until"), str(t.FERN), str(t.BUILD / "rootfs.img"), str(count),
                            str(cpus), "11"], capture_output=True, timeout=1200)
        t.expect(r.returncode == 0 and f"until each of {count} random steps".encode() in r.stdout, r.stdout.decode()[-2000:])


def test_random_programs():
    """Others each day would be no test: these are beyond the default suite's."""
    r = subprocess.run([str(t.BUILD / "tests" / "lockstep" / "test_programs"), "--count", str(PROGRAMS), "--jobs",
                        str(os.cpu_count() or 1), "--seed", "500000"], capture_output=True, timeout=900,
                       env=dict(os.environ, VIV_TEST_HOT="2"))
    t.expect(r.returncode == 0 and f"ok - {PROGRAMS} programs" in r.stdout.decode(), r.stdout.decode()[-3000:])


if __name__ == "__main__":
    t.main(globals())
