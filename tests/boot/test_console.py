#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An interactive session on a pseudo-terminal: what a person at the shell does."""
import re
import time

import vivtest as t


class Shell:
    def __enter__(self):
        self.terminal = t.Terminal()
        self.terminal.wait_for(t.PROMPT)
        return self.terminal

    def __exit__(self, *_):
        self.terminal.close()


def test_pipeline_and_redirection():
    with Shell() as s:
        t.expect(b"3" in s.command("printf 'a\\nb\\nc\\n' | wc -l"), "wc")
        s.command("seq 1 100 > /root/numbers; sort -rn < /root/numbers | head -2 > /root/top")
        t.expect_equal(s.command("cat /root/top").split()[:2], [b"100", b"99"])


def test_interrupt_stop_and_continue():
    with Shell() as s:
        s.type("sleep 100\n")
        time.sleep(1)
        s.type(b"\x03")
        s.wait_for(b"^C")
        s.wait_for(t.PROMPT)
        t.expect(b"130" in s.command("echo $?"), "status of an interrupted command")
        s.type("sleep 100\n")
        time.sleep(1)
        s.type(b"\x1a")
        s.wait_for(b"Stopped")
        s.wait_for(t.PROMPT)
        t.expect(b"sleep 100" in s.command("jobs"), "jobs")
        s.type("fg\n")
        s.wait_for(b"sleep 100")
        time.sleep(1)
        s.type(b"\x03")
        s.wait_for(t.PROMPT)
        t.expect(b"sleep" not in s.command("jobs"), "jobs after")


def test_line_editing_keys():
    with Shell() as s:
        s.type("cat\n")
        time.sleep(0.5)
        s.type("wrong\x15right\n")
        s.wait_for(b"right\r\nright\r\n")
        s.type("one two\x17three\n")
        s.wait_for(b"one three\r\n")
        s.type(b"\x04")
        s.wait_for(t.PROMPT)


def test_vi_edits_a_file():
    with Shell() as s:
        s.type("vi /root/note\n")
        s.wait_for(b"note")
        time.sleep(0.5)
        s.type("ihello from vi\nsecond line\x1b")
        time.sleep(0.5)
        s.type(":wq\n")
        s.wait_for(t.PROMPT)
        t.expect_equal(s.command("cat /root/note").split(b"\r\n")[:2], [b"hello from vi", b"second line"])


def test_top_refreshes():
    with Shell() as s:
        s.type("top -d 1\n")
        s.wait_for(b"Load average")
        s.wait_for(b"Load average", timeout=20)
        s.type("q")
        s.wait_for(t.PROMPT)


def test_window_size():
    with Shell() as s:
        t.expect(re.search(rb"24 80", s.command("stty size")), "stty size")


def test_escape_quits():
    with Shell() as s:
        s.type(b"\x01h")
        s.wait_for(b"C-a x")
        s.type(b"\x01x")
        t.expect_equal(s.wait(), 0, "status after Ctrl-A x")


def test_exit_powers_off():
    with Shell() as s:
        s.type("exit\n")
        t.expect_equal(s.wait(), 0)


def test_poweroff():
    with Shell() as s:
        s.type("poweroff\n")
        t.expect_equal(s.wait(), 0)


def test_reboot_boots_again():
    with Shell() as s:
        s.command("echo kept > /root/kept; sync")
        s.type("reboot\n")
        s.wait_for(t.PROMPT)
        t.expect(b"kept" in s.command("cat /root/kept"), "the disk keeps what was written before a reboot")


def test_tools_run_ends_at_a_prompt():
    s = t.Terminal(command=[str(t.TOP / "tools" / "run"), "--no-install"])
    try:
        s.wait_for(t.PROMPT, timeout=600)
        t.expect(b"works" in s.command("echo wor''ks"), "echo")
    finally:
        s.close()


if __name__ == "__main__":
    t.main(globals())
