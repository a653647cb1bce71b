#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""viv run --exec: the command's output and status, and nothing else."""
import hashlib
import random

import vivtest as t


def test_echo_is_all_of_stdout():
    r = t.run_exec("echo hello")
    t.expect_equal(r.stdout, b"hello\n", "stdout")
    t.expect_equal(r.stderr, b"", "stderr")
    t.expect_equal(r.returncode, 0, "status")


def test_status_is_the_commands():
    t.expect_equal(t.run_exec("exit 7").returncode, 7)
    t.expect_equal(t.run_exec("kill -9 $$").returncode, 137)
    t.expect_equal(t.run_exec("no-such-command").returncode, 127)


def test_stderr_is_apart():
    r = t.run_exec("echo out; echo err >&2; printf 'raw\\r\\n\\n' >&2")
    t.expect_equal(r.stdout, b"out\n")
    t.expect_equal(r.stderr, b"err\nraw\r\n\n")


def test_stdin_reaches_the_command():
    t.expect_equal(t.run_exec("cat", stdin=b"hi\n").stdout, b"hi\n")
    t.expect_equal(t.run_exec("wc -c", stdin=b"").stdout.strip(), b"0")
    t.expect_equal(t.run_exec("head -1; cat >/dev/null", stdin=b"a\nb\nc\n").stdout, b"a\n")


def test_stdin_not_read_does_no_harm():
    t.expect_equal(t.run_exec("echo done", stdin=b"x" * 200000).stdout, b"done\n")


def test_a_mebibyte_of_random_bytes_passes_cat():
    data = random.Random(1).randbytes(1 << 20)
    r = t.run_exec("cat", stdin=data, timeout=300)
    t.expect_equal(hashlib.sha256(r.stdout).hexdigest(), hashlib.sha256(data).hexdigest(), "sha256")


def test_must_show_2():
    r = t.run_exec("uname -a; ls -l /; ps; cat /proc/meminfo | head -3; echo a b | wc -w")
    text = r.stdout.decode()
    t.expect_equal(r.returncode, 0, r.stderr.decode())
    lines = text.splitlines()
    t.expect(lines[0].startswith("Linux fern ") and lines[0].endswith("x86_64 GNU/Linux"), lines[0])
    t.expect(any(line.startswith("drwxr-xr-x") and line.endswith(" bin") for line in lines), text)
    t.expect(any(line.split()[:2] == ["1", "root"] and "init" in line for line in lines), text)
    t.expect(lines[-4].startswith("MemTotal:") and lines[-4].endswith(" kB"), lines[-4])
    t.expect_equal(lines[-1].strip(), "2")


def test_the_kernel_log_goes_to_its_file():
    with t.Image() as image:
        log = image.folder / "log"
        r = t.run_exec("true", "--log", log)
        t.expect_equal(r.returncode, 0, r.stderr.decode())
        t.expect(b"fern" in log.read_bytes(), "log")


def test_time_limit():
    r = t.run_exec("while :; do :; done", "--timeout", "5")
    t.expect_equal(r.returncode, 124)
    t.expect_equal(r.stderr.count(b"\n"), 1, r.stderr.decode())


if __name__ == "__main__":
    t.main(globals())
