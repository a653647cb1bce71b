#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Programs whose output on the host's Linux and in fern is compared byte for byte.

usage: test_guest.py [NAME...]      each tests/guest/NAME.c, built with musl and with glibc, both static
place.py says what machine they run on, and how many CPUs it has.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import place  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = TOP / "tests" / "guest"
COMPILERS = {"musl": ["musl-gcc"], "glibc": ["gcc"]}
MARK = "=====viv-guest-test====="

# Runs every program in a fresh directory; frames each output with the mark, the name and the exit status.
DRIVER = f"""#!/bin/sh
export ROUNDS={os.environ.get("ROUNDS", "1")}
mount -t tmpfs scratch /mnt; mkdir /mnt/w; cd /mnt/w
for p in /t/*; do
  n=${{p##*/}}; mkdir /mnt/w/$n; cd /mnt/w/$n
  $p </dev/null >/tmp/out 2>&1; s=$?
  echo "{MARK} $n $s"; cat /tmp/out
  cd /mnt/w
done
echo "{MARK} syscalls 0"; cat /proc/fern/syscalls
echo "{MARK} end 0"
"""


def report_coverage(text):
    """Which of the system calls that fern implements the programs have made, and how often others were asked for."""
    rows = [line.split() for line in text.splitlines() if line and line[0].isdigit()]
    offered = [row for row in rows if row[-1] != "ENOSYS"]
    silent = [row[1] for row in offered if row[2] == "0"]
    refused = [f"{row[1]} {row[2]}" for row in rows if row[-1] == "ENOSYS"]
    print(f"# {len(offered) - len(silent)} of {len(offered)} system calls made; not made: {' '.join(silent) or 'none'}")
    print(f"# ENOSYS: {', '.join(refused) or 'none'}")


def compile_all(names, folder):
    jobs = []
    for name in names:
        for libc, compiler in COMPILERS.items():
            out = folder / f"{name}.{libc}"
            command = [*compiler, "-static", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-result",
                       "-Wno-stringop-overflow", "-Wno-nonnull", "-Wno-infinite-recursion", "-pthread", "-o", str(out), str(HERE / f"{name}.c")]
            if libc == "musl":
                command.insert(1, "-Wno-cpp")
            jobs.append((out, subprocess.Popen(command, stderr=subprocess.PIPE, text=True)))
            if len(jobs) % 2 == 0:
                jobs[-2][1].wait()
    for out, job in jobs:
        errors = job.communicate()[1]
        if job.returncode:
            print(f"not ok - {out.name} does not compile\n{errors}")
            sys.exit(1)
    return [out for out, _ in jobs]


def run_on_host(program, scratch):
    folder = scratch / program.name
    folder.mkdir()
    try:
        # Who leads a session may do less: where that matters, by a shell that leads it, as in the guest.
        leader = "// runner: no leader" in (HERE / f"{program.stem}.c").read_text()
        command = ["/bin/sh", "-c", '"$0"; exit $?', str(program)] if leader else [str(program)]
        result = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=60, env={"PATH": "/bin:/usr/bin", "ROUNDS": os.environ.get("ROUNDS", "1")},
                                start_new_session=True)
        return result.stdout, result.returncode if result.returncode >= 0 else 128 - result.returncode
    except subprocess.TimeoutExpired:
        return b"[host timed out]", -1


def run_in_guest(programs, work, extra=()):
    driver = work / "driver"
    driver.write_text(DRIVER)
    driver.chmod(0o755)
    image = work / "rootfs.img"
    adds = [f"{p}:/t/{p.name}" for p in programs] + [f"{driver}:/driver"]
    subprocess.run([str(TOP / "tools" / "mkrootfs"), str(image), "--size", "256M",
                    *[x for a in adds for x in ("--add", a)]], check=True)
    result = place.run(image, "/driver", 500, extra)
    outcomes = {}
    parts = re.split(rb"^" + MARK.encode() + rb" (\S+) (\d+)\n", result.stdout, flags=re.M)
    for i in range(1, len(parts) - 2, 3):
        outcomes[parts[i].decode()] = (parts[i + 2], int(parts[i + 1]))
    return outcomes, result


def first_difference(expected, seen):
    a, b = expected.decode(errors="replace").splitlines(), seen.decode(errors="replace").splitlines()
    for i in range(max(len(a), len(b))):
        left, right = a[i] if i < len(a) else "<end>", b[i] if i < len(b) else "<end>"
        if left != right:
            return f"line {i + 1}: host '{left}' guest '{right}'"
    return "exit status or line ends"


def main():
    names = sys.argv[1:] or sorted(p.stem for p in HERE.glob("*.c"))
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "bin").mkdir()
        (work / "host").mkdir()
        programs = compile_all(names, work / "bin")
        expected = {p.name: run_on_host(p, work / "host") for p in programs}
        seen, result = run_in_guest(programs, work)
        for p in programs:
            want, got = expected[p.name], seen.get(p.name)
            if got == want:
                print(f"ok - guest {p.name}")
                continue
            bad += 1
            if got is None:
                print(f"not ok - guest {p.name}: did not run to its end")
            else:
                print(f"not ok - guest {p.name}: status host {want[1]} guest {got[1]}; {first_difference(want[0], got[0])}")
        if "syscalls" in seen:
            report_coverage(seen["syscalls"][0].decode())
        if "end" not in seen:
            print(f"# the guest did not finish: exit {result.returncode}: {result.stderr.decode(errors='replace')[-2000:]}")
    return 1 if bad else 0


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    sys.exit(main())
