#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The debugger by scripts, forwards and backwards, on fern and a program of its own (past.c)."""
import atexit
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "boot"))
from vivtest import TOP, VIV, Failure, expect, expect_equal, main  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
PROGRAM, DISK, TRACE = FOLDER / "past", FOLDER / "disk.img", FOLDER / "trace"
RUN = ["--disk", f"{DISK},snapshot", "--exec", "/bin/past"]


def prepare():
    (FOLDER / "data").write_bytes(b"0123456DATA from the disk\n")
    subprocess.run(["musl-gcc", "-static", "-no-pie", "-Wl,-Ttext-segment=0x10000000", "-g", "-O0", "-o", PROGRAM,
                    HERE / "past.c"], check=True)
    subprocess.run([TOP / "tools" / "mkrootfs", DISK, "--add", f"{PROGRAM}:/bin/past", "--add", f"{FOLDER}/data:/data"],
                   check=True)
    result = subprocess.run([VIV, "run", "--record", TRACE, *RUN], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    expect_equal((result.returncode, result.stdout), (3, b"45 65\n"), "the recorded run")


def script(*lines, options=RUN, status=0):
    """Runs the lines; returns what each said, in order."""
    path = FOLDER / "script"
    path.write_text("".join(line + "\n" for line in lines))
    result = subprocess.run([VIV, "debug", *map(str, options), "--symbols", PROGRAM, "--script", path], capture_output=True,
                            text=True, timeout=120, stdin=subprocess.DEVNULL, errors="replace")
    if result.returncode != status:
        raise Failure(f"status {result.returncode}: {result.stderr[-500:]}\n{result.stdout[-1500:]}")
    return re.split(r"\(viv\) .*\n", result.stdout)[1:]


def step_of(text):
    return int(re.search(r"^step ([\d']+)", text, re.M).group(1).replace("'", ""))


def test_breakpoint_in_execve_both_ways():
    out = script("break sys_execve", "c", "c", "c", "rc", "rc", "c", "rc", "rc")
    first, second, third = out[1:4]
    for text in (first, second):
        expect("breakpoint 1 at sys_execve" in text and "pid" in text, text)
    steps = [step_of(text) for text in out[1:]]
    expect(steps[0] < steps[1] < steps[2] and "ended with status 3" in third, third)
    expect_equal(steps[3:7], [steps[1], steps[0], steps[1], steps[0]], "the way back and forth")
    expect("history begins here" in out[8] and steps[7] == 0, out[8])


def test_writer_of_a_stack_byte():
    out = script("break looked", "c", "print u8[[victim]]", "watch u8[[victim]]", "rc", "bt", "c", "who-wrote [victim]")
    expect("0x41 (65)" in out[2], out[2])
    expect("0x0 to 0x41 by scribble" in out[4] and "scribble:" in out[4], out[4])
    expect("main" in out[5], out[5])
    expect_equal(step_of(out[6]), step_of(out[4]) + 1, "after the write")
    expect("by the CPU at scribble" in out[7] and "bytes 41" in out[7], out[7])


def test_writer_of_the_page_cache_is_the_disk():
    out = script("break looked", "c", "print u8[[file]+7]", "who-wrote [file]+7", "back write [file]+7", "xp/1xb 0")
    expect("0x44" in out[2], out[2])
    expect("by a device (DMA)" in out[3] and "bytes 44" in out[3], out[3])
    expect(step_of(out[3]) == step_of(out[4].split("\n", 1)[1]), out[4])


def test_when_mapped():
    out = script("break map_file", "c", "when", "delete", "break looked", "c", "when-mapped [file]", "break *[file]")
    before = step_of(out[1])
    entries = dict(re.findall(r"^(PML4E|PDPTE|PDE|PTE) +step ([\d']+)", out[6], re.M))
    expect_equal(set(entries), {"PML4E", "PDPTE", "PDE", "PTE"}, out[6])
    mapped = int(entries["PTE"].replace("'", ""))
    expect(before < mapped < step_of(out[5]), out[6])
    expect("install_file" in out[6], out[6])
    # The page fault that mapped it lies just before.
    faults = script("break looked", "c", f"seek {mapped}", "faults 1", "forward user", "faults 1")
    expect("pending" in faults[3] and "map" in faults[5] and "pending" not in faults[5], faults[3] + faults[5])


def test_next_over_a_system_call():
    out = script("break looked", "c", "delete", "back syscall", "back step", "print $cpl", "print/x $rip", "nexti",
                 "print/x $rip", "print $cpl", "reverse-nexti", "hash", "stepi", "stepi", "reverse-stepi 2", "hash")
    expect("0x27 " not in out[4], out[4])
    expect(out[5].startswith("0x3 ") and out[9].startswith("0x3 "), out[5] + out[9])
    expect_equal(int(out[8], 16), int(out[6], 16) + 2, "behind SYSCALL")
    expect_equal(step_of(out[10]), step_of(out[4]), "over it back again")
    expect_equal(out[15], out[11], "the state")


def test_finish_both_ways():
    out = script("break add", "c", "disable", "finish", "seek -3", "reverse-finish", "print/x $rip", "nexti", "print/x $rip",
                 "reverse-nexti", "step", "enable")
    expect("work+" in out[3] and "add:" in out[4], out[3] + out[4])
    expect("call" in out[5] and "work:" in out[5], out[5])
    expect_equal(int(out[8], 16), int(out[6], 16) + 5, "over the call")
    expect_equal(step_of(out[7]), step_of(out[3]), "nexti and finish lead to one place")
    expect_equal(step_of(out[9]), step_of(out[5]), "back over the call")
    expect("add:" in out[10], out[10])


def test_depth_in_recursion():
    """The same code runs at other depths meanwhile: it is not taken for one's own."""
    out = script("break *down if $edi == 4", "c", "delete", "next", "next", "bt", "next", "print u32[$rbp-4]", "bt", "reverse-next",
                 "bt", "finish", "bt", "reverse-nexti", "bt", "seek -1", "finish", "bt")
    depth = [out[i].count(" down+") for i in (5, 8, 10, 12, 14, 17)]
    expect_equal(depth, [3, 3, 3, 2, 2, 1], "calls of down() at each place")
    expect("0x6 " in out[7] and "call" in out[13], out[7] + out[13])


def test_lines():
    out = script("break work", "c", "delete", "next", "next", "step", "finish", "next", "reverse-next", "reverse-next")
    lines = [int(re.search(r"past\.c:(\d+)  ", text).group(1)) for text in out[3:] if "past.c" in text]
    source = (HERE / "past.c").read_text().splitlines()
    expect("for (" in source[lines[0] - 1], lines)
    expect("total = add" in source[lines[1] - 1], lines)
    expect("int sum" in source[lines[2] - 1], lines)
    expect_equal(len(lines), 7, "lines")


def test_back_over_a_context_switch():
    out = script("break looked", "c", "delete", "back switch", "print $pid", "hash", "stepi 3000", "hash", "reverse-stepi 3000",
                 "hash", "back switch", "print $pid", "forward switch", "hash", "print $pid")
    expect_equal(out[9], out[5], "the state after there and back")
    expect(step_of(out[10]) < step_of(out[3]), out[10])
    expect_equal(step_of(out[12]), step_of(out[3]), "the switch from the other side")
    expect_equal(out[13], out[5], "its state")
    expect_equal(out[14], out[4], "its task")
    expect(out[11] != out[4], f"the same task before and after: {out[11]}")


def test_a_thousand_reverse_steps():
    """Each state on the way back is the one of the way there; a system call and a switch lie in it."""
    there = ["break looked", "c", "delete", "back switch", "reverse-stepi 500"]
    forward, back = ["hash", "stepi"] * 1000, ["reverse-stepi", "hash"] * 1000
    out = script(*there, *forward, *back)
    hashes = out[len(there):len(there) + 2000:2]
    again = out[len(there) + 2001::2]
    expect_equal(len(set(hashes)), 1000, "states differ")
    expect_equal(again, hashes[::-1], "hashes of the way back")


def test_events_do_not_depend_on_the_way():
    lists = ["transitions 40", "faults 12", "syscalls 12"]
    live = script("break looked", "c", *lists, "hash")
    here = step_of(live[1])
    began = [int(line.split()[0]) for line in live[3].splitlines()]
    inside = [line for step in began for line in (f"seek {step + 60}", "reverse-stepi")]
    ways = [(RUN, ["break looked", "c", "c", "rc"]), (["--replay", TRACE], [f"seek {here}"]),
            (["--replay", TRACE], ["seek end", f"seek {here}"]), (["--replay", TRACE], [f"seek {here - 500000}", f"seek {here}"]),
            (["--replay", TRACE], [f"seek {here + 50000}", "stepi 10", f"seek {here - 1000}", "stepi 1000"]),
            # Intervals that begin in the middle of faults: a step back leaves a checkpoint there.
            (["--replay", TRACE], [*inside, f"seek {here}"])]
    for options, way in ways:
        out = script(*way, *lists, "hash", options=options)
        expect_equal(step_of(out[len(way) - 1]), here, f"{way}: the place")
        expect_equal(out[len(way):], live[2:], f"{way}: events")


def test_another_future():
    out = script("break looked", "c", "print [answer] & 0xff", "set u32[&answer] = 7", "when", "delete", "c", "seek begin",
                 "break looked", "c", "print u32[&answer]", "c")
    expect("0x3 " in out[2] and "0x7 " in out[10], out[2] + out[10])
    expect("ended with status 7" in out[6] and "ended with status 7" in out[11], out[6] + out[11])
    expect_equal(step_of(out[9]), step_of(out[1]), "the place of the change")
    registers = script("break add", "c", "delete", "finish", "set $eax = 1000", "print $rax", "c")
    expect("0x3e8" in registers[5], registers[5])
    expect("1045 65\n" in registers[6], registers[6])


def test_catches():
    faults = script("break take_turns", "c", "catch fault pid 8", "c", "print $pid")
    expect("page fault at 0x7f" in faults[3] and faults[4].startswith("0x8 "), faults[3])
    out = script("catch syscall getppid", "c", "print $syscall", "c", "print $rax", "delete", "catch exception 14 if $cr2 >> 32 == 0x7fff",
                 "rc", "delete", "catch cr3", "c", "delete", "catch interrupt", "c", "delete", "catch io 0x3f8", "c", "delete",
                 "catch ring", "c", "delete", "catch msr", "c")
    expect("catch 1: system call getppid" in out[1] and "0x6e " in out[2], out[1] + out[2])
    expect("return of system call getppid" in out[3], out[3])
    expect("exception, vector 14" in out[7] and "vector_stubs" in out[7], out[7])
    for index, text in ((10, "CR3 0x"), (13, "interrupt, vector"), (16, "of port 0x3f8"), (19, "ring "),
                        (22, "MSR 0x")):
        expect(text in out[index], f"{text}: {out[index]}")


def test_conditions_and_counts():
    out = script("break add if $edi == 0 && u32[$rbp-0x18] == 4", "c", "print u32[$rbp-0x18]", "ignore 1 1", "c")
    expect("ended with" in out[1] or "0x4 " in out[2], out[1])
    out = script("break add", "ignore 1 4", "c", "print u32[$rbp-0x18]", "condition 1 u32[$rbp-0x18] == 8", "c",
                 "print u32[$rbp-0x18]", "condition 1", "points", "c", "print u32[$rbp-0x18]", "tbreak looked", "delete 1",
                 "c", "points")
    expect([out[i].split()[0] for i in (3, 6, 10)] == ["0x4", "0x8", "0x9"], [out[i] for i in (3, 6, 10)])
    expect("hit " in out[8] and "no breakpoints" in out[14], out[8] + out[14])


def test_through_a_system_call():
    out = script("tbreak map_file", "c", "syscall", "print $cpl", "syscall", "when")
    expect('open("/data", O_RDONLY|O_LARGEFILE) = 3' in out[2] and '"/data' in out[2], out[2])
    expect("reads  user memory" in out[2] and "ring 3: back at" in out[2], out[2])
    expect("mmap(NULL, 4096, PROT_READ" in out[4], out[4])
    waits = script("tbreak take_turns", "c", "catch syscall wait4 entry", "c", "delete", "syscall")
    expect("context switch to pid" in waits[5] and "while other tasks ran" in waits[5], waits[5])
    expect(re.search(r"writes user memory|= \d+", waits[5]), waits[5])


def test_difference_of_states():
    out = script("break *scribble+17", "break scribble", "c", "delete", "watch u8[$rdi] pid 8", "c", "hash", "diff -1", "diff +0",
                 "x/1xb victim", "hash", "stepi", "diff -1")
    expect_equal(out[6], out[10], "looking moves nothing")
    expect("rip " in out[7] and "cpu0" in out[7] and "pages: 0x" in out[7], out[7])
    expect("the same state" in out[8], out[8])
    expect("pages" not in out[12] and "rip " in out[12], out[12])


def verified(path):
    """How many hashes of a recording are right, and what else viv says of it."""
    result = subprocess.run([VIV, "replay", path, "--verify"], capture_output=True, text=True, timeout=120)
    expect_equal(result.returncode, 0, result.stderr)
    return int(re.search(r": (\d+) hashes are right", result.stderr)[1]), result.stderr


def test_recorded_script_has_hashes():
    path = FOLDER / "scripted"
    busy = ["--exec", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done"]
    script("c", "back syscall 4", "set $rbx = 1", "c", options=[*busy, "--record", path])
    count, _ = verified(path)
    expect(count > 4, f"{count} hashes")


def test_recorded_script_survives_a_kill():
    path = FOLDER / "killed"
    partial = FOLDER / "killed.incomplete"
    process = subprocess.Popen([VIV, "debug", "--exec", "while :; do echo x; done", "--record", path, "--script", "-"],
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.stdin.write(b"c\n")
    process.stdin.close()
    sizes, end = set(), time.monotonic() + 60
    while len(sizes) < 4 and time.monotonic() < end:
        time.sleep(0.05)
        sizes |= {partial.stat().st_size} if partial.exists() else set()
    process.kill()
    process.wait()
    count, said = verified(partial)
    expect(count > 0 and "was cut off" in said, said)


def test_a_view_ends_with_its_reader():
    view = subprocess.Popen([VIV, "trace", TRACE, "transitions"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    view.stdout.readline()
    view.stdout.close()
    expect_equal(view.stderr.read(), b"", "what it says")
    expect_equal(view.wait(), -signal.SIGPIPE, "how it ends")


def test_everything_can_be_shown():
    commands = ["help", "help x", "regs", "bt", "disas", "x/4xg $rsp", "x/2i $rip", "x/s [file]", "xp/4xw 0x1000", "print/d -5",
                "walk $rsp w", "tlb", "idt", "gdt", "tss", "msr", "cr", "cpu", "devices", "device uart", "info registers",
                "info breakpoints", "tasks", "maps", "files", "runq", "list", "symbol $rip", "bookmark here", "bookmark",
                "seek -10", "goto here", "when"]
    out = script("break looked", "c", *commands)
    for command, text in zip(commands, out[2:]):
        expect(text.strip() or command == "bookmark here", f"{command} says nothing")
    said = dict(zip(commands, out[2:]))
    expect("0123456DATA" in said["x/s [file]"], said["x/s [file]"])
    expect("past" in said["tasks"] and "/bin/past" in said["maps"] and "/data" in said["maps"], said["maps"])
    expect("[stack]" in said["maps"] and "user" in said["tlb"], said["tlb"])
    expect_equal(step_of(said["goto here"]), step_of(out[1]), "the bookmark")


def test_mistakes_are_told():
    for line, text in (("frobnicate", "no command"), ("break nowhere_at_all", "no such symbol"), ("xp 0xfffffffff000", "no memory"),
                       ("print 1 +", "no value"), ("print $nothing", "no such register"), ("catch colours", "usage: catch"),
                       ("condition 9 1", "no point 9"), ("seek", "usage: seek"), ("set $cpl = 0", "cannot be set"),
                       ("print 1/0", "division by zero"), ("re", "may be")):
        out = script(line, status=1)
        expect(text in out[0], f"{line}: {out[0]!r}")


if __name__ == "__main__":
    prepare()
    main(globals())
