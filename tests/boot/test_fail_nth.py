#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The n-th allocation of each operation fails, n = 1, 2, ...: ENOMEM or success, and nothing is lost."""
import pathlib
import subprocess
import tempfile

import vivtest as t


def run(folder):
    with tempfile.TemporaryDirectory() as scratch:
        program, image = pathlib.Path(scratch) / "fail_nth", pathlib.Path(scratch) / "root.img"
        subprocess.run(["musl-gcc", "-static", "-O1", "-pthread", "-o", program, t.TOP / "tests/boot/fail_nth.c"], check=True)
        subprocess.run([t.TOP / "tools/mkrootfs", image, "--add", f"{program}:/bin/fail_nth"], check=True,
                       stdout=subprocess.DEVNULL)
        r = t.run_exec(f"fail_nth {folder}", "--disk", f"{image},snapshot", timeout=600)
    t.expect_equal(r.returncode, 0, (r.stdout + r.stderr).decode(errors="replace")[-1500:])


def test_on_ext2():
    run("/root")


def test_on_tmpfs():
    run("/tmp")


if __name__ == "__main__":
    t.main(globals())
