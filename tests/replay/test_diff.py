#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""viv diff: where two recorded runs part."""
import re
import signal
import subprocess
import time

import recordings as r
import vivtest as t

LOOP = "i=0; while [ $i -lt %d ]; do i=$((i+1)); done; "


def diff(a, b, status):
    result = t.viv("diff", a, b, timeout=300)
    text = result.stdout.decode()
    t.expect_equal(result.returncode, status, f"{text}{result.stderr.decode()}")
    return text


def record(path, command, *options, stdin=b""):
    t.run_exec(command, "--record", path, *options, stdin=stdin)
    return path


def test_the_same():
    with r.Folder() as f:
        text = diff(record(f / "a", "ls -l /etc"), record(f / "b", "ls -l /etc"), 0)
        steps = t.stats(r.expect_replays(f / "a"))["steps"]
        t.expect_equal(text, f"no difference in {steps} steps\n")


def test_one_keystroke():
    """The step at which it arrived, found by hashes and bisection, agrees with the logs."""
    with r.Folder() as f:
        command = LOOP % 500 + "cat; " + LOOP % 1000
        a = record(f / "a", command, stdin=b"one line\nand a letter\n")
        b = record(f / "b", command, stdin=b"one line\nand a better\n")
        text = diff(a, b, 1)
        found = re.search(r"^first difference at step (\d+)\ninput \d+ differs: 'l' on line 0 at step (\d+) / "
                          r"'b' on line 0 at step \2$", text, re.M)
        t.expect(found, text)
        t.expect_equal(int(found[1]), int(found[2]) + 1, "the state after the byte came is the first that differs")
        t.expect(re.search(r"serial@3f8: fifo\[\d+\] 0x6c / 0x62", text), text)
        for path in (a, b):  # up to there they are the same
            step = int(found[2])
            r.expect_replays(path, "--until", step)
        hashes = [t.stats(r.expect_replays(path, "--until", int(found[2])))["state_hash"] for path in (a, b)]
        t.expect_equal(hashes[0], hashes[1], "state before")
        hashes = [t.stats(r.expect_replays(path, "--until", int(found[1])))["state_hash"] for path in (a, b)]
        t.expect(hashes[0] != hashes[1], "state after")


def test_a_shorter_run():
    with r.Folder() as f:
        a = record(f / "a", "sleep 1; echo", "--until", "3700000")
        b = record(f / "b", "sleep 1; echo")
        t.expect("no difference up to step 3700000" in diff(a, b, 1), "where the shorter one ends")


def test_other_machines():
    with r.Folder() as f:
        a = record(f / "a", "true")
        t.expect("date at start" in diff(a, record(f / "b", "true", "--rtc", "2030-01-01"), 1), "--rtc")
        t.expect("amounts of memory" in diff(a, record(f / "c", "true", "--mem", "64M"), 1), "--mem")


def test_a_branch():
    """A register changed at step T, diffed against its origin, shows T."""
    with r.Folder() as f:
        a = record(f / "a", LOOP % 1000)
        script = f / "script"
        script.write_text(f"seek 4000000\nset $r15 = 0x123456789\ncontinue\n")
        done = subprocess.run([str(t.VIV), "debug", "--replay", a, "--script", script, "--record", f / "b"], capture_output=True, timeout=300)
        t.expect_equal(done.returncode, 0, (done.stdout + done.stderr).decode())
        # What the shell makes of such a register, and so its status, is its own matter: the branch's replay ends alike.
        ended = re.search(r"^the guest ended with status (\d+) at step", done.stdout.decode(), re.M)
        t.expect(ended, done.stdout.decode())
        t.expect_equal(r.expect_replays(f / "b").returncode, int(ended.group(1)), "what the debugger saved replays")
        text = diff(a, f / "b", 1)
        t.expect("first difference at step 4000000\n" in text, text)
        t.expect("WRITE_REGS" in text and re.search(r"cpu0: gpr\[15\] 0x[0-9a-f]+ / 0x123456789\n", text), text)


def test_interrupted():
    """Ctrl-C while it seeks."""
    with r.Folder() as f:
        a = record(f / "a", LOOP % 100000)  # 1.3 * 10^9 steps: seconds of work for each, on a fast host too
        for arguments in (["diff", a, a], ["run", "--from", f"{a}@1300000000"], ["replay", a, "--verify"]):
            process = subprocess.Popen([str(t.VIV), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            _, stderr = process.communicate(timeout=60)
            t.expect_equal(process.returncode, 130, f"{arguments}: {stderr}")
            t.expect(stderr.startswith(b"viv: ") and stderr.count(b"\n") == 1, f"one line: {stderr}")
            t.expect(time.monotonic() - started < 1.5, f"{arguments}: at once")


if __name__ == "__main__":
    t.main(globals())
