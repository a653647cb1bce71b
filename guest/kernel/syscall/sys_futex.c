// SPDX-License-Identifier: MIT
// futex(2), set_robust_list(2), get_robust_list(2).
#include "abi/futex.h"
#include "proc/futex_internal.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "syscall/sys_time.h"
#include "syscall/syscall.h"

#define RESTART_SHARED 1u
#define RESTART_REALTIME 2u

static long restart_wait(struct restart_block *rb);

static long wait_or_restart(u32 __user *uaddr, u32 val, u64 expires, u32 flags, u32 bitset)
{
    int result =
        futex_wait(uaddr, flags & RESTART_SHARED, val, expires, flags & RESTART_REALTIME, bitset);
    if (result != -ERESTARTSYS || expires == KTIME_MAX)
        return result;
    // With a timeout it must not begin anew: the end stays where it was.
    struct restart_block *rb = &current->restart_block;
    rb->fn = restart_wait;
    rb->futex.uaddr = uaddr;
    rb->futex.val = val;
    rb->futex.flags = flags;
    rb->futex.bitset = bitset;
    rb->futex.expires = expires;
    return -ERESTART_RESTARTBLOCK;
}

static long restart_wait(struct restart_block *rb)
{
    rb->fn = NULL;
    return wait_or_restart(rb->futex.uaddr, rb->futex.val, rb->futex.expires, rb->futex.flags,
                           rb->futex.bitset);
}

// WAIT: relative to now; WAIT_BITSET: absolute. KTIME_MAX without a timeout.
static int get_expiry(u64 *expires, const void __user *timeout, bool absolute)
{
    u64 ns;
    *expires = KTIME_MAX;
    if (!timeout)
        return 0;
    int error = get_timespec_ns(&ns, timeout);
    if (!error)
        *expires = absolute ? clamp_deadline(ns) : deadline_after(ns);
    return error;
}

SYSCALL_DEFINE(futex)
{
    u32 __user *uaddr = ARG_PTR(0), *uaddr2 = ARG_PTR(4);
    int op = ARG_INT(1), cmd = op & FUTEX_CMD_MASK;
    u32 val = ARG_UINT(2), val3 = ARG_UINT(5);
    int val2 = ARG_INT(3);
    bool shared = !(op & FUTEX_PRIVATE_FLAG), realtime = op & FUTEX_CLOCK_REALTIME;
    u32 flags = (shared ? RESTART_SHARED : 0) | (realtime ? RESTART_REALTIME : 0);
    u64 expires;
    if (realtime && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT)
        return -ENOSYS;
    switch (cmd) {
    case FUTEX_WAIT:
        val3 = FUTEX_BITSET_MATCH_ANY;
        fallthrough;
    case FUTEX_WAIT_BITSET: {
        int error = get_expiry(&expires, ARG_PTR(3), cmd == FUTEX_WAIT_BITSET);
        if (error)
            return error;
        if (cmd == FUTEX_WAIT)
            flags &= ~RESTART_REALTIME; // a relative time ends at the same instant on any clock
        return wait_or_restart(uaddr, val, expires, flags, val3);
    }
    case FUTEX_WAKE:
        return futex_wake(uaddr, shared, (int)val, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
        return futex_wake(uaddr, shared, (int)val, val3);
    case FUTEX_REQUEUE:
        return futex_requeue(uaddr, uaddr2, shared, (int)val, val2, NULL);
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(uaddr, uaddr2, shared, (int)val, val2, &val3);
    case FUTEX_WAKE_OP:
        return futex_wake_op(uaddr, uaddr2, shared, (int)val, val2, val3);
    default:
        return -ENOSYS;
    }
}

SYSCALL_DEFINE(set_robust_list)
{
    if (ARG_ULONG(1) != sizeof(struct linux_robust_list_head))
        return -EINVAL;
    current->robust_list = ARG_PTR(0);
    return 0;
}

SYSCALL_DEFINE(get_robust_list)
{
    struct task_struct *t =
        ARG_INT(0) ? find_get_task_by_vpid(ARG_INT(0)) : get_task_struct(current);
    if (!t)
        return -ESRCH;
    long error = 0;
    if (!same_thread_group(t, current) && current_cred()->euid != t->cred->uid &&
        !capable(CAP_SYS_PTRACE))
        error = -EPERM;
    u64 head = (u64)t->robust_list;
    put_task_struct(t);
    if (error)
        return error;
    if (put_user(sizeof(struct linux_robust_list_head), (u64 __user *)ARG_PTR(2)) ||
        put_user(head, (u64 __user *)ARG_PTR(1)))
        return -EFAULT;
    return 0;
}
