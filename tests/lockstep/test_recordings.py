#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A recording made by one engine replays on the other, every hash of it; viv diff of two made by both finds nothing."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t

COMMAND = "cat; ls -lR /etc | md5sum; dd if=/dev/zero of=/root/z bs=64k count=8 2>/dev/null; sync; (sleep 0.1; echo late) & wait"
ENGINES = ("interp", "jit")


def record(folder, engine, *options):
    path = folder / f"{engine}.viv"
    r = t.viv("run", "--cpu-engine", engine, "--record", path, "--exec", COMMAND, *options, stdin=bytes(range(256)) * 40)
    t.expect_equal(r.returncode, 0, r.stderr.decode())
    return path, r.stdout


def check(*options):
    with t.Folder() as folder:
        made = {engine: record(folder, engine, *options) for engine in ENGINES}
        t.expect(made["interp"][1] == made["jit"][1], "the outputs differ")
        for by in ENGINES:
            for on in ENGINES:
                r = t.viv("replay", made[by][0], "--verify", "--cpu-engine", on)
                t.expect(r.returncode == 0 and b"hashes are right" in r.stderr, f"{by} on {on}: {r.stderr.decode()}")
        r = t.viv("diff", made["interp"][0], made["jit"][0])
        t.expect(r.returncode == 0 and b"no difference" in r.stdout, r.stdout.decode() + r.stderr.decode())


def skip():
    return t.viv("run", "--cpu-engine", "jit", "--exec", "true").returncode == 64  # no translator for this host


def test_one_cpu():
    if not skip():
        check()


def test_two_cpus():
    if not skip():
        check("--smp", "2")


def test_chaos():
    if not skip():
        check("--chaos", "3", "--smp", "3", "--tlb", "tiny")


if __name__ == "__main__":
    t.main(globals())
