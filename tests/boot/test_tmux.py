#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: all
"""A person's session in a real terminal emulator (tmux): pipeline, redirection, vi, ^C, ^Z, fg, jobs, top."""
import os
import pathlib
import re
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SOCKET = f"viv-test-{os.getpid()}"


def tmux(*words):
    return subprocess.run(["tmux", "-L", SOCKET, "-f", "/dev/null", *words], capture_output=True, text=True).stdout


def screen():
    return tmux("capture-pane", "-p")


def send(text, enter=True):
    tmux("send-keys", "-l", text)
    if enter:
        tmux("send-keys", "Enter")


def key(*names):
    tmux("send-keys", *names)


def wait_for(pattern, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if re.search(pattern, screen(), flags=re.M):
            return True
        time.sleep(0.1)
    return False


def pipeline():
    send("echo one two three | tr ' ' '\\n' | wc -l")
    return wait_for(r"^3$")


def redirection():
    send("echo alpha > /tmp/a; echo beta >> /tmp/a; wc -l < /tmp/a; cat nothing 2> /tmp/e; wc -l < /tmp/e")
    return wait_for(r"^2\n1$")


def vi_saves():
    send("vi /tmp/poem")
    if not wait_for(r"^~$"):
        return False
    key("i")
    send("a shell in")
    send("the glass house", enter=False)
    key("Escape")
    time.sleep(0.5)  # vi takes what follows at once for an escape sequence
    shown = wait_for(r"^the glass house$")
    send(":wq")
    time.sleep(0.3)
    send("clear; cat /tmp/poem; wc -c /tmp/poem")
    return shown and wait_for(r"^a shell in\nthe glass house\n27 /tmp/poem$")


def interrupt():
    send("clear; sleep 100")
    time.sleep(0.7)
    key("C-c")
    send("echo status $?")
    return wait_for(r"^status 130$", 5)


def stop_and_go_on():
    send("clear; sleep 100")
    time.sleep(0.7)
    key("C-z")
    stopped = wait_for(r"Stopped +sleep 100", 5)
    send("jobs")
    listed = wait_for(r"^\[1\]\+? +Stopped +sleep 100$", 5)
    send("fg")
    time.sleep(0.7)
    key("C-c")
    send("clear; jobs; echo none left")
    return stopped and listed and wait_for(r"\A(.*\$ |.*# )?.*none left", 5)


def top_refreshes():
    send("clear; top -d 1")
    if not wait_for(r"^Mem: .*K used.*\n(.*\n)*.*PID +PPID"):
        return False
    first = screen()
    time.sleep(2.5)
    second = screen()
    key("q")
    send("clear; echo back")
    return first != second and "PID" in second and wait_for(r"back", 5)


def line_editing():
    send("echo wrnog", enter=False)
    key("BSpace", "BSpace", "BSpace", "BSpace")
    send("right")
    return wait_for(r"^wright$", 5)


def main():
    tmux("new-session", "-d", "-x", "80", "-y", "24", f"{TOP}/build/viv run; echo viv ended $?; sleep 60")
    bad = 0
    try:
        ok = wait_for(r"[#$] $|[#$]$")
        for check in (pipeline, redirection, vi_saves, interrupt, stop_and_go_on, top_refreshes, line_editing):
            fine = ok and check()
            bad += not fine
            print(f"{'ok' if fine else 'not ok'} - tmux: {check.__name__.replace('_', ' ')}")
            if not fine:
                print("\n".join("# " + line for line in screen().splitlines() if line))
        key("C-a", "x")
        ended = wait_for(r"viv ended 0$", 10)
        bad += not ended
        print(f"{'ok' if ended else 'not ok'} - tmux: Ctrl-A x ends viv")
        if not ended:
            print("\n".join("# " + line for line in screen().splitlines() if line))
    finally:
        tmux("kill-server")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
