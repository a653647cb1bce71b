// SPDX-License-Identifier: MIT
// Scheduling parameters: sched_setscheduler(2) and relatives, nice values (setpriority(2)), CPU
// affinity, getcpu(2).
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/time.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "syscall/sys_time.h"
#include "syscall/syscall.h"

#define MIN_NICE (-20)
#define MAX_NICE 19

SYSCALL_DEFINE(sched_yield)
{
    (void)a;
    yield();
    return 0;
}

static struct task_struct *get_target(pid_t nr)
{
    return nr ? find_get_task_by_vpid(nr) : get_task_struct(current);
}

static bool same_owner(struct task_struct *t)
{
    const struct cred *c = get_task_cred(t);
    bool same = current_cred()->euid == c->euid || current_cred()->euid == c->uid;
    put_cred(c);
    return same;
}

static bool is_rt(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static long check_policy(int policy, int prio)
{
    if (policy != SCHED_NORMAL && policy != SCHED_BATCH && policy != SCHED_IDLE && !is_rt(policy))
        return -EINVAL;
    if (prio < 0 || prio > MAX_RT_PRIO - 1 || is_rt(policy) != (prio != 0))
        return -EINVAL;
    return 0;
}

static long check_right(struct task_struct *t, int policy, int prio)
{
    if (capable(CAP_SYS_NICE))
        return 0;
    u64 limit = t->signal->rlim[RLIMIT_RTPRIO].rlim_cur;
    if (is_rt(policy) &&
        ((policy != t->policy && !limit) || (prio > t->rt_priority && (u64)prio > limit)))
        return -EPERM;
    if (t->policy == SCHED_IDLE && policy != SCHED_IDLE &&
        (u64)(20 - task_nice(t)) > t->signal->rlim[RLIMIT_NICE].rlim_cur)
        return -EPERM;
    if (t->reset_on_fork)
        return -EPERM;
    return same_owner(t) ? 0 : -EPERM;
}

// policy -1: keep it (sched_setparam).
static long set_scheduler(pid_t pid, int policy, const void __user *uparam)
{
    struct linux_sched_param param;
    if (!uparam || pid < 0)
        return -EINVAL;
    if (copy_from_user(&param, uparam, sizeof(param)))
        return -EFAULT;
    struct task_struct *t = get_target(pid);
    if (!t)
        return -ESRCH;
    bool keep = policy < 0;
    bool reset = keep ? t->reset_on_fork : (policy & SCHED_RESET_ON_FORK) != 0;
    int plain = keep ? t->policy : policy & ~SCHED_RESET_ON_FORK;
    long error = check_policy(plain, param.sched_priority);
    if (!error)
        error = check_right(t, plain, param.sched_priority);
    if (!error)
        error = sched_setscheduler(t, plain, param.sched_priority);
    if (!error)
        t->reset_on_fork = reset;
    put_task_struct(t);
    return error;
}

SYSCALL_DEFINE(sched_setscheduler)
{
    return ARG_INT(1) < 0 ? -EINVAL : set_scheduler(ARG_INT(0), ARG_INT(1), ARG_PTR(2));
}

SYSCALL_DEFINE(sched_setparam)
{
    return set_scheduler(ARG_INT(0), -1, ARG_PTR(1));
}

SYSCALL_DEFINE(sched_getscheduler)
{
    if (ARG_INT(0) < 0)
        return -EINVAL;
    struct task_struct *t = get_target(ARG_INT(0));
    if (!t)
        return -ESRCH;
    long policy = t->policy | (t->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
    put_task_struct(t);
    return policy;
}

SYSCALL_DEFINE(sched_getparam)
{
    if (!ARG_ULONG(1) || ARG_INT(0) < 0)
        return -EINVAL;
    struct task_struct *t = get_target(ARG_INT(0));
    if (!t)
        return -ESRCH;
    struct linux_sched_param param = {t->rt_priority};
    put_task_struct(t);
    return copy_to_user(ARG_PTR(1), &param, sizeof(param)) ? -EFAULT : 0;
}

static long priority_bound(int policy, long rt)
{
    if (is_rt(policy))
        return rt;
    return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE ||
                   policy == SCHED_DEADLINE
               ? 0
               : -EINVAL;
}

SYSCALL_DEFINE(sched_get_priority_max)
{
    return priority_bound(ARG_INT(0), MAX_RT_PRIO - 1);
}

SYSCALL_DEFINE(sched_get_priority_min)
{
    return priority_bound(ARG_INT(0), 1);
}

SYSCALL_DEFINE(sched_rr_get_interval)
{
    if (ARG_INT(0) < 0)
        return -EINVAL;
    struct task_struct *t = get_target(ARG_INT(0));
    if (!t)
        return -ESRCH;
    u64 ns = t->policy == SCHED_FIFO ? 0 : sched_rr_interval_ns(t);
    put_task_struct(t);
    return put_timespec_ns(ARG_PTR(1), ns);
}

SYSCALL_DEFINE(sched_getaffinity)
{
    u64 size = ARG_UINT(1);
    if (size % sizeof(u64) || size * 8 < NR_CPUS)
        return -EINVAL;
    struct task_struct *t = get_target(ARG_INT(0));
    if (!t)
        return -ESRCH;
    u64 online = (1UL << nr_cpus_online) - 1, mask = t->cpus_allowed & online;
    put_task_struct(t);
    return copy_to_user(ARG_PTR(2), &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

SYSCALL_DEFINE(sched_setaffinity)
{
    u64 mask = 0;
    u64 size = min((u64)ARG_UINT(1), sizeof(mask));
    if (copy_from_user(&mask, ARG_PTR(2), size))
        return -EFAULT;
    struct task_struct *t = get_target(ARG_INT(0));
    if (!t)
        return -ESRCH;
    long error = same_owner(t) || capable(CAP_SYS_NICE) ? sched_setaffinity(t, mask) : -EPERM;
    put_task_struct(t);
    return error;
}

SYSCALL_DEFINE(getcpu)
{
    u32 cpu = smp_processor_id();
    if ((ARG_ULONG(0) && put_user(cpu, (u32 __user *)ARG_PTR(0))) ||
        (ARG_ULONG(1) && put_user(0, (u32 __user *)ARG_PTR(1))))
        return -EFAULT;
    return 0;
}

// --- nice

static long set_one_priority(struct task_struct *t, int nice)
{
    const struct cred *c = get_task_cred(t);
    bool mine =
        current_cred()->euid == c->uid || current_cred()->euid == c->euid || capable(CAP_SYS_NICE);
    put_cred(c);
    if (!mine)
        return -EPERM;
    if (nice < task_nice(t) && (u64)(20 - nice) > t->signal->rlim[RLIMIT_NICE].rlim_cur &&
        !capable(CAP_SYS_NICE))
        return -EACCES;
    set_user_nice(t, nice);
    return 0;
}

// What PRIO_PROCESS, PRIO_PGRP and PRIO_USER name: calls fn for each; fn's argument collects.
// tasklist_lock held.
static void for_each_target(int which, int who, void (*fn)(struct task_struct *t, void *arg),
                            void *arg)
{
    struct task_struct *p, *t;
    if (which == PRIO_PROCESS) {
        t = who ? pid_task(find_vpid(who), PIDTYPE_PID) : current;
        if (t)
            fn(t, arg);
    } else if (which == PRIO_PGRP) {
        struct pid *pgrp = who ? find_vpid(who) : task_pgrp(current);
        if (!pgrp)
            return;
        for_each_task_of_pid(pgrp, PIDTYPE_PGID, p) {
            for_each_thread(p, t)
                fn(t, arg);
        }
    } else {
        uid_t uid = who ? (uid_t)who : current_uid();
        for_each_process(p) {
            for_each_thread(p, t) {
                if (t->cred->uid == uid)
                    fn(t, arg);
            }
        }
    }
}

struct set_request {
    int nice;
    long result;
};

static void set_visit(struct task_struct *t, void *arg)
{
    struct set_request *r = arg;
    long error = set_one_priority(t, r->nice);
    if (error || r->result == -ESRCH)
        r->result = error;
}

SYSCALL_DEFINE(setpriority)
{
    struct set_request r = {clamp(ARG_INT(2), MIN_NICE, MAX_NICE), -ESRCH};
    if (ARG_INT(0) < PRIO_PROCESS || ARG_INT(0) > PRIO_USER)
        return -EINVAL;
    spin_lock(&tasklist_lock);
    for_each_target(ARG_INT(0), ARG_INT(1), set_visit, &r);
    spin_unlock(&tasklist_lock);
    return r.result;
}

static void get_visit(struct task_struct *t, void *arg)
{
    long *best = arg;
    long v = 20 - task_nice(t); // 1..40, so that it cannot look like an error
    if (v > *best)
        *best = v;
}

SYSCALL_DEFINE(getpriority)
{
    long best = -ESRCH;
    if (ARG_INT(0) < PRIO_PROCESS || ARG_INT(0) > PRIO_USER)
        return -EINVAL;
    spin_lock(&tasklist_lock);
    for_each_target(ARG_INT(0), ARG_INT(1), get_visit, &best);
    spin_unlock(&tasklist_lock);
    return best;
}
