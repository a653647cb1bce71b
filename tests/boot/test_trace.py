#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""--trace and --strace of a one-line static program: each system call and each fault with its outcome, in order, with rings."""
import re
import subprocess

import vivtest as t

PROGRAM = '#include <unistd.h>\nint main(void) { return write(1, "hi\\n", 3) == 3 ? 3 : 1; }\n'


def traced(*options):
    """The lines of the program's life in each of the two outputs, viv's result, and how many faults the stats count."""
    with t.Image() as scratch:
        source, program = scratch.folder / "one.c", scratch.folder / "one"
        source.write_text(PROGRAM)
        subprocess.run(["musl-gcc", "-static", "-O1", "-o", str(program), str(source)], check=True)
        with t.Image(f"{program}:/one") as image:
            trace, strace = image.folder / "trace", image.folder / "strace"
            r = t.run_exec("exec /one", "--disk", f"{image.path},snapshot", "--trace",
                           f"transitions,faults,syscalls={trace}", f"--strace={strace}", "--stats", *options)
            t.expect_equal(r.returncode, 3, r.stderr.decode())
            return trace.read_text().splitlines(), strace.read_text().splitlines(), t.stats(r)


def test_transitions_and_faults():
    lines, _, stats = traced()
    faults = [line for line in lines if re.search(r"^ *\d+ (\[\d\] )?[03]    fault ", line)]
    for line in faults:
        t.expect(re.search(r"fault (read|write|fetch) 0x[0-9a-f]+ error=0x[0-9a-f]+ rip=0x[0-9a-f]+ cr3=0x[0-9a-f]+: "
                           r"(map|copy-on-write|write-enable|spurious|fatal|swap-in)", line), line)
    t.expect_equal(len(faults), int(stats["page_faults"]), "faults traced")
    steps = [int(line.split()[0]) for line in lines if line.split()[0].isdigit()]
    t.expect(steps == sorted(steps), "not in order of steps")
    start = next(i for i, line in enumerate(lines) if 'execve("/one"' in line)
    pid = re.search(r"\[pid +(\d+)\]", lines[start]).group(1)
    calls = [re.sub(r".*\] ", "", line) for line in lines[start:] if f"[pid {pid}]" in line and "3->0" in line]
    names = [re.match(r"\w+", call).group(0) for call in calls]
    t.expect_equal(names, ["execve", "arch_prctl", "set_tid_address", "write", "exit_group"], "system calls in order")
    first = next(line for line in lines[start:] if re.search(r" 3    fault fetch", line))
    t.expect(first.endswith(": map"), first)


def test_every_entry_has_its_return():
    lines, _, _ = traced()
    in_user_mode = {}  # by CPU
    for line in lines:
        match = re.match(r" *\d+ (?:\[(\d)\] )?(\d)->(\d) (syscall|sysret|iret|interrupt|#\w+)", line)
        if match:
            cpu, left, entered = match.group(1, 2, 3)
            t.expect(in_user_mode.get(cpu, left == "3") == (left == "3"), f"out of order: {line}")
            in_user_mode[cpu] = entered == "3"
    t.expect(in_user_mode, "no transitions")


def test_strace_format():
    _, lines, _ = traced()
    mine = [line for line in lines if 'execve("/one"' in line]
    t.expect(mine, "no execve")
    pid = re.search(r"\[pid +(\d+)\]", mine[0]).group(1)
    text = [re.sub(r"^\[pid +\d+\] ", "", line) for line in lines if re.match(rf"\[pid +{pid}\] ", line)]
    t.expect(any(re.match(r'write\(1, "hi\\n", 3(\) += 3| <unfinished ...>)$', line) for line in text), text[-6:])
    t.expect(any(re.match(r"exit_group\(3\) += \?$", line) for line in text), text[-6:])
    t.expect(any("+++ exited with 3 +++" in line for line in lines), lines[-8:])


if __name__ == "__main__":
    t.main(globals())
