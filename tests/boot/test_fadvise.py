#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""posix_fadvise on ext2: pages are read before they are asked for, and clean ones go."""
import pathlib
import subprocess
import tempfile

import vivtest as t

WANTED = """written: 64 pages
drop part: 0, 63 pages
drop all: 0, 0 pages
want part: 0, 16 pages
want all: 0, 64 pages
drop again: 0, 0 pages
random: 0, 0 pages
one byte read at random: 1 pages
drop: 0, 0 pages
normal: 0, 0 pages
one byte read: read ahead
"""


def test_pages_come_and_go():
    with tempfile.TemporaryDirectory() as scratch:
        program = pathlib.Path(scratch) / "fadvise"
        subprocess.run(["musl-gcc", "-static", "-O1", "-o", program, t.TOP / "tests/boot/fadvise.c"], check=True)
        with t.Image(f"{program}:/bin/fadvise") as image:
            r = t.run_exec("fadvise /root/f", "--disk", f"{image.path},snapshot")
    text = r.stdout.decode()
    t.expect_equal(text[:len(WANTED)], WANTED, r.stderr.decode(errors="replace")[-500:])
    t.expect(text.endswith("it says x\n"), text)


if __name__ == "__main__":
    t.main(globals())
