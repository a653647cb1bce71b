#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The demos of the bundled guest: they draw, fast enough, and leave the text console as they found it, by whatever signal."""
import re

import pictures
import vivtest as t

WHEN = 1_500_000_000  # steps: a demo has been drawing for half a second at least


def run(command, picture, folder, *options, seconds=2, signal="TERM"):
    """Status and stderr of the demo, and the display while it runs and when it has ended."""
    line = f"{command} & sleep {seconds}; kill -{signal} $!; wait $!; echo status $?"
    r = t.run_exec(line, *options, "--screenshot", f"{folder}/while.png@{picture}", "--screenshot", f"{folder}/after.png")
    t.expect(b"status 0" in r.stdout, f"{command}: {r.stdout!r}")
    return r.stderr.decode(), pictures.read_png(f"{folder}/while.png"), pictures.read_png(f"{folder}/after.png")


def colours(picture):
    width, _, rows = picture
    return {row[3 * x:3 * x + 3] for row in rows for x in range(0, width, 2)}


def text_console(picture):
    t.expect_equal(picture[:2], (1024, 768), "the mode afterwards")
    t.expect(len(colours(picture)) <= 2, "only text afterwards")


def test_flight():
    with t.Folder() as folder:
        said, shown, after = run("flight", WHEN, folder, signal="INT")
        t.expect_equal(shown[:2], (640, 480))
        t.expect(len(colours(shown)) > 2000, "a landscape")
        frames = int(re.search(r"flight: (\d+) frames", said)[1])
        t.expect(frames >= 30, f"{frames} frames in two seconds less what making the land takes")
        text_console(after)


def blocks():
    with t.Folder() as folder:
        said, shown, after = run("blocks", WHEN // 10, folder)
        t.expect("blocks: 0 points" in said, said)
        t.expect(40 < len(colours(shown)) < 1000, "a well and a piece")
        text_console(after)


def fernscope():
    with t.Folder() as folder:
        _, shown, after = run("fernscope 5 cow", WHEN, folder, "--smp", "2")
        t.expect_equal(shown[:2], (1024, 768))
        seen = colours(shown)
        cow = bytes.fromhex("ffe14a")
        t.expect(cow in seen and len(seen) > 20, "pages that are shared by copy-on-write")
        text_console(after)


def test_the_kernel_tells_of_its_memory():
    """kpageflags, kpagecount and pagemap against meminfo and what a program does."""
    words = "od -A n -v -t u8 -w8"
    r = t.run_exec(f"grep MemFree /proc/meminfo; {words} /proc/kpageflags | awk '{{n += int($1 / 1024) % 2}} END {{print n * 4}}';"
                   f"dd if=/proc/self/pagemap bs=4096 skip=2 count=2 2>/dev/null | {words} | grep -vc ' 0$';"
                   "dd if=/proc/kpageflags bs=7 count=1; cat /proc/fern/cfs")
    lines = r.stdout.decode().split("\n")
    told, counted = int(lines[0].split()[1]), int(lines[1])
    t.expect(abs(told - counted) < 1024, f"{told} KiB free, {counted} by kpageflags")
    t.expect(20 < int(lines[2]) < 1024, f"{lines[2]} pages of a program are present")
    t.expect(b"Invalid argument" in r.stderr, "whole words only")
    t.expect(re.match(r"cpu 0 min_vruntime \d+ load \d+ running \d+", lines[3]), lines[3])


def test_without_a_display():
    r = t.run_exec("rm /dev/fb0; flight; echo status $?")
    t.expect(b"status 1" in r.stdout and b"/dev/fb0" in r.stderr, f"{r.stdout!r} {r.stderr!r}")


if t.LEVEL != "default":
    test_blocks, test_fernscope = blocks, fernscope


if __name__ == "__main__":
    t.main(globals())
