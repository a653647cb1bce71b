#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The terminal debugger in a real terminal emulator (tmux): the live timeline, one system call from user space into the
kernel and back, a copy-on-write fault before and after, system calls and context switches backwards, small terminals.

usage: test_tui.py [--captures FOLDER]     also keeps what the terminal showed, as text (for docs/DEBUGGER.md)
"""
import os
import pathlib
import re
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


class Session:
    """viv debug in a window; every wait ends as soon as the pattern is on the screen."""

    count = 0

    def __init__(self, options, width, height):
        Session.count += 1
        self.socket = f"viv-tui-{os.getpid()}-{Session.count}"
        environment = "env LC_ALL=C.UTF-8 TERM=screen-256color"
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height),
             f"{environment} {TOP}/build/viv debug {options}; echo viv ended $?; sleep 60")

    def tmux(self, *words):
        command = ["tmux", "-L", self.socket, "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True).stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def command(self, line):
        self.tmux("send-keys", ":")
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def wait(self, pattern, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if re.search(pattern, self.screen(), flags=re.M):
                return True
            time.sleep(0.05)
        return False

    def status(self):
        """Step, ring and task of the first line."""
        match = re.match(r" step ([\d,]+) +ring (\d) \w+ +(no task|\d+ \S+)", self.screen())
        return (int(match[1].replace(",", "")), int(match[2]), match[3]) if match else (0, -1, "")

    def press(self, key, reason):
        """A movement, and the reason for its end that the bar must show."""
        before = self.status()[0]
        self.keys(key)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if re.search(reason, self.screen()) and self.status()[0] != before:
                return True
            time.sleep(0.05)
        return False


class Report:
    def __init__(self, folder):
        self.folder, self.bad = folder, 0

    def check(self, fine, name, session):
        self.bad += not fine
        print(f"{'ok' if fine else 'not ok'} - viv debug: {name}", flush=True)
        if not fine:
            print("\n".join("# " + line for line in session.screen().splitlines()))

    def capture(self, session, name):
        if self.folder:
            (pathlib.Path(self.folder) / f"{name}.txt").write_text(session.screen().rstrip() + "\n")


def one_system_call(s, report):
    s.command("catch syscall openat entry")
    s.wait(r"catch")
    fine = s.press("C", r"syscall.*openat|openat")
    fine = fine and s.press("S", r"step") and s.status()[1] == 3
    report.check(fine, "back to the syscall instruction of an openat, in ring 3", s)
    report.capture(s, "openat-user")
    user_step = s.status()[0]
    fine = s.press("s", r"step") and s.status()[1] == 0 and s.wait(r"syscall_entry")
    report.check(fine, "one step on: the kernel's entry, in ring 0", s)
    s.command("tbreak sys_openat")
    s.wait(r"sys_openat")
    s.keys("c")
    fine = s.wait(r"breakpoint \d+ at sys_openat")
    report.check(fine, "on to sys_openat", s)
    report.capture(s, "openat-kernel")
    fine = s.press("u", r"user") and s.status()[1] == 3 and s.status()[0] > user_step
    report.check(fine, "and back in user mode", s)
    report.capture(s, "openat-back")
    s.command("delete")


def copy_on_write(s, report):
    s.keys("5")
    for _ in range(60):
        if not s.press("(", r"page fault"):
            break
        step = s.status()[0]
        rows = re.findall(r"^ *(\d+)  3    fault write .*\(copy-on-w", s.screen(), flags=re.M)
        if rows and int(rows[-1]) in (step, step - 1):
            break
    fine = s.wait(r"\(copy-on-wri", 1) and s.wait(r"#PF, error code 0x7", 2)
    before = re.findall(r"PTE .*= 0x([0-9a-f]+) +P U", s.screen())
    report.check(fine and bool(before), "a copy-on-write fault: its page is mapped, not writable", s)
    report.capture(s, "cow-before")
    fine = s.press("u", r"user") and s.wait(r"PTE .*P W U")
    after = re.findall(r"PTE .*= 0x([0-9a-f]+) +P W U", s.screen())
    report.check(fine and before and after and before[0][-12:-3] != after[0][-12:-3],
                 "after it: another frame, writable", s)
    report.capture(s, "cow-after")


def through_time(s, report):
    s.keys("6")
    steps = []
    for _ in range(3):
        s.press("{", r"back: system call")
        steps.append(s.status()[0])
    fine = steps == sorted(steps, reverse=True) and len(set(steps)) == 3
    report.capture(s, "syscalls-back")
    s.press("}", r"system call")
    fine = fine and s.status()[0] == steps[1]
    report.check(fine, "{ and } walk through system calls, and meet again", s)
    s.keys("1")
    for _ in range(20):
        task, there = s.status()[2], s.press("<", r"context switch")
        if not there or s.status()[2] != task:
            break
    s.press("S", r"step")
    report.check(there and s.status()[2] != "", "back over a context switch", s)
    report.capture(s, "switch-back")
    s.keys("Up")
    s.keys("PageUp")
    s.keys("Enter")
    time.sleep(0.5)
    report.check(s.wait(r"at step"), "Enter on a row of the timeline goes there", s)


def recorded_history(report):
    with Session("--exec 'ls -l /etc | wc -l'", 130, 40) as s:
        report.check(s.wait(r"step 0 ") and s.wait(r"c runs"), "begins halted, at step 0", s)
        s.keys("c")
        report.check(s.wait(r"the guest ended with status 0"), "runs to the end and says why it stopped", s)
        s.keys("2")
        report.check(s.wait(r"^\d+$|^ *\d+$| \d+ *$"), "the guest's output is in the console panel", s)
        report.capture(s, "ended")
        s.keys("1")
        one_system_call(s, report)
        copy_on_write(s, report)
        through_time(s, report)
        s.keys("q")
        report.check(s.wait(r"viv ended 0", 5), "q quits with status 0", s)


def live_timeline(report):
    with Session("", 130, 40) as s:
        s.wait(r"step 0 ")
        s.keys("c")
        s.wait(r"the guest runs")
        time.sleep(0.3)
        first = s.status()[0]
        s.keys("i")
        s.wait(r"keys go to the guest")
        s.type("echo typed $((40 + 2)); ls /etc | wc -l")
        fine = s.wait(r"^.*typed 42") and s.status()[0] > first
        report.check(fine, "keys reach the guest while it runs and the steps go on", s)
        s.keys("C-a")
        s.keys("1")
        time.sleep(0.3)
        report.check(s.wait(r"3→0  syscall read") and s.wait("the guest runs"), "the timeline moves live", s)
        report.capture(s, "live")
        s.keys("Space")
        report.check(s.wait(r"paused"), "Space pauses", s)
        for width, height in ((80, 24), (20, 5), (1, 1), (200, 60), (80, 24)):
            s.tmux("resize-window", "-x", str(width), "-y", str(height))
            time.sleep(0.2)
        report.check(s.wait(r"paused") and s.wait(r"ring \d"), "terminals of 20x5 and less are survived", s)
        report.capture(s, "small")
        s.press("S", r"step")
        report.check("past" in s.screen(), "a step back is the past, in 80x24 too", s)
        s.keys("i")
        report.check(s.wait(r"this is the past"), "keys are refused in the past", s)
        s.keys("q")
        report.check(s.wait(r"viv ended 0", 5), "q quits while the guest has not ended", s)


def main():
    folder = sys.argv[2] if len(sys.argv) == 3 and sys.argv[1] == "--captures" else None
    report = Report(folder)
    recorded_history(report)
    live_timeline(report)
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main())
