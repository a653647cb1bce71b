// SPDX-License-Identifier: MIT
// fork(2), vfork(2), clone(2), clone3, set_tid_address(2), exit(2), exit_group(2).
#include "abi/sched.h"
#include "lib/string.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "syscall/syscall.h"

#define CLONE_ARGS_SIZE_VER0 64
#define CLONE_LEGACY_FLAGS 0xffffffffUL

SYSCALL_DEFINE(fork)
{
    struct kernel_clone_args args = {.exit_signal = SIGCHLD};
    return kernel_clone(&args);
}

SYSCALL_DEFINE(vfork)
{
    struct kernel_clone_args args = {.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD};
    return kernel_clone(&args);
}

SYSCALL_DEFINE(clone)
{
    u64 flags = ARG_ULONG(0) & CLONE_LEGACY_FLAGS & ~CSIGNAL;
    struct kernel_clone_args args = {
        .flags = flags,
        .exit_signal = (int)(ARG_ULONG(0) & CSIGNAL),
        .stack = ARG_ULONG(1),
        .parent_tid = ARG_PTR(2),
        .child_tid = ARG_PTR(3),
        .tls = ARG_ULONG(4),
    };
    return kernel_clone(&args);
}

// Bytes beyond what is known must be zero; a shorter structure is filled up with zeros.
static long copy_clone_args(struct linux_clone_args *out, const void __user *from, u64 size)
{
    u8 rest[64];
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (size < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    memset(out, 0, sizeof(*out));
    for (u64 at = sizeof(*out); at < size; at += sizeof(rest)) {
        u64 n = min(size - at, sizeof(rest));
        if (copy_from_user(rest, (const char __user *)from + at, n))
            return -EFAULT;
        for (u64 i = 0; i < n; i++) {
            if (rest[i])
                return -E2BIG;
        }
    }
    return copy_from_user(out, from, min(size, sizeof(*out))) ? -EFAULT : 0;
}

static bool clone3_args_valid(const struct linux_clone_args *c)
{
    if (c->flags & ~(CLONE_LEGACY_FLAGS | CLONE_CLEAR_SIGHAND))
        return false; // CLONE_INTO_CGROUP among them: there are no control groups
    if (c->flags & (CLONE_DETACHED | CSIGNAL))
        return false;
    if ((c->flags & (CLONE_THREAD | CLONE_PARENT)) && c->exit_signal)
        return false;
    if (c->exit_signal & ~CSIGNAL || c->exit_signal > LINUX_NSIG)
        return false;
    if (c->set_tid || c->set_tid_size)
        return false;
    if (!c->stack != !c->stack_size)
        return false;
    return !c->stack || access_ok((void __user *)c->stack, c->stack_size);
}

SYSCALL_DEFINE(clone3)
{
    struct linux_clone_args c;
    long error = copy_clone_args(&c, ARG_PTR(0), ARG_ULONG(1));
    if (error)
        return error;
    if (!clone3_args_valid(&c))
        return -EINVAL;
    struct kernel_clone_args args = {
        .flags = c.flags,
        .exit_signal = (int)c.exit_signal,
        .stack = c.stack ? c.stack + c.stack_size : 0,
        .parent_tid = (int __user *)c.parent_tid,
        .child_tid = (int __user *)c.child_tid,
        .tls = c.tls,
    };
    return kernel_clone(&args);
}

SYSCALL_DEFINE(set_tid_address)
{
    current->clear_child_tid = ARG_PTR(0);
    return task_pid_vnr(current);
}

SYSCALL_DEFINE(exit)
{
    do_exit((ARG_LONG(0) & 0xff) << 8);
}

SYSCALL_DEFINE(exit_group)
{
    do_group_exit((ARG_INT(0) & 0xff) << 8);
}
