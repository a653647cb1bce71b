#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: all
"""Programs of tests/guest under viv's --strace and under the host's: line by line the same for those of SAME. The others differ
for reasons outside of the tracer: what a tracer inside makes a kernel do (SIGCHLD and ignored signals interrupt calls), timing,
other files and limits, calls that the host's vDSO answers, random names."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t  # noqa: E402
from test_strace_host import family, mask  # noqa: E402

GUEST = t.TOP / "tests" / "guest"
SAME = """fault_signals file_odds files_basic mm_access mmap_basic mmap_file mmap_shared_fork mremap pipe_sizes sigaltstack_use
sigmask_queue signal_frame symlinks times_files""".split()


def masked(line):
    line = re.sub(r"0x[0-9a-f]{4,}", "ADDRESS", mask(line))
    line = re.sub(r"tv_(sec|nsec|usec)=\d+", r"tv_\1=N", line)
    line = re.sub(r"(kill|tkill|wait4|rt_sigqueueinfo)\(\d+", r"\1(N", line)
    line = re.sub(r"tgkill\(\d+, \d+", "tgkill(N, N", line)
    return re.sub(r"(getpgid|getsid|getpgrp|setsid|gettid|getpid|getppid)\((.*)\) = \d+", r"\1(\2) = N", line)


def lines(path, name):
    return [[masked(line) for line in lines] for lines in family(path.read_text(), rf'execve\("\S*{name}"')]


def test_programs():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in SAME:
            subprocess.run(["musl-gcc", "-static", "-O1", "-w", "-pthread", "-o", folder / name, GUEST / f"{name}.c"], check=True)
        with t.Image(*(f"{folder / name}:/t/{name}" for name in SAME)) as image:
            for name in SAME:
                work = folder / f"{name}.w"
                work.mkdir()
                subprocess.run(["strace", "-f", "-o", folder / "host", folder / name], cwd=work, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, env={**os.environ, "TZ": "UTC"})
                t.run_exec(f"mount -t tmpfs s /mnt; mkdir /mnt/w; cd /mnt/w; exec /t/{name}", "--disk", f"{image.path},snapshot",
                           "-f", "-o", folder / "guest")
                host, guest = lines(folder / "host", name), lines(folder / "guest", name)
                t.expect_equal(len(guest), len(host), f"{name}: processes")
                for number, pair in enumerate(zip(guest, host)):
                    for i in range(max(map(len, pair))):
                        mine, theirs = (side[i] if i < len(side) else "(end)" for side in pair)
                        t.expect(mine == theirs, f"{name}, process {number}, line {i}:\n viv    {mine}\n strace {theirs}")


if __name__ == "__main__":
    t.main(globals())
