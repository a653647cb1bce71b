# SPDX-License-Identifier: MIT
"""What the tests of recordings share: sessions typed at a recorded machine, replays, kills."""
import os
import pathlib
import random
import re
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t  # noqa: E402


Folder = t.Folder


def error_line(result):
    lines = [line for line in result.stderr.decode(errors="replace").splitlines() if line.startswith("viv: ")]
    t.expect_equal(len(lines), 1, f"lines of viv's own in {result.stderr!r}")
    return lines[0]


def replay(path, *options, timeout=300):
    return t.viv("replay", path, *options, timeout=timeout)


def expect_replays(path, *options):
    """The replay agrees with every hash of the recording; returns the finished process."""
    result = replay(path, "--stats", *options)
    stderr = result.stderr.decode(errors="replace")
    t.expect("differs" not in stderr and result.returncode != 65, f"{path}: {stderr}")
    return result


def typed_session(recording, seconds, seed=1, more=()):
    """Types commands at a recorded machine for so long, then quits; returns what the terminal showed."""
    random_source = random.Random(seed)
    lines = ["ls -l /etc | wc -l", "for i in 1 2 3; do echo $i > /root/f$i; done; cat /root/f?", "ps",
             "dd if=/dev/zero of=/root/z bs=64k count=8 2>/dev/null; sync; rm /root/z", "cat /proc/uptime; sleep 0.3",
             "find / -name '*a*' 2>/dev/null | wc -l", "seq 1 2000 | sort -rn | tail -1", "sleep 5 & kill %1"]
    terminal = t.Terminal("--record", recording, *more)
    try:
        shown = terminal.wait_for(t.PROMPT)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for key in random_source.choice(lines):
                terminal.type(key)
                time.sleep(random_source.uniform(0, 0.03))
            terminal.type("\n")
            shown += terminal.wait_for(b"\n") + terminal.wait_for(t.PROMPT)
            time.sleep(random_source.uniform(0, 0.3))
        terminal.type(b"\x01x")
        t.expect_equal(terminal.wait(), 0, "status after Ctrl-A x")
        return shown + terminal.output
    finally:
        terminal.close()


def kill_while_recording(recording, seconds):
    """SIGKILL in the middle of a busy recorded session; returns what the terminal had shown."""
    terminal = t.Terminal("--record", recording)
    try:
        shown = terminal.wait_for(t.PROMPT)
        terminal.type("while :; do cat /proc/uptime; done\n")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            terminal.read_for(min(0.05, max(0.001, deadline - time.monotonic())))
        os.kill(terminal.pid, signal.SIGKILL)
        while terminal.read_for(0.2):
            pass
        return shown + terminal.output
    finally:
        terminal.close()


def last_uptime(shown):
    found = re.findall(rb"^(\d+\.\d\d) \d+\.\d\d\r$", shown, re.M)
    return float(found[-1]) if found else 0.0
