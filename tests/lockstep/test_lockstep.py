#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""viv run --cpu-engine lockstep: engines that agree end as the guest does; one that is wrong at one step (viv-broken, see
broken.c) is found at that step."""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t

BROKEN = t.BUILD / "tests" / "lockstep" / "viv-broken"
STEP = 2000003


def lockstep(how, *arguments, engine="lockstep", command="echo hi", stdin=b""):
    machine = ["--kernel", str(t.FERN), "--disk", f"{t.BUILD / 'rootfs.img'},snapshot", "--exec", command]
    return subprocess.run([str(BROKEN), "run", "--cpu-engine", engine, *machine, *arguments], input=stdin,
                          capture_output=True, timeout=200, env=dict(os.environ, VIV_BROKEN=how))


def found(r, step, *mention):
    text = r.stderr.decode()
    t.expect_equal(r.returncode, 123, text)
    first = re.search(r"^first difference at step (\d+):$", text, re.M)
    t.expect(first and int(first.group(1)) == step, text)
    for word in mention:
        t.expect(word in text[first.start():], f"{word!r} not in {text}")


def test_equal_engines_end_as_the_guest_does():
    r = lockstep("none@1", command="echo out; echo err >&2; exit 7")
    t.expect_equal((r.returncode, r.stdout), (7, b"out\n"), r.stderr.decode())
    t.expect(r.stderr.startswith(b"err\n") and b"the engines agree" in r.stderr, r.stderr.decode())


def test_input_reaches_both():
    data = bytes(range(256)) * 100
    r = lockstep("none@1", "--smp", "2", command="cat", stdin=data)
    t.expect_equal(r.returncode, 0, r.stderr.decode())
    t.expect(r.stdout == data, "the input did not come back")


def test_a_byte_of_memory():
    found(lockstep(f"memory@{STEP}"), STEP, "memory: page 0x5000, 1 bytes, the first at 0x5123", "guest code", "=> 0x", f"\n  {STEP - 1}  cpu0 ")
    found(lockstep(f"memory@{STEP}", "--smp", "2"), STEP, "memory: page 0x5000, 1 bytes")


def test_differences_that_heal_soon():
    near = f"lockstep:3@{STEP - 100}"
    found(lockstep(f"register@{STEP}", engine=near), STEP, "gpr[15]")
    found(lockstep(f"flag@{STEP}", engine=near), STEP, "rflags")


def test_what_does_not_show_again():
    r = lockstep(f"once@{STEP}", engine="lockstep:4")
    text = r.stderr.decode()
    t.expect_equal(r.returncode, 123, text)
    t.expect("the engines differ at step" in text and "does not show" in text and "lockstep:4@" in text, text)


def test_the_step_of_a_random_program():
    """Of the random programs the bench finds the step as well: 100 + the seed modulo 1000 here."""
    for seed in (77, 4711):
        r = subprocess.run([str(t.BUILD / "tests" / "lockstep" / "test_programs"), "--inject", "--engines", "interp,interp",
                            "--count", "1", "--seed", str(seed)], capture_output=True, timeout=100)
        text = r.stdout.decode()
        t.expect_equal(r.returncode, 1, text)
        t.expect(f"not ok - seed {seed} differs first at step {100 + seed % 1000} " in text, text)
        t.expect("kernel_gs_base" in text, text)


def test_what_does_not_go_with_it():
    for arguments in (["--record", "x.viv"], ["--gdb", "1234"]):
        r = lockstep("none@1", *arguments)
        t.expect_equal(r.returncode, 64, r.stderr.decode())
    t.expect_equal(lockstep("none@1", engine="lockstep:").returncode, 64)


def test_ring_0():
    """The kernels of tests/ring0: modes, faults, gates, tasks, devices; translated from the first execution on."""
    kernels = sorted((t.BUILD / "tests" / "ring0").glob("*.elf"))
    kernels = [k for k in kernels if k.name != "boot_sector.elf"]
    t.expect(len(kernels) >= 12, f"{kernels}")
    for kernel in kernels:
        more = ["--smp", "4", "--mem", "16M"] if kernel.stem == "smp" else []
        r = subprocess.run([str(t.VIV), "run", "--cpu-engine", "lockstep", "--kernel", str(kernel), "--serial", "null", *more],
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=100, env=dict(os.environ, VIV_TEST_HOT="1"))
        t.expect(b"viv: the engines agree" in r.stderr, f"{kernel.name}: {r.stderr.decode()}")


if __name__ == "__main__":
    t.main(globals())
