#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: default all
"""One boot under valgrind without a complaint."""
import subprocess

import vivtest as t


def test_boot():
    r = subprocess.run(["valgrind", "-q", "--error-exitcode=99", str(t.VIV), "run", "--exec", "echo hi; ls /"],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
    t.expect_equal(r.returncode, 0, r.stderr.decode(errors="replace")[-1500:])
    t.expect_equal(r.stderr, b"", "valgrind's words")
    t.expect(r.stdout.startswith(b"hi\n"), r.stdout)


if __name__ == "__main__":
    t.main(globals())
