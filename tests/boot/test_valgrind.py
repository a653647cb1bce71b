#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: default all
"""One boot under valgrind without a complaint."""
import subprocess

import vivtest as t


def test_boot():
    r = subprocess.run(["valgrind", "-q", "--error-exitcode=99", str(t.VIV), "run", "--cpu", "v3,-sha", "--exec", "echo hi; ls /"],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
    t.expect_equal(r.returncode, 0, r.stderr.decode(errors="replace")[-1500:])
    t.expect_equal(r.stderr, b"", "valgrind's words")
    t.expect(r.stdout.startswith(b"hi\n"), r.stdout)


def test_a_host_that_lacks_something():
    """Valgrind's processor has no SHA instructions: the model that needs them is refused in one line."""
    r = subprocess.run(["valgrind", "-q", str(t.VIV), "run", "--cpu", "v2,+sha", "--exec", "true"],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
    t.expect_equal(r.returncode, 64, r.stderr.decode(errors="replace")[-1500:])
    t.expect(r.stderr.startswith(b"viv: ") and r.stderr.count(b"\n") == 1 and b"sha, which this host" in r.stderr, r.stderr)


if __name__ == "__main__":
    t.main(globals())
