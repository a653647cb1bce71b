#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Two runs of the same command end at the same step with the same state hash, whatever surrounds or watches them."""
import os
import pathlib
import subprocess
import tempfile

import vivtest as t

COMMAND = "ls -lR /etc; for i in 1 2 3; do echo $i | cat > /root/f$i; done; sync; sleep 1; ps; date"


def fingerprint(*options, **more):
    r = t.run_exec(COMMAND, "--stats", *options, **more)
    t.expect_equal(r.returncode, 0, r.stderr.decode(errors="replace"))
    s = t.stats(r)
    return s["steps"], s["state_hash"], s["vtime_seconds"], r.stdout


def test_again():
    t.expect_equal(fingerprint(), fingerprint())


def test_under_load():
    burners = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(4)]
    try:
        loaded = fingerprint(timeout=400)
    finally:
        for b in burners:
            b.kill()
            b.wait()
    t.expect_equal(fingerprint(), loaded)


def test_elsewhere():
    with tempfile.TemporaryDirectory() as folder:
        env = {"PATH": "/bin", "MALLOC_PERTURB_": "165", "TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "X" * 500: "y" * 5000}
        t.expect_equal(fingerprint(env=env, cwd=folder), fingerprint())


def test_watched():
    plain = fingerprint()
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        watched = fingerprint("--trace", f"transitions,faults,syscalls={out / 'trace'}", f"--strace={out / 'strace'}")
        t.expect((out / "trace").stat().st_size > 10000 and (out / "strace").stat().st_size > 1000, "nothing was traced")
    t.expect_equal(watched, plain)


def test_tlb_is_transparent():
    plain = fingerprint()
    t.expect_equal(fingerprint("--tlb", "tiny", timeout=400), plain)
    t.expect_equal(fingerprint("--tlb", "off", timeout=400), plain)


def test_until_stops_exactly_there():
    for step in (1, 1000, 1234567, 20000003):
        r = t.viv("run", "--stats", "--until", str(step), "--exec", "while :; do :; done")
        t.expect_equal(t.stats(r)["steps"], str(step), r.stderr.decode())


def test_chaos_is_reproducible():
    first = fingerprint("--chaos", "5")
    t.expect_equal(fingerprint("--chaos", "5"), first)
    t.expect(fingerprint()[1] != first[1], "chaos changes nothing")


if __name__ == "__main__":
    t.main(globals())
