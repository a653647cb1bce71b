#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: all
"""viv run --display sdl under Xvfb: the window comes up, what is typed arrives and is recorded, the replay shows the same
pictures, closing the window switches the guest off, an idle guest costs next to nothing."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import pictures
import vivtest as t
import xvfb

SECONDS = 30


def wait_for(what, condition, seconds=SECONDS):
    end = time.monotonic() + seconds
    while not condition():
        t.expect(time.monotonic() < end, f"{what}: not after {seconds} s")
        time.sleep(0.1)


class Run:
    """A viv with a window on a display of its own."""

    def __init__(self, *arguments, command="run", stdin=subprocess.DEVNULL):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.display = xvfb.Display(self.path)
        self.output = open(self.path / "output", "w+b")
        self.process = subprocess.Popen([t.VIV, command, *map(str, arguments), "--display", "sdl"], stdin=stdin,
                                        stdout=self.output, stderr=subprocess.STDOUT, env=self.display.env, cwd=self.path)

    def __enter__(self):
        try:
            self.window = self.display.window("viv:")
        except AssertionError as e:
            said = self.text()
            self.__exit__()
            raise t.Failure(f"{e}: {said}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.output.close()
        self.display.__exit__()
        self.folder.cleanup()

    def text(self):
        return (self.path / "output").read_bytes().decode(errors="replace")

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def shows(self, picture):
        """Whether the picture stands somewhere on the display, pixel by pixel."""
        width, height, rows = picture
        _, screen_height, screen = self.display.screen()
        first = max(rows, key=lambda row: len(set(row)))
        y = rows.index(first)
        for sy in range(screen_height):
            x = screen[sy].find(first)
            if x >= 0 and x % 3 == 0 and sy >= y and sy - y + height <= screen_height:
                if all(screen[sy - y + i][x:x + 3 * width] == rows[i] for i in range(height)):
                    return True
        return False


def session(folder):
    """A session with keys in it: the recording, and a picture that the guest's screen ended with."""
    recording, picture = folder / "session.viv", folder / "end.png"
    with Run("--record", recording, "--checkpoints=67108864", "--screenshot", picture, "--stats") as run:
        wait_for("a shell on the serial line", lambda: "root@fern" in run.text())
        time.sleep(1)
        before = run.display.screen()
        run.display.type("echo answer$((6 * 7)) > /dev/ttyS0; echo seen")
        run.display.key("Return")
        wait_for("what was typed", lambda: "answer42" in run.text())
        t.expect(run.display.screen() != before, "the typed command shows")
        run.display.click(run.window)
        run.display.move(30, -20)
        time.sleep(2)
        begin = run.cpu_seconds()
        time.sleep(10)
        idle = (run.cpu_seconds() - begin) / 10
        print(f"# an idle guest: {100 * idle:.1f} % of a core", flush=True)
        t.expect(idle < 0.05, f"idle at the prompt: {100 * idle:.1f} % of a core")
        run.display.key("ctrl+alt+s")
        wait_for("the copy of the screen", lambda: (run.path / "viv-0001.png").exists())
        time.sleep(0.5)
        t.expect(run.shows(pictures.read_png(run.path / "viv-0001.png")), "the window shows its copy, pixel by pixel")
        run.display.key("ctrl+alt+f")
        wait_for("full screen, without a window manager", lambda: run.display.width(run.window) == 1280)
        run.display.key("ctrl+alt+f")
        wait_for("the window again", lambda: run.display.width(run.window) == 1024)
        run.display.key("ctrl+alt+t")
        wait_for("the timeline beside the screen", lambda: run.display.width(run.window) == 1024 + 160)
        run.display.type("ls -lR / > /dev/null")
        run.display.key("Return")
        wait_for("transitions in it", lambda: any(b"\x40\xc0\x60" * 16 in row for row in run.display.screen()[2]))
        run.display.close(run.window)
        t.expect_equal(run.process.wait(SECONDS), 0, run.text())
        t.expect("switch itself off" not in run.text(), run.text())
        return recording, picture


def test_a_session_and_its_replay():
    with t.Folder() as folder:
        recording, picture = session(folder)
        for name, more in (("again.png", []), ("verify.png", ["--verify"])):
            r = t.viv("replay", recording, "--screenshot", folder / name, *more, timeout=120)
            t.expect_equal(r.returncode, 0, r.stderr)
            t.expect(picture.read_bytes() == (folder / name).read_bytes(), f"{name} is the live screen")
        for name in ("first", "second"):
            r = t.viv("replay", recording, "--frames", folder / name, timeout=120)
            t.expect_equal(r.returncode, 0, r.stderr)
        files = sorted(file.name for file in (folder / "first").iterdir())
        t.expect(len(files) > 10, f"frames: {files}")
        for file in files:
            t.expect((folder / "first" / file).read_bytes() == (folder / "second" / file).read_bytes(), file)
        film(recording, pictures.read_png(folder / "first" / files[-2]))


def film(recording, last):
    """To the end, back, forwards again: the same picture; and out."""
    with Run(recording, command="replay") as run:
        run.display.key("End")
        wait_for("the last picture", lambda: run.shows(last))
        run.display.key("Home")
        wait_for("another picture", lambda: not run.shows(last))
        run.display.key("space")
        wait_for("a pause", lambda: "paused" in run.display.title(run.window))
        run.display.key("Right", "Right", "comma", "End")
        wait_for("the last picture again", lambda: run.shows(last))
        strip = [b"\x40\xc0\x60" * 16, b"\xe0\x50\x40" * 16]
        seen = lambda: [sum(colour in row for row in run.display.screen()[2]) for colour in strip]
        run.display.key("ctrl+alt+t")
        wait_for("the timeline of the ls before the end", lambda: all(seen()))
        at_end = seen()
        run.display.key("Home")
        wait_for("no timeline at the beginning", lambda: not any(seen()))
        run.display.key("End")
        wait_for("the same timeline", lambda: seen() == at_end)
        run.display.key("ctrl+alt+t")
        wait_for("the last picture without it", lambda: run.shows(last))
        run.display.key("r")
        wait_for("going backwards", lambda: "backwards" in run.display.title(run.window))
        wait_for("an earlier picture", lambda: not run.shows(last))
        run.display.key("q")
        t.expect_equal(run.process.wait(SECONDS), 0, run.text())


def test_a_pipe_on_which_nobody_writes():
    """The guest goes on without it; what is written at last arrives, and all of it is in the recording."""
    with t.Folder() as folder:
        recording, picture = folder / "session.viv", folder / "end.png"
        with Run("--record", recording, "--screenshot", picture, stdin=subprocess.PIPE) as run:
            wait_for("a shell on the serial line", lambda: "root@fern" in run.text())
            time.sleep(1)
            run.display.type("echo typed$((6 * 7)) > /dev/ttyS0")
            run.display.key("Return")
            wait_for("what was typed in the window", lambda: "typed42" in run.text())
            run.process.stdin.write(b"echo piped$((6 * 7)) | tee /dev/tty1\n")
            run.process.stdin.flush()
            wait_for("what was written into the pipe", lambda: "piped42" in run.text())
            run.display.close(run.window)
            t.expect_equal(run.process.wait(SECONDS), 0, run.text())
            run.process.stdin.close()
        r = t.viv("replay", recording, "--verify", "--screenshot", folder / "again.png", timeout=120)
        t.expect_equal(r.returncode, 0, r.stderr)
        t.expect(picture.read_bytes() == (folder / "again.png").read_bytes(), "the replay ends with the same picture")


def test_a_pipe_that_ends():
    """What it had is typed at the serial shell, whose end is the guest's."""
    script = "seq 100000 | tail -1; echo last$((6 * 7))\n" * 3
    with Run(stdin=subprocess.PIPE) as run:
        run.process.stdin.write(script.encode())
        run.process.stdin.close()
        t.expect_equal(run.process.wait(SECONDS), 0, run.text())
        t.expect_equal(run.text().count("last42"), 3, run.text())


def test_a_command_on_pipes():
    """Not a byte is lost, added or echoed."""
    data = bytes((7 * i + i // 251) % 256 for i in range(1_000_000))
    with t.Folder() as folder, xvfb.Display(folder) as display:
        r = t.viv("run", "--display", "sdl", "--exec", "cat", stdin=data, env=display.env)
        t.expect_equal(r.returncode, 0, r.stderr)
        t.expect(r.stdout == data, f"{len(data)} bytes become {len(r.stdout)}")


def test_a_guest_that_does_not_listen():
    """Nobody takes the power button's word: the run ends some seconds later, and says so."""
    with Run("--append", "init=/bin/cat console=tty0") as run:
        time.sleep(2)
        run.display.close(run.window)
        begin = time.monotonic()
        t.expect_equal(run.process.wait(SECONDS), 0, run.text())
        t.expect("did not switch itself off" in run.text() and time.monotonic() - begin < 15, run.text())


def test_no_display():
    env = {name: value for name, value in os.environ.items() if "DISPLAY" not in name and name != "SDL_VIDEODRIVER"}
    for more in ({}, {"DISPLAY": ":4711"}):
        r = t.viv("run", "--display", "sdl", env={**env, **more}, timeout=60)
        text = r.stderr.decode()
        t.expect_equal((r.returncode, r.stdout, text.count("\n")), (65, b"", 1), text)
        t.expect("--display none" in text and "--screenshot" in text, text)


if __name__ == "__main__":
    if xvfb.missing():
        print(f"ok - test_window # SKIP no {xvfb.missing()} here")
        sys.exit(0)
    t.main(globals())
