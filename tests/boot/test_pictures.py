#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Golden pictures of fern's console and of the demos, each where the guest itself says that it stands: at a write of "mark NAME".

A run is recorded, the steps of its marks are read from its system calls, and a replay takes the pictures there. tests/golden/pictures
has a digest of the dots of each. After a change that is meant to be seen: tests/boot/test_pictures.py --renew FOLDER, which leaves the
pictures in FOLDER to be looked at."""
import functools
import hashlib
import io
import pathlib
import re
import struct
import sys
import tarfile

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
mkdir /kernel; tar xf - -C /kernel; cp -a /dev/fb0 /dev/tty0 /kernel/dev; cp /usr/bin/fernscope /kernel
chroot /kernel /fernscope -n 1
"""


def words(*runs):
    return b"".join(struct.pack("<Q", word) * count for count, word in runs)


def made_up_kernel():
    """What fernscope reads of a kernel, in a tar file: what fern's own /proc says changes with every change of fern. Two CPUs,
    16 MiB, three processes (Documentation/admin-guide/mm/pagemap.rst has the bits)."""
    free, slab, anon, cache, mapped, reserved = 1 << 10, 1 << 7, 1 << 12, 1 << 5, 1 << 5 | 1 << 11, 0
    flags = words((300, reserved), (70, slab), (200, cache), (90, mapped), (400, anon), (250, anon), (1000, free), (100, slab),
                  (1686, free))
    counts = words((660, 1), (400, 3), (250, 1), (2786, 0))
    present = 1 << 63
    nodes = [("L", 3, 1_002_000_000, 1024), ("L", 2, 1_003_500_000, 335), ("R", 3, 1_004_000_000, 1024), ("L", 1, 1_007_250_000, 3121),
             ("R", 2, 1_009_000_000, 110), ("-", 0, 1_012_000_000, 1024), ("L", 2, 1_015_000_000, 655), ("R", 1, 1_031_000_000, 1024)]
    files = {
        "fern/cfs": "cpu 0 min_vruntime 1002000000 load 9000 running 9\ncurr 40 - 0 1002500000 1024 fernscope\n" +
                    "".join(f"node {60 + i} {side} {depth} {vruntime} {weight} busy{i}\n"
                            for i, (side, depth, vruntime, weight) in enumerate(nodes)) +
                    "cpu 1 min_vruntime 77000000 load 1024 running 1\ncurr 41 - 0 77000000 1024 cat\n",
        "stat": "intr 25 1 2\nctxt 47\nprocesses 90\n", "vmstat": "pgfault 812\n",
        "fern/syscalls": "0 read 100\n1 write 20\n3 close 3\n", "kpageflags": flags, "kpagecount": counts}
    for pid, comm, first, pages in ((21, "sh", 660, 400), (22, "cow-child", 660, 500), (40, "fernscope", 1160, 150)):
        files |= {f"{pid}/comm": comm + "\n", f"{pid}/maps": f"1000-{(1 + pages) << 12:x} rw-p 00000000 00:00 0\n",
                  f"{pid}/pagemap": words((1, 0), *((1, present | first + i) for i in range(pages)))}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in ("dev", "proc", "proc/fern", "proc/21", "proc/22", "proc/40"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(f"proc/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def steps_of_marks(trace):
    """The step at which each mark's write entered the kernel; whoever passes the text on comes later."""
    steps = {}
    for step, name in re.findall(r'^\s*(\d+) 3->0 .*\bwrite\(\d+, "mark (\w+)\\n"', trace, re.M):
        steps.setdefault(name, int(step))
    return steps


def digest_of(picture):
    width, height, rows = picture
    return f"{width}x{height} {hashlib.sha256(b''.join(map(bytes, rows))).hexdigest()[:32]}"


def take(folder):
    """The picture at each mark, by its name."""
    folder = pathlib.Path(folder)
    recording, trace = folder / "r.viv", folder / "trace"
    r = t.run_exec(COMMANDS, "--smp", "1", "--record", recording, "--trace", f"syscalls={trace}", stdin=made_up_kernel())
    t.expect_equal(r.returncode, 0, r.stderr[-1000:])
    steps = steps_of_marks(trace.read_text(errors="replace"))
    t.expect_equal(list(steps), ["console", "flight", "blocks", "fernscope"], "the marks")
    shots = [word for name, step in steps.items() for word in ("--screenshot", f"{folder}/{name}.png@{step}")]
    r = t.viv("replay", recording, *shots, timeout=120)
    t.expect_equal(r.returncode, 0, r.stderr[-1000:])
    return {name: pictures.read_png(folder / f"{name}.png") for name in steps}


def lines_of(taken):
    return {name: digest_of(picture) for name, picture in taken.items()}


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


def test_fernscope():
    compare(["fernscope"])


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
