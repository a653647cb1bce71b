// SPDX-License-Identifier: MIT
// clone3's argument checks, and clone's flag combinations that are refused.
#define _GNU_SOURCE
#include "t.h"
#include <sched.h>
#include <sys/syscall.h>

struct args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
    uint64_t beyond[4];
};

static void try(const char *what, struct args a, size_t size)
{
    long pid = syscall(SYS_clone3, &a, size);
    if (pid == 0) {
        _exit(6);
    }
    if (pid < 0) {
        say("%s: -%s\n", what, errno_name(errno));
        return;
    }
    int status = 0;
    long got = waitpid((pid_t)pid, &status, __WALL);
    say("%s: child %d\n", what, got == pid);
    show_status(what, status);
}

int main(void)
{
    struct args plain = {.exit_signal = SIGCHLD};
    try("plain 64", plain, 64);
    try("plain 88", plain, 88);
    try("short", plain, 63);
    try("zeros beyond", plain, sizeof(struct args));
    struct args a = plain;
    a.beyond[1] = 1;
    try("something beyond", a, sizeof(a));
    try("huge", plain, 5000);
    try("bad address size 0", plain, 0);
    a = (struct args){.exit_signal = 65};
    try("bad signal", a, 64);
    a = (struct args){.exit_signal = 0x100};
    try("signal out of byte", a, 64);
    a = (struct args){.flags = SIGCHLD};
    try("signal in flags", a, 64);
    a = (struct args){.flags = CLONE_DETACHED};
    try("detached", a, 64);
    a = (struct args){.flags = CLONE_THREAD, .exit_signal = 0};
    try("thread alone", a, 64);
    a = (struct args){.flags = CLONE_SIGHAND};
    try("sighand without vm", a, 64);
    a = (struct args){.flags = CLONE_PARENT, .exit_signal = SIGCHLD};
    try("parent with signal", a, 64);
    a = (struct args){.stack_size = 4096};
    try("size without stack", a, 64);
    a = (struct args){.stack = 4096};
    try("stack without size", a, 64);
    a = (struct args){.flags = 1ULL << 60};
    try("unknown flag", a, 64);
    a = (struct args){.flags = CLONE_NEWNS | CLONE_FS};
    try("newns with fs", a, 64);
    a = (struct args){.exit_signal = 0};
    try("no exit signal", a, 64);
    show("null", syscall(SYS_clone3, NULL, 64));
    show("clone thread alone", syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0));
    show("clone sighand alone", syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
    return 0;
}
