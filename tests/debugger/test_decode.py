#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How viv writes every system call, beside strace: decode_calls makes each call under a filter that lets none happen, with
several sets of arguments, and the host's strace watches; then it prints viv's lines for the same. A row of OTHERWISE is known to
be written otherwise, always or for extreme arguments; all others agree to the letter."""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t  # noqa: E402

PROGRAM = t.BUILD / "tests" / "debugger" / "decode_calls"
EXTREME = (4, 5)  # sets with all bits of every flag set
# Written otherwise with arguments that programs use.
OTHERWISE = set("""
accept accept4 arch_prctl bind bpf clone3 connect copy_file_range create_module delete_module epoll_ctl epoll_ctl_old
epoll_pwait2 epoll_wait_old fanotify_init fanotify_mark finit_module flock fsconfig fsetxattr fsmount fsopen fspick futex
get_kernel_syms get_mempolicy getpeername getsockname getsockopt io_cancel io_destroy io_getevents io_pgetevents io_submit
io_uring_enter io_uring_register ioperm ioprio_get ioprio_set kcmp kexec_file_load kexec_load keyctl landlock_add_rule
landlock_create_ruleset lookup_dcookie lsetxattr mbind membarrier mlock2 mount_setattr move_mount move_pages msgctl msgget
msgrcv msgsnd name_to_handle_at nfsservctl open_tree perf_event_open personality pidfd_open pidfd_send_signal pkey_alloc
preadv2 process_madvise process_vm_readv process_vm_writev ptrace pwritev2 query_module quotactl quotactl_fd recvfrom
recvmmsg recvmsg restart_syscall rt_sigpending rt_sigqueueinfo rt_sigtimedwait rt_tgsigqueueinfo sched_getattr
sched_getscheduler sched_setaffinity sched_setattr seccomp semctl semget sendmsg sendto set_mempolicy setdomainname
sethostname setns setsockopt setxattr shmat shmctl shmget socket socketpair swapon sync_file_range sysfs syslog
timerfd_create unshare userfaultfd utime waitid
""".split())
# Only with bits or sizes that no program uses.
OTHERWISE_EXTREME = set("""
add_key eventfd2 faccessat2 inotify_add_watch inotify_init1 memfd_create memfd_secret mlockall mount msync pselect6
request_key rseq select statx timerfd_settime unlinkat
""".split())


def lines(number):
    """{name: (viv's line, strace's)}"""
    mine = subprocess.run([PROGRAM, "print", str(number)], capture_output=True, text=True, check=True).stdout.splitlines()
    host = subprocess.run(["strace", "-o", "/dev/stdout", PROGRAM, "make", str(number)], capture_output=True, text=True,
                          env={**os.environ, "TZ": "UTC"}).stdout.splitlines()
    start = next(i for i, line in enumerate(host) if line.startswith("prctl(PR_SET_SECCOMP"))
    host = [re.sub(r"\s+= ", " = ", line) for line in host[start + 1:] if not line.startswith(("exit_group(", "+++"))]
    t.expect_equal(len(mine), len(host), f"set {number}: calls")
    names = [line.split("(")[0] for line in mine]
    t.expect_equal(names, [line.split("(")[0] for line in host], f"set {number}: names")
    return {name: pair for name, pair in zip(names, zip(mine, host))}


def differing():
    """{name: [(set, viv's line, strace's)]}"""
    result = {}
    count = int(subprocess.run([PROGRAM], capture_output=True, text=True, check=True).stdout)
    for number in range(count):
        for name, (mine, host) in lines(number).items():
            if mine != host:
                result.setdefault(name, []).append((number, mine, host))
    return result


def test_every_call_reads_as_in_strace():
    seen = differing()
    for name, cases in seen.items():
        usual = [case for case in cases if case[0] not in EXTREME]
        if usual:
            t.expect(name in OTHERWISE, f"{name}, set {usual[0][0]}:\n viv    {usual[0][1]}\n strace {usual[0][2]}")
        else:
            t.expect(name in OTHERWISE | OTHERWISE_EXTREME,
                     f"{name}, set {cases[0][0]}:\n viv    {cases[0][1]}\n strace {cases[0][2]}")
    for name in sorted((OTHERWISE | OTHERWISE_EXTREME) - set(seen)):
        print(f"# {name} is written like strace now: it can leave the list")


if __name__ == "__main__":
    t.main(globals())
