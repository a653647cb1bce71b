// SPDX-License-Identifier: MIT
// Resource limits: getrlimit(2), setrlimit(2), prlimit(2).
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "syscall/syscall.h"

#define NOFILE_MAX (1UL << 20) // fs.nr_open

static long check_limit(unsigned resource, const struct linux_rlimit64 *fresh,
                        const struct linux_rlimit64 *old)
{
    if (fresh->rlim_cur > fresh->rlim_max)
        return -EINVAL;
    if (resource == RLIMIT_NOFILE && fresh->rlim_max > NOFILE_MAX)
        return -EPERM;
    if (fresh->rlim_max > old->rlim_max && !capable(CAP_SYS_RESOURCE))
        return -EPERM;
    return 0;
}

static long do_prlimit(struct task_struct *t, unsigned resource, const struct linux_rlimit64 *fresh,
                       struct linux_rlimit64 *old)
{
    unsigned long flags;
    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    if (!lock_task_sighand(t, &flags))
        return -ESRCH;
    struct linux_rlimit64 *r = &t->signal->rlim[resource];
    if (old)
        *old = *r;
    long error = fresh ? check_limit(resource, fresh, r) : 0;
    if (fresh && !error) {
        *r = *fresh;
        if (resource == RLIMIT_CPU)
            cpu_timer_update(t);
    }
    spin_unlock_irqrestore(&t->sighand->siglock, flags);
    return error;
}

SYSCALL_DEFINE(getrlimit)
{
    struct linux_rlimit64 old;
    long error = do_prlimit(current, ARG_UINT(0), NULL, &old);
    if (error)
        return error;
    return copy_to_user(ARG_PTR(1), &old, sizeof(old)) ? -EFAULT : 0;
}

SYSCALL_DEFINE(setrlimit)
{
    struct linux_rlimit64 fresh;
    if (copy_from_user(&fresh, ARG_PTR(1), sizeof(fresh)))
        return -EFAULT;
    return do_prlimit(current, ARG_UINT(0), &fresh, NULL);
}

static bool may_change_limits_of(struct task_struct *t)
{
    if (t == current || capable(CAP_SYS_RESOURCE))
        return true;
    const struct cred *mine = current_cred(), *c = get_task_cred(t);
    bool same = mine->uid == c->euid && mine->uid == c->suid && mine->uid == c->uid &&
                mine->gid == c->egid && mine->gid == c->sgid && mine->gid == c->gid;
    put_cred(c);
    return same;
}

SYSCALL_DEFINE(prlimit64)
{
    struct linux_rlimit64 fresh, old;
    bool sets = ARG_ULONG(2) != 0;
    if (sets && copy_from_user(&fresh, ARG_PTR(2), sizeof(fresh)))
        return -EFAULT;
    struct task_struct *t =
        ARG_INT(0) ? find_get_task_by_vpid(ARG_INT(0)) : get_task_struct(current);
    if (!t)
        return -ESRCH;
    long error =
        may_change_limits_of(t) ? do_prlimit(t, ARG_UINT(1), sets ? &fresh : NULL, &old) : -EPERM;
    put_task_struct(t);
    if (!error && ARG_ULONG(3) && copy_to_user(ARG_PTR(3), &old, sizeof(old)))
        return -EFAULT;
    return error;
}
