#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The first exercises of a Linux-internals course, watched from outside the guest: each command's --strace is, line by line, the
host's strace of the same busybox on the same files, but for process ids, addresses and what directories hold."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t  # noqa: E402

ENVIRONMENT = {"PATH": "/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/root", "TERM": "vt100", "USER": "root"}


def guest_strace(command, *options):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "strace"
        r = t.viv("run", "-f", "-o", str(out), *options, "--exec", command)
        t.expect("strace" not in r.stderr.decode(), r.stderr.decode())
        return out.read_text()


def host_strace(command, *options):
    """In a process namespace of its own, so that /proc shows few processes, and the root image's files."""
    with tempfile.TemporaryDirectory() as folder:
        root, out = pathlib.Path(folder) / "root", pathlib.Path(folder) / "strace"
        root.mkdir()
        subprocess.run(["debugfs", "-R", f"rdump / {root}", str(t.ROOTFS)], check=True, capture_output=True)
        inner = r'''mount -t proc proc "$1/proc" && exec env -u PWD -u OLDPWD -u SHLVL -u _ \
strace -f -o "$2" "${@:4}" chroot "$1" /bin/sh -c "$3"'''
        own = [] if os.geteuid() == 0 else ["--map-root-user"]
        subprocess.run(["unshare", *own, "--pid", "--fork", "--mount", "bash", "-c", inner, "bash", str(root), str(out),
                        command, *options], env=ENVIRONMENT, input=b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=60)
        return out.read_text()


def streams(text):
    """The lines of each process in order of appearance; what was interrupted is joined."""
    result, unfinished = {}, {}
    for line in text.splitlines():
        match = re.match(r"(\d+) +(.*)", line)
        t.expect(match, f"no process in {line!r}")
        pid, line = match.groups()
        if line.endswith(" <unfinished ...>"):
            unfinished[pid] = line[:-len(" <unfinished ...>")]
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", line)
        if resumed:
            line = unfinished.pop(pid) + resumed.group(1)
        result.setdefault(pid, []).append(line)
    return result


def family(text, program):
    """The processes from the execve of program on: itself, then its descendants in order of birth."""
    by_pid = streams(text)
    for pid, lines in by_pid.items():
        starts = [i for i, line in enumerate(lines) if re.match(program, line) and line.endswith("= 0")]
        if starts:
            found, queue = [], [(pid, lines[starts[0] + 1:])]
            while queue:
                pid, lines = queue.pop(0)
                # The host answers these in its vDSO.
                found.append([line for line in lines if not re.match(r"(time|gettimeofday|clock_gettime)\(", line)])
                made = [re.search(r"= (\d+)$", line) for line in lines if re.match(r"v?fork\(|clone3?\(", line)]
                queue += [(m.group(1), by_pid.get(m.group(1), [])) for m in made if m]
            return found
    raise t.Failure(f"{program} is not executed:\n{text[:1500]}")


def mask(line):
    line = re.sub(r"\s+= ", " = ", line)
    line = re.sub(r"0x[0-9a-f]{5,}", "ADDRESS", line)
    line = re.sub(r"brk\(ADDRESS\)", "brk(ADDRESS)", line)
    line = re.sub(r"(si_pid|si_uid)=\d+", r"\1=N", line)
    line = re.sub(r"si_[us]time=\d+", "si_time=N", line)
    line = re.sub(r"^((clone|v?fork|get(p|pp|t)id|set_tid_address|wait4|rt_sigreturn|getpgrp)\(.*\)) = \d+$", r"\1 = PID", line)
    line = re.sub(r'getrandom\("[^"]*"', "getrandom(RANDOM", line)
    line = re.sub(r'nodename="[^"]*"', "nodename=NAME", line)
    line = re.sub(r"/\* \d+ vars \*/", "/* VARS */", line)
    # What directories hold.
    line = re.sub(r"(S_IFDIR\|[0-7]+, st_size)=\d+", r"\1=SIZE", line)
    line = re.sub(r"/\* \d+ entries \*/, \d+\) = [1-9]\d*", "/* ENTRIES */) = SIZE", line)
    line = re.sub(r'"total \d+\\n', r'"total N\\n', line)
    line = re.sub(r"/proc/\d+/", "/proc/PID/", line)
    line = re.sub(r'read\((\d+), "\d+ \([^"]*"(\.\.\.)?, 1023\) = \d+', r"read(\1, STAT)", line)
    return line


def sorted_runs(lines, pattern):
    """Neighbouring lines that match stand in the order of the directory: they are sorted."""
    result, run = [], []
    for line in [*lines, None]:
        if line is not None and re.match(pattern, line):
            run.append(line)
            continue
        result += sorted(run)
        run = []
        if line is not None:
            result.append(line)
    return result


def expect_same(command, program, pattern=None, change=lambda lines: lines, must=()):
    host = [change([mask(line) for line in lines]) for lines in family(host_strace(command), program)]
    guest = [change([mask(line) for line in lines]) for lines in family(guest_strace(command), program)]
    if pattern:
        host, guest = ([sorted_runs(lines, pattern) for lines in side] for side in (host, guest))
    t.expect_equal(len(guest), len(host), f"{command}: processes")
    for number, (mine, theirs) in enumerate(zip(guest, host)):
        for i in range(max(len(mine), len(theirs))):
            here, there = (side[i] if i < len(side) else "(end)" for side in (mine, theirs))
            t.expect(here == there, f"{command}: process {number}, line {i}:\n guest {here}\n host  {there}")
    everything = "\n".join("\n".join(lines) for lines in guest)
    for wanted in must:
        t.expect(re.search(wanted, everything, re.M), f"{command}: no line like {wanted}")


def test_ls():
    expect_same("exec /bin/ls -l /etc", r'execve\("\S*", \["/bin/ls", "-l", "/etc"\]', r'newfstatat\(AT_FDCWD, "/etc/|readlink\("/etc/',
                must=[r'^openat\(AT_FDCWD, "/etc", O_RDONLY\|O_NONBLOCK\|O_CLOEXEC\|O_DIRECTORY\) = 3', r"^getdents64\(3, ",
                      r'^write\(1, "total', r"^exit_group\(0\) = \?", r"^\+\+\+ exited with 0"])


def test_ls_from_the_shell():
    expect_same("ls -l /etc; true", r'execve\("/bin/sh"', r'newfstatat\(AT_FDCWD, "/etc/|readlink\("/etc/',
                must=[r"^clone\(", r"^wait4\(-1", r"^rt_sigreturn\(", r"^--- SIGCHLD \{si_signo=SIGCHLD, si_code=CLD_EXITED"])


def test_refused_touch():
    if os.geteuid() != 0:
        print("# needs root for its second user")
        return
    expect_same("su user -c 'exec /bin/touch /etc/passwd'", r'execve\("\S*", \["/bin/touch"',
                must=[r'"/etc/passwd".* = -1 EACCES \(Permission denied\)', r"^exit_group\(1\) = \?"])


def distinct(lines):
    """ps reads the same files of every process: one of each is compared."""
    first = next((i for i, line in enumerate(lines) if '"/proc/PID/"' in line), None)
    if first is None:
        return lines
    seen = []
    for line in lines[first:]:
        line = re.sub(r'read\((\d+), ".*", (2048|20\d\d|4096)\) = \d+', r"read(\1, TEXT)", line)
        line = re.sub(r'^((read|write)\(\d), ".*"(\.\.\.)?, \d+\) = \d+', r"\1, TEXT)", line)
        if line not in seen:
            seen.append(line)
    return lines[:first] + seen


def grep_reads(lines):
    """How much comes through the pipe at once is ps's matter."""
    result = []
    for line in lines:
        line = re.sub(r'^(read\(0|write\(1), ".*"(\.\.\.)?, (\d+)\) = [1-9]\d*$', r"\1, TEXT)", line)
        if not result or result[-1] != line:
            result.append(line)
    # Which of the two ends first, and where the shell is then, is the scheduler's matter.
    late = [line for line in result if line.startswith(("--- SIGCHLD", "rt_sigreturn("))]
    return distinct([line for line in result if line not in late]) + sorted(set(late))


def test_pipeline():
    expect_same('sh -c "ps | grep x"', r'execve\("\S*", \["sh", "-c", "ps \| grep x"\]', change=grep_reads,
                must=[r"^pipe2\(\[3, 4\], 0\) = 0", r"^(v?fork|clone)\(", r"^dup2\(3, 0\)", r"^dup2\(4, 1\)",
                      r'^execve\("\S*", \["grep", "x"\]', r"^wait4\(-1"])


if __name__ == "__main__":
    t.main(globals())
