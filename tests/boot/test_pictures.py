#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Golden pictures of fern's console and of the demos, each where the guest itself says that it stands: at a write of "mark NAME".

A run is recorded, the steps of its marks are read from its system calls, and a replay takes the pictures there. tests/golden/pictures
has a digest of the dots of each. After a change that is meant to be seen: tests/boot/test_pictures.py --renew FOLDER, which leaves the
pictures in FOLDER to be looked at."""
import functools
import hashlib
import pathlib
import re
import sys

import pictures
import vivtest as t

GOLDEN = t.TOP / "tests" / "golden" / "pictures"

# Files of each kind that ls colours, and what else a console shows: boxes, shades, all colours twice, the attributes.
CONSOLE = r"""
mkdir -p /tmp/p/folder; cd /tmp/p; : > file; : > program; chmod 755 program; chmod 644 file; chmod 755 folder
ln -s file link; mkfifo fifo; mknod device c 1 3; mkdir open; chmod 1777 open
{ ls --color=always -1F
  printf '┌──────┬──────┐\n│ left │ right│\n├──────┼──────┤\n│ ░▒▓█ │ ▀▄▌▐ │\n└──────┴──────┘\n╔═══╦═══╗\n║ a ║ é ║\n╚═══╩═══╝\n'
  for c in 0 1 2 3 4 5 6 7; do printf "\033[3${c}m 3$c \033[1m bold \033[0;4${c}m 4$c \033[10${c}m 10$c \033[0m\n"; done
  printf '\033[7m turned \033[0m \033[38;5;208m of 256 \033[38;2;90;180;40m of all \033[0m\n\tend\033[5Gback'; } > /dev/tty1
sleep 0.1
echo mark console >&2
"""
COMMANDS = CONSOLE + """
flight -n 90
blocks -n 110
fernscope & sleep 0.6; echo mark fernscope >&2; kill $!; wait
"""

# What fernscope shows changes with every change of the kernel. These parts do not: x, y, width, height.
SCOPE_PARTS = {"name": (0, 0, 164, 44), "trees": (12, 44, 576, 26), "legend": (600, 44, 412, 38), "calls": (12, 572, 284, 24),
               "processes": (304, 572, 284, 24), "memory, left": (600, 44, 6, 716), "keys": (0, 732, 596, 36),
               "charts, left": (12, 384, 3, 180), "system calls": (12, 384, 150, 22), "page faults": (304, 384, 150, 22),
               "context switches": (12, 478, 150, 22), "interrupts": (304, 478, 150, 22)}


def steps_of_marks(trace):
    """The step at which each mark's write entered the kernel; whoever passes the text on comes later."""
    steps = {}
    for step, name in re.findall(r'^\s*(\d+) 3->0 .*\bwrite\(\d+, "mark (\w+)\\n"', trace, re.M):
        steps.setdefault(name, int(step))
    return steps


def digest_of(picture):
    width, height, rows = picture
    return f"{width}x{height} {hashlib.sha256(b''.join(map(bytes, rows))).hexdigest()[:32]}"


def part_of(picture, x, y, width, height):
    return width, height, [row[3 * x:3 * (x + width)] for row in picture[2][y:y + height]]


def take(folder):
    """The picture at each mark, by its name."""
    folder = pathlib.Path(folder)
    recording, trace = folder / "r.viv", folder / "trace"
    r = t.run_exec(COMMANDS, "--smp", "1", "--record", recording, "--trace", f"syscalls={trace}")
    t.expect_equal(r.returncode, 0, r.stderr[-1000:])
    steps = steps_of_marks(trace.read_text(errors="replace"))
    t.expect_equal(list(steps), ["console", "flight", "blocks", "fernscope"], "the marks")
    shots = [word for name, step in steps.items() for word in ("--screenshot", f"{folder}/{name}.png@{step}")]
    r = t.viv("replay", recording, *shots, timeout=120)
    t.expect_equal(r.returncode, 0, r.stderr[-1000:])
    return {name: pictures.read_png(folder / f"{name}.png") for name in steps}


def lines_of(taken):
    lines = {name: digest_of(picture) for name, picture in taken.items() if name != "fernscope"}
    lines |= {f"fernscope, {part}": digest_of(part_of(taken["fernscope"], *area)) for part, area in SCOPE_PARTS.items()}
    return lines


@functools.cache
def seen():
    with t.Folder() as folder:
        return lines_of(take(folder))


def golden():
    return dict(line.split(": ") for line in GOLDEN.read_text().splitlines() if not line.startswith("#"))


def compare(names):
    wrong = [f"{name}: {seen()[name]}" for name in names if seen()[name] != golden().get(name)]
    t.expect(not wrong, f"not as tests/golden/pictures has it (look at it with --renew FOLDER): {'; '.join(wrong)}")


def test_console():
    compare(["console"])


def test_flight():
    compare(["flight"])


def test_blocks():
    compare(["blocks"])


def test_fernscopes_layout():
    compare([name for name in seen() if name.startswith("fernscope")])


def test_each_golden_line_is_compared():
    t.expect_equal(sorted(golden()), sorted(seen()))


def renew(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = lines_of(take(folder))
    GOLDEN.write_text("# Name, size and digest of the dots of each picture that was looked at: tests/boot/test_pictures.py.\n" +
                      "".join(f"{name}: {value}\n" for name, value in lines.items()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--renew"] and len(sys.argv) == 3:
        renew(sys.argv[2])
    else:
        t.main(globals())
