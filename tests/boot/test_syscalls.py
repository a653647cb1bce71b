#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""/proc/fern/syscalls: what fern must offer is there, unknown numbers are ENOSYS and counted."""
import subprocess

import vivtest as t

# The first priority of the ABI without sockets, and the scheduling, epoll and waitid calls.
WANTED = ("0-25 28 32-35 37-40 56-63 72 74 75 77 79-84 86-93 95 96 98-100 102-112 115 116 121 124 127-131 137 140-147 157 158 "
          "161 162 165 166 169 170 186 200-204 217-219 228 230-234 247 221 257 259 262 270 273 280 281 285 291-293 302 318 332 334")
OPTIONAL = {85, 94, 101, 113, 114, 117, 118, 119, 120, 229}
UNKNOWN = """
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    for (int i = 0; i < 3; i++) {
        long result = syscall(333);
        printf("%ld %d\\n", result, errno);
        result = syscall(100000);
        printf("%ld %d\\n", result, errno);
    }
    return 0;
}
"""


def numbers(text):
    for word in text.split():
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


def rows(text):
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def test_what_is_offered():
    offered = {int(row[0]) for row in rows(t.run_exec("cat /proc/fern/syscalls").stdout.decode())
               if row[0].isdigit() and row[-1] != "ENOSYS"}
    missing = sorted(set(numbers(WANTED)) - offered - OPTIONAL)
    t.expect_equal(missing, [], "not implemented")


def test_unknown_numbers_are_counted():
    with t.Image() as scratch:
        source, program = scratch.folder / "u.c", scratch.folder / "u"
        source.write_text(UNKNOWN)
        subprocess.run(["musl-gcc", "-static", "-D_GNU_SOURCE", "-o", str(program), str(source)], check=True)
        with t.Image(f"{program}:/u") as image:
            out = t.run_exec("/u; grep -E '^(333|-) ' /proc/fern/syscalls", "--disk", f"{image.path},snapshot").stdout.decode()
    t.expect_equal(out.splitlines()[:6], ["-1 38"] * 6, "answers")
    t.expect_equal(rows(out)[6][2:], ["3", "3", "ENOSYS"], "row of 333")
    t.expect_equal(rows(out)[7][2:], ["3", "3", "ENOSYS"], "row of the rest")


if __name__ == "__main__":
    t.main(globals())
