#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Recordings: a replay is the run again, whatever came in, however it ended."""
import os
import random
import re
import shutil
import signal
import subprocess
import time

import recordings as r
import vivtest as t

COMMAND = "ls -lR /etc; for i in 1 2 3; do echo $i | cat > /root/f$i; done; sync; sleep 1; ps; date"


def test_recording_changes_nothing_and_replays_the_same():
    with r.Folder() as f:
        plain = t.run_exec(COMMAND, "--stats")
        recorded = t.run_exec(COMMAND, "--stats", "--record", f / "a", f"--strace={f / 'seen'}")
        again = r.expect_replays(f / "a", f"--strace={f / 'again'}")
        t.expect_equal((f / "again").read_bytes(), (f / "seen").read_bytes(), "system calls")
        t.expect((f / "seen").stat().st_size > 1000, "system calls were seen")
        t.expect_equal(recorded.stdout, plain.stdout)
        t.expect_equal(again.stdout, plain.stdout)
        for name in ("steps", "state_hash", "vtime_seconds"):
            t.expect_equal(t.stats(recorded)[name], t.stats(plain)[name], name)
            t.expect_equal(t.stats(again)[name], t.stats(plain)[name], name)
        t.expect_equal(sorted(os.listdir(f)), ["a", "again", "seen"], "nothing else is left")


def test_piped_input_status_and_errors():
    data = bytes(random.Random(3).randrange(256) for _ in range(20000))
    with r.Folder() as f:
        recorded = t.run_exec("cat; echo oops >&2; exit 7", "--record", f / "a", stdin=data)
        again = r.replay(f / "a")
        for result in (recorded, again):
            t.expect_equal(result.returncode, 7)
            t.expect_equal(result.stdout, data)
            t.expect_equal(result.stderr, b"oops\n")


def test_caches_make_no_difference():
    with r.Folder() as f:
        t.run_exec("ls -l /etc; sync", "--record", f / "a", "--tlb", "tiny")
        for geometry in ("full", "tiny", "off"):
            r.expect_replays(f / "a", "--tlb", geometry)


def test_other_ends():
    with r.Folder() as f:
        for name, command, options, status in (("until", "sleep 9", ["--until", 3000001], 0),
                                               ("power", "poweroff -f", [], 0), ("reset", "reboot -f", [], 0),
                                               ("panic", "echo c > /proc/sysrq-trigger", [], None),
                                               ("limit", "while :; do :; done", ["--timeout", 1], 124)):
            recorded = t.run_exec(command, "--record", f / name, "--stats", *options)
            again = r.expect_replays(f / name)
            if status is not None:
                t.expect_equal(recorded.returncode, status, name)
            for key in ("steps", "state_hash"):
                t.expect_equal(t.stats(again)[key], t.stats(recorded)[key], f"{name}: {key}")
            if name != "limit":  # a replay does not end in the host's time
                t.expect_equal(again.returncode, recorded.returncode, name)


def test_chaos_seed_and_date_are_recorded():
    with r.Folder() as f:
        options = ["--chaos", 5, "--seed", 77, "--rtc", "2031-02-03"]
        recorded = t.run_exec("date; head -c 8 /dev/urandom | od -x", *options, "--record", f / "a", "--stats")
        again = r.expect_replays(f / "a")
        t.expect(b"2031" in recorded.stdout, "the date")
        t.expect_equal(again.stdout, recorded.stdout)
        t.expect_equal(t.stats(again)["state_hash"], t.stats(recorded)["state_hash"])


def test_typed_session_with_a_reboot():
    with r.Folder() as f:
        terminal = t.Terminal("--record", f / "a", "--stats")
        try:
            terminal.wait_for(t.PROMPT)
            terminal.type("sleep 100\n")
            time.sleep(1.2)
            terminal.type(b"\x03")
            terminal.wait_for(t.PROMPT)
            terminal.type("cat\n")
            time.sleep(0.3)
            terminal.type("wrong\x15right\n")
            terminal.wait_for(b"right\r\nright\r\n")
            terminal.type(b"\x04")
            terminal.wait_for(t.PROMPT)
            terminal.command("echo kept > /root/kept; sync")
            terminal.type("reboot\n")
            terminal.wait_for(b"restarting")
            terminal.wait_for(t.PROMPT)
            t.expect(b"kept" in terminal.command("cat /root/kept"), "kept over the reboot")
            time.sleep(0.7)
            terminal.type(b"\x01x")
            t.expect_equal(terminal.wait(), 0)
            ended = terminal.output
        finally:
            terminal.close()
        again = r.expect_replays(f / "a")
        wanted = dict(line.split(b": ", 1) for line in ended.replace(b"\r", b"").splitlines() if b": " in line)
        t.expect_equal(t.stats(again)["state_hash"].encode(), wanted[b"state_hash"])
        t.expect(b"kept\r\n" in again.stdout and b"right\r\nright\r\n" in again.stdout, "what was shown")


def test_typed_session_from_every_checkpoint():
    with r.Folder() as f:
        shown = r.typed_session(f / "a", 120 if t.LEVEL == "all" else 4, more=[f"--checkpoints={1 << 26}"])
        again = r.expect_replays(f / "a")
        t.expect(again.stdout.replace(b"\r", b"") in shown.replace(b"\r", b""), "the replay shows something else")
        checked = r.replay(f / "a", "--verify")
        t.expect_equal(checked.returncode, 0, checked.stderr.decode())
        checked = r.replay(f / "a", "--verify", "--tlb", "tiny", timeout=1200)
        t.expect_equal(checked.returncode, 0, checked.stderr.decode())


def test_kill_at_random_moments():
    rounds = {"gate": 1, "default": 5, "all": 100}[t.LEVEL]
    source = random.Random(time.time_ns())
    for number in range(rounds):
        seconds = source.uniform(0.05, 2.0 if rounds < 10 else 4.0)
        with r.Folder() as f:
            shown = r.kill_while_recording(f / "a", seconds)
            t.expect_equal(os.listdir(f), ["a.incomplete"], "what a kill leaves")
            again = r.expect_replays(f / "a.incomplete")
            what = f"round {number}, killed after {seconds:.3f} s"
            t.expect_equal(again.returncode, 0, what)
            t.expect(b"was cut off" in again.stderr, f"{what}: {again.stderr}")
            boot = shown.find(b"[    0.0")
            seen, played = shown[boot:], again.stdout
            length = min(len(seen), len(played))
            t.expect(length > 500 and seen[:length] == played[:length], f"{what}: the replay shows something else")
            # 2^26 steps and one second: what a kill may lose.
            lost = r.last_uptime(seen) - r.last_uptime(played)
            t.expect(lost <= 1.07, f"{what}: {lost:.2f} s of the guest's time are lost")


def test_kill_while_idle():
    """A sleeping guest makes no steps, but its time goes on, and that is noted too."""
    with r.Folder() as f:
        terminal = t.Terminal("--record", f / "a")
        try:
            terminal.wait_for(t.PROMPT)
            before = float(re.search(rb"(\d+\.\d\d) \d", terminal.command("cat /proc/uptime"))[1])
            started = time.monotonic()
            while time.monotonic() < started + 2.5:
                terminal.read_for(0.1)
            slept = time.monotonic() - started
            os.kill(terminal.pid, signal.SIGKILL)
        finally:
            terminal.close()
        again = r.expect_replays(f / "a.incomplete")
        reached = float(re.search(r"\(vtime ([0-9.]+) s\)", r.error_line(again))[1])
        t.expect(before + slept - 1 <= reached <= before + slept + 0.5, f"slept {slept:.2f} s from {before}, replayed to {reached}")


def test_write_disk():
    with t.Image() as image, r.Folder() as f:
        before = image.path.read_bytes()
        recorded = t.run_exec("echo from the guest > /root/note; sync; poweroff -f", "--disk", image.path, "--kernel",
                              t.FERN, "--record", f / "a")
        t.expect(b"does not write" in recorded.stderr, f"a line that says so: {recorded.stderr}")
        t.expect(image.path.read_bytes() == before, "a recorded run does not write its image")
        r.expect_replays(f / "a", "--write-disk", f / "out.img")
        t.expect(image.path.read_bytes() == before, "nor does a replay")
        t.e2fsck_clean(f / "out.img")
        text = subprocess.run(["debugfs", "-R", "cat /root/note", f / "out.img"], capture_output=True).stdout
        t.expect_equal(text, b"from the guest\n")
        result = r.replay(f / "a", "--write-disk", f / "out.img")
        t.expect_equal(result.returncode, 65, "an existing file is not replaced")


def test_self_contained():
    with t.Image() as image, r.Folder() as f:
        kernel = f / "kernel"
        shutil.copyfile(t.FERN, kernel)
        recorded = t.run_exec("cat /etc/hostname", "--kernel", kernel, "--disk", f"{image.path},snapshot", "--record",
                              f / "a", "--self-contained", "--stats")
        kernel.unlink()
        os.unlink(image.path)
        again = r.expect_replays(f / "a")
        t.expect_equal(again.stdout, recorded.stdout)
        t.expect_equal(t.stats(again)["state_hash"], t.stats(recorded)["state_hash"])
        t.expect(os.path.getsize(f / "a") < 8 << 20, f"{os.path.getsize(f / 'a')} bytes are too many to mail")


def test_going_on_live():
    with r.Folder() as f:
        t.run_exec("i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; cat; echo end", "--record", f / "a", stdin=b"first\n")
        steps = int(t.stats(r.expect_replays(f / "a"))["steps"])
        # Before the command asks for its input: another input makes another future.
        live = t.viv("run", "--from", f"{f / 'a'}@{3500000}", "--stats", "--record", f / "b", stdin=b"second\n")
        t.expect_equal((live.returncode, live.stdout), (0, b"second\nend\n"), live.stderr.decode())
        again = r.expect_replays(f / "b")
        t.expect_equal(t.stats(again)["state_hash"], t.stats(live)["state_hash"])
        late = t.viv("run", "--from", f"{f / 'a'}@{steps + 1}")
        t.expect_equal(late.returncode, 65)
        t.expect("ends at step" in r.error_line(late), "beyond the end")


def test_entering_at_checkpoints():
    loop = "i=0; while [ $i -lt 6000 ]; do i=$((i+1)); done; "
    with r.Folder() as f:
        recorded = t.run_exec(loop + "dd if=/dev/zero of=/root/z bs=64k count=20; sync; " + loop, "--record", f / "a",
                              f"--checkpoints={1 << 26}", "--stats")
        wanted = t.stats(recorded)
        plain = os.path.getsize(f / "a")
        checked = r.replay(f / "a", "--verify")
        t.expect_equal(checked.returncode, 0, checked.stderr.decode())
        step = (int(wanted["steps"]) >> 26 << 26) - 1234
        there = t.viv("run", "--from", f"{f / 'a'}@{step}", "--until", step + 999, "--stats")
        also = r.expect_replays(f / "a", "--until", step + 999)
        t.expect_equal(t.stats(there)["state_hash"], t.stats(also)["state_hash"])
        # Derived: they can be made again, with another distance.
        r.expect_replays(f / "a", f"--checkpoints={1 << 27}")
        t.expect(os.path.getsize(f / "a") < plain, "fewer checkpoints")
        checked = r.replay(f / "a", "--verify")
        t.expect_equal(checked.returncode, 0, checked.stderr.decode())


def test_a_trace_without_input_is_small():
    with r.Folder() as f:
        recorded = t.run_exec("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done", "--record", f / "a", "--stats")
        steps, size = int(t.stats(recorded)["steps"]), os.path.getsize(f / "a")
        t.expect(steps > 3 << 26, "long enough to hash memory")
        t.expect(size < 16384, f"{size} bytes for {steps} steps")


if __name__ == "__main__":
    t.main(globals())
