#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The n-th allocation of each system call fails, n = 1, 2, ...: success or an error that says so, and nothing is lost.

usage: test_fail_nth.py [NAME...]
"""
import functools
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
# Every system call of the first priority, but those on sockets. Each has a scenario: one whose allocations fail in turn, or
# one that shows that there are none.
FIRST_PRIORITY = """read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask
rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield mremap madvise dup dup2 pause nanosleep alarm
setitimer getpid sendfile clone fork vfork execve exit wait4 kill uname fcntl fsync fdatasync ftruncate getcwd chdir fchdir
rename mkdir rmdir link unlink symlink readlink chmod fchmod chown fchown umask gettimeofday getrusage sysinfo times getuid
syslog getgid setuid setgid geteuid getegid setpgid getppid getpgrp setsid getgroups setgroups getpgid getsid rt_sigtimedwait
rt_sigsuspend sigaltstack statfs getpriority setpriority prctl arch_prctl chroot sync mount umount2 reboot sethostname gettid
tkill time futex sched_getaffinity getdents64 set_tid_address restart_syscall clock_gettime clock_nanosleep exit_group tgkill
openat mknodat newfstatat pselect6 set_robust_list utimensat fallocate dup3 pipe2 prlimit64 getrandom statx rseq clone3"""


@functools.cache
def program():
    folder = tempfile.TemporaryDirectory()
    path = pathlib.Path(folder.name) / "fail_nth"
    subprocess.run(["musl-gcc", "-static", "-O1", "-Wall", "-Wextra", "-pthread", "-o", path, *sorted(HERE.glob("*.c"))],
                   check=True)
    return folder, path


def run(folder):
    _, path = program()
    with tempfile.TemporaryDirectory() as scratch:
        image = pathlib.Path(scratch) / "root.img"
        subprocess.run([t.TOP / "tools/mkrootfs", image, "--add", f"{path}:/bin/fail_nth"], check=True,
                       stdout=subprocess.DEVNULL)
        r = t.run_exec(f"fail_nth {folder}", "--disk", f"{image},snapshot", timeout=600)
    lines = [line for line in (r.stdout + r.stderr).decode(errors="replace").splitlines() if not line.endswith(" tries")]
    t.expect_equal((r.returncode, lines), (0, ["wrong: 0"]), folder)


def test_every_call_has_a_scenario():
    listed = subprocess.run([program()[1], "--list"], check=True, capture_output=True, text=True).stdout
    t.expect_equal(set(FIRST_PRIORITY.split()) - set(listed.split()), set(), "without a scenario")


def test_on_ext2():
    run("/root")


def test_on_tmpfs():
    run("/tmp")


if __name__ == "__main__":
    t.main(globals())
