#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Disks keep what was written: across reboots, quits, signals and kills."""
import os
import hashlib
import re
import shutil
import signal
import subprocess
import time

import vivtest as t


def test_a_file_survives_a_reboot():
    with t.Image() as image:
        r = t.run_exec("echo kept > /root/file; mkdir -p /a/b/c; cp /bin/busybox /a/b/c/", "--disk", image.path)
        t.expect_equal(r.returncode, 0, r.stderr.decode())
        t.e2fsck_clean(image.path)
        r = t.run_exec("cat /root/file; cmp /bin/busybox /a/b/c/busybox && echo same", "--disk", image.path)
        t.expect_equal(r.stdout, b"kept\nsame\n")
        t.e2fsck_clean(image.path)


def test_the_bundled_image_is_a_snapshot():
    before = hashlib.sha256(t.ROOTFS.read_bytes()).digest()
    t.run_exec("echo x > /root/x; sync")
    t.expect(before == hashlib.sha256(t.ROOTFS.read_bytes()).digest(), "build/rootfs.img was changed")


def test_snapshot_and_ro():
    with t.Image() as image:
        before = image.path.read_bytes()
        t.expect_equal(t.run_exec("echo x > /root/x; cat /root/x", "--disk", f"{image.path},snapshot").stdout, b"x\n")
        t.run_exec("echo x > /root/x", "--disk", f"{image.path},ro")
        t.expect(before == image.path.read_bytes(), "the image was changed")


def test_a_full_disk():
    with t.Image() as image:
        r = t.run_exec("dd if=/dev/zero of=/root/big bs=64k; echo status $?; sync; rm /root/big; echo ok > /root/f; cat /root/f",
                       "--disk", image.path, timeout=300)
        t.expect(b"status 1" in r.stdout and r.stdout.endswith(b"ok\n"), r.stdout)
        t.expect(b"No space left" in r.stderr, r.stderr)
        t.e2fsck_clean(image.path)


def start_writer(image):
    process = subprocess.Popen(t.command_line("run", "--disk", image.path, "--exec",
                                              "i=0; while :; do i=$((i+1)); echo $i > /root/f$i; sync; echo $i; done"),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    last = 0
    deadline = time.monotonic() + 60
    while last < 25 and time.monotonic() < deadline:
        last = int(process.stdout.readline() or b"0")
    return process, last


def test_sigterm_leaves_it_mountable():
    with t.Image() as image:
        process, _ = start_writer(image)
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)
        t.expect(process.returncode in (0, 143), (process.returncode, rest))
        r = t.run_exec("cat /root/f20", "--disk", image.path)
        t.expect_equal(r.stdout, b"20\n", r.stderr.decode())


def test_sigkill_keeps_what_was_synced():
    for delay in (0, 0.03, 0.11):
        with t.Image() as image:
            process, last = start_writer(image)
            time.sleep(delay)
            process.kill()
            out, _ = process.communicate()
            seen = [int(x) for x in out.split() if x.isdigit()] or [last]
            fix = subprocess.run(["e2fsck", "-fy", str(image.path)], capture_output=True, text=True)
            t.expect(fix.returncode in (0, 1, 2), fix.stdout)
            for i in range(1, seen[-1]):
                text = subprocess.run(["debugfs", "-R", f"cat /root/f{i}", str(image.path)], capture_output=True).stdout
                t.expect_equal(text, f"{i}\n".encode(), f"file {i} of {seen[-1]}")


def test_ctrl_a_x_leaves_it_mountable():
    with t.Image() as image:
        s = t.Terminal("--disk", image.path)
        s.wait_for(t.PROMPT)
        s.command("echo data > /root/f; sync")
        s.type(b"\x01x")
        t.expect_equal(s.wait(), 0)
        s.close()
        t.expect_equal(t.run_exec("cat /root/f", "--disk", image.path).stdout, b"data\n")


if __name__ == "__main__":
    t.main(globals())
