#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: all
"""fern's terminal emulator beside tmux's: random output, the same text on both screens.

Left out is where they differ on purpose: what Linux's console has and tmux has not (or the other way round)."""
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t

COLS, ROWS, ROUNDS, PIECES = 40, 12, int(os.environ.get("ROUNDS", "60")), 60


def pieces(rng):
    n = lambda most: rng.choice(["", "0", "1", str(rng.randrange(2, most))])
    word = "".join(rng.choice("abcdefghijklmnopqrstuvwxyzABC 0123456789") for _ in range(rng.randrange(1, 30)))
    return rng.choice([
        word, word, word, "\r\n", "\n", "\r", "\b", "\t", "é─€", f"\033[{n(5)}{rng.choice('ABCDEFGPX@')}",
        f"\033[{n(ROWS + 3)};{n(COLS + 5)}H", f"\033[{n(ROWS)}d", f"\033[{rng.randrange(3)}{rng.choice('JK')}",
        f"\033[{rng.randrange(1, 5)};{rng.randrange(6, ROWS + 1)}r", "\033[r", f"\033[r\033[{n(ROWS)}d\033[{n(4)}{rng.choice('LM')}", "\033M", "\033D", "\033E", "\0337", "\0338",
        "\033H", "\033[g", "\033[1;31;44m", "\033[m", "\033[7m", "\033[?7l", "\033[?7h", "\r\033[4h" +
        word[:9] + "\033[4l", f"\033[{n(4)}S"])


def tmux(socket, *arguments):
    return subprocess.run(["tmux", "-S", str(socket), "-f", "/dev/null", *arguments], capture_output=True, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout


def on_tmux(folder, data):
    """The rows of a pane that has been fed, and the cursor's place."""
    (folder / "data").write_bytes(data)
    socket, done = folder / "tmux", folder / "done"
    done.unlink(missing_ok=True)
    tmux(socket, "new-session", "-d", "-x", str(COLS), "-y", str(ROWS), f"stty raw -echo; cat {folder}/data; touch {done}; sleep 60")
    try:
        end = time.monotonic() + 20
        while not done.exists() and time.monotonic() < end:
            time.sleep(0.02)
        for _ in range(100):  # until what was written has been read
            before = tmux(socket, "capture-pane", "-p", "-N")
            time.sleep(0.02)
            if tmux(socket, "capture-pane", "-p", "-N") == before:
                break
        place = tmux(socket, "display-message", "-p", "#{cursor_x} #{cursor_y}").strip()
        rows = [row.rstrip(" ") for row in before.split("\n")[:ROWS]]
        return rows + [place]
    finally:
        tmux(socket, "kill-server")


def on_fern(data):
    out = subprocess.run([str(t.BUILD / "tests/kernel_host/vt_dump"), str(COLS), str(ROWS)], input=data, capture_output=True,
                         check=True).stdout
    return out.decode().split("\n")[:ROWS + 1]


def clipped(rows):
    """tmux keeps the cursor beyond the last column while a character waits to wrap."""
    x, y = rows[-1].split()
    return rows[:-1] + [f"{min(int(x), COLS - 1)} {y}"]


def test_random_output():
    if not shutil.which("tmux"):
        raise t.Failure("tmux is missing (tools/deps)")
    with tempfile.TemporaryDirectory() as name:
        for seed in range(ROUNDS):
            rng = random.Random(seed)
            data = ("\0337" + "".join(pieces(rng) for _ in range(PIECES))).encode()
            seen, wanted = on_fern(data), clipped(on_tmux(pathlib.Path(name), data))
            t.expect(seen == wanted, f"seed {seed}: {data!r}\n" + "\n".join(
                f"#  {'  ' if a == b else '->'} fern {a!r}\n#     tmux {b!r}" for a, b in zip(seen, wanted)))


if __name__ == "__main__":
    t.main(globals())
