#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A guest in trouble survives or panics with a report; viv always ends in order."""
import vivtest as t


def survives(command, mention, *options, timeout=300):
    r = t.run_exec(f"{command}; echo alive", *options, timeout=timeout)
    t.expect_equal(r.returncode, 0, r.stderr.decode(errors="replace")[-800:])
    t.expect(r.stdout.endswith(b"alive\n"), r.stdout[-300:])
    text = r.stdout + r.stderr
    t.expect(mention in text, text[-800:])


def test_fork_bomb():
    # Its user's kill(-1) ends it, all at once: with several CPUs it outruns a killall that reads /proc process by process.
    survives("su user -s /bin/ash -c 'ulimit -u 60; f() { f | f & }; f' 2>/dev/null; sleep 0.1; "
             "su user -s /bin/ash -c 'kill -9 -1'; sleep 0.1; ps | grep -c '[0-9] user'; echo over", b"0\nover\n")


def test_allocation_of_everything():
    survives("tail /dev/zero; echo status $?", b"status 137", "--mem", "64M")


def test_kill_init():
    survives("kill -9 1; echo sent", b"sent")


def test_writing_to_every_file_of_proc():
    survives("find /proc -type f | grep -v -e sysrq -e /proc/1/ | while read f; do (echo 0 > $f) 2>/dev/null; done; echo over", b"over")


def test_reading_every_file_of_proc():
    survives("find /proc -type f | grep -v kmsg | while read f; do dd if=$f of=/dev/null bs=4k count=64 2>/dev/null; done; echo over", b"over")


def test_kernel_panic_is_reported():
    r = t.viv("run", "--append", "root=/dev/nothing", "--exec", "true")
    t.expect_equal(r.returncode, 125)
    t.expect_equal(r.stderr.count(b"\n"), 1, r.stderr.decode())


if __name__ == "__main__":
    t.main(globals())
