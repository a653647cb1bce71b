#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""viv trace on a recording: each view with its filters, strace's options, and assertions with their exit status."""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t  # noqa: E402

COMMAND = "cat /nonexistent; ls /etc | wc -l"


class Recording:
    """One run, recorded once for all tests of this file."""
    folder = None

    @classmethod
    def path(cls):
        if not cls.folder:
            cls.folder = tempfile.TemporaryDirectory()
            path = pathlib.Path(cls.folder.name) / "run"
            cls.result = t.run_exec(COMMAND, "--record", path, "--stats")
            t.expect_equal(cls.result.returncode, 0, cls.result.stderr.decode())
        return pathlib.Path(cls.folder.name) / "run"


def view(*arguments, status=0):
    r = t.viv("trace", Recording.path(), *arguments)
    t.expect_equal(r.returncode, status, f"{arguments}: {r.stderr.decode()}")
    return r.stdout.decode().splitlines()


def steps(lines):
    return [int(line.split()[0]) for line in lines]


def test_views_and_filters():
    stats = None
    Recording.path()
    stats = t.stats(Recording.result)
    transitions, faults = view("transitions"), view("faults")
    t.expect_equal(len(transitions), int(stats["transitions"]), "transitions")
    t.expect_equal(len(faults), int(stats["page_faults"]), "faults")
    middle = steps(transitions)[len(transitions) // 2]
    early, late = view("transitions", "--to", middle), view("transitions", "--from", middle)
    t.expect_equal(early + late, transitions, "the two halves")
    users = view("faults", "--ring", "3")
    t.expect_equal(users, [line for line in faults if re.match(r" *\d+ 3 ", line)], "ring 3")
    cow = view("faults", "--name", "copy-on-write")
    t.expect(cow and cow == [line for line in faults if line.endswith(": copy-on-write")], "outcome")
    page_faults = view("transitions", "--vector", "14")
    t.expect_equal(len(page_faults), len(faults), "vector 14")
    irqs = view("irqs")
    t.expect(irqs and len(irqs) == len([line for line in transitions if " interrupt 0x" in line]), "interrupts")
    t.expect_equal(view("irqs", "--vector", "0x30"), [line for line in irqs if " 0x30 " in line], "interrupts by vector")


def test_switches():
    lines = view("sched")
    t.expect_equal(steps(lines), sorted(steps(lines)), "order")
    names = [re.search(r"switch (.+) -> (\d+ \S+)$", line).groups() for line in lines]
    for (_, before), (after, _) in zip(names, names[1:]):
        t.expect_equal(before.split()[0], after.split()[0], "who runs is who ran")
    t.expect(any(to.endswith(" cat") for _, to in names) and any(to.endswith(" wc") for _, to in names), f"names: {names}")
    only = view("sched", "--name", "cat")
    t.expect(only and all(" cat" in line for line in only), "by name")


def test_system_calls():
    lines = view("syscalls", "-e", "trace=%file", "-Z")
    t.expect(any('"/nonexistent", O_RDONLY) = -1 ENOENT' in line for line in lines), f"{lines[-5:]}")
    t.expect(all(re.search(r"= -1 E|\+\+\+|---", line) for line in lines), "only failures")
    pid = next(re.match(r"\[pid +(\d+)\]", line).group(1) for line in lines if "/nonexistent" in line)
    mine = view("syscalls", "-p", pid)
    t.expect(mine and mine[-1] == "+++ exited with 1 +++", f"{mine[-2:]}")
    t.expect_equal(view("syscalls", "--pid", pid), mine, "--pid is -p")
    short = view("syscalls", "-p", pid, "-s", "3", "-e", "trace=write")
    t.expect(any(line.startswith('write(2, "cat"..., ') for line in short), f"{short}")
    summary = view("syscalls", "-c", "-S", "calls", "-p", pid)
    t.expect(re.match(r"% time +seconds +usecs/call +calls +errors syscall$", summary[0]), summary[0])
    calls = [int(line.split()[3]) for line in summary[2:-2]]
    t.expect_equal(calls, sorted(calls, reverse=True), "sorted by calls")
    t.expect_equal(sum(calls), int(summary[-1].split()[3]), "total")
    t.expect_equal(sum(calls), len([line for line in mine if "+++" not in line and "---" not in line and
                                    " resumed>" not in line]), "calls counted")
    paths = view("syscalls", "-y", "-p", pid, "-e", "trace=write")
    t.expect(any(re.match(r'write\(2<[^>]+>, "cat', line) for line in paths), f"{paths}")
    timed = view("syscalls", "-tt", "-T", "-p", pid, "-e", "trace=write")
    t.expect(all(re.match(r"00:00:00\.\d{6} (write\(.*<\d+\.\d{6}>|\+\+\+|---)", line) for line in timed), f"{timed}")


def test_live_is_the_replay():
    with tempfile.TemporaryDirectory() as folder:
        live = pathlib.Path(folder) / "live"
        t.run_exec(COMMAND, "-f", "-tt", "-e", "viv=steps,faults", "-o", live)
        replayed = view("syscalls", "-f", "-tt", "-e", "viv=steps,faults", "-o", live.with_name("replayed"))
        t.expect_equal(replayed, [], "everything is in the file")
        t.expect(live.read_text() == live.with_name("replayed").read_text(), "the two differ")
        t.expect("!!! #PF 0x" in live.read_text(), "no faults")


def test_assertions():
    final = t.stats(Recording.result)["state_hash"] if Recording.path() else None
    good = ["never(fault where ring==0 and not extable)", "count(transition where cause==int) == 0",
            f"final-hash == {final}", "count(syscall where comm==cat and failed and errno==2) > 0",
            "always(switch where from_pid >= 0)", "count(switch where to_comm==wc) > 0", "count(irq) > 0"]
    lines = view(*[word for expression in good for word in ("--check", expression)])
    t.expect_equal(lines, [f"ok - {expression}" for expression in good], "all hold")
    lines = view("--check", "never(syscall where comm==cat and errno==2)", "--check", good[0], status=1)
    t.expect(re.match(r"not ok - never\(.*\): step \d+: \w+\(.*\) = -2 in \d+ cat$", lines[0]), lines[0])
    t.expect_equal(lines[1], f"ok - {good[0]}", "the other one")
    view("--check", "final-hash == 1", status=1)
    r = t.viv("trace", Recording.path(), "--check", "never(fault where")
    t.expect_equal((r.returncode, r.stderr.count(b"\n")), (64, 1), "a bad expression")


def test_bad_input():
    path = Recording.path()
    for arguments, status in (([], 64), ([path], 64), ([path, "frob"], 64), ([path, "sched", "--ring", "4"], 64),
                              ([path, "sched", "--from"], 64), ([path, "sched", "-e", "trace=frob"], 64),
                              (["/nonexistent", "sched"], 65), ([t.VIV, "sched"], 65),
                              ([path, "sched", "-o", "/nonexistent/x"], 65), ([path, "--perfetto", "/nonexistent/x"], 65)):
        r = t.viv("trace", *arguments)
        t.expect_equal((r.returncode, r.stderr.count(b"\n")), (status, 1), f"{arguments}: {r.stderr.decode()}")


if __name__ == "__main__":
    t.main(globals())
