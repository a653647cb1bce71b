// SPDX-License-Identifier: MIT
// The system and this process's settings: uname(2), sysinfo(2), sethostname(2), prctl(2),
// arch_prctl(2), getrandom(2).
#include "abi/prctl.h"
#include "abi/sched.h"
#include "arch/x86_64/thread.h"
#include "init/init.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/vmstat.h"
#include "proc/exec.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "syscall/syscall.h"

#define NEW_UTS_LEN 64

SYSCALL_DEFINE(uname)
{
    struct uts_namespace *u = current->nsproxy->uts_ns;
    down_read(&u->sem);
    struct linux_new_utsname name = u->name;
    up_read(&u->sem);
    return copy_to_user(ARG_PTR(0), &name, sizeof(name)) ? -EFAULT : 0;
}

static long set_name(char *field, const struct sys_args *a)
{
    char fresh[NEW_UTS_LEN + 1] = {0};
    int len = ARG_INT(1);
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (len < 0 || len > NEW_UTS_LEN)
        return -EINVAL;
    if (copy_from_user(fresh, ARG_PTR(0), (u64)len))
        return -EFAULT;
    struct uts_namespace *u = current->nsproxy->uts_ns;
    down_write(&u->sem);
    memcpy(field, fresh, sizeof(fresh));
    up_write(&u->sem);
    return 0;
}

SYSCALL_DEFINE(sethostname)
{
    return set_name(current->nsproxy->uts_ns->name.nodename, a);
}

SYSCALL_DEFINE(setdomainname)
{
    return set_name(current->nsproxy->uts_ns->name.domainname, a);
}

SYSCALL_DEFINE(sysinfo)
{
    struct linux_sysinfo s = {
        .uptime = (s64)((ktime_get() + NSEC_PER_SEC - 1) / NSEC_PER_SEC),
        .totalram = totalram_pages() * PAGE_SIZE,
        .freeram = nr_free_pages() * PAGE_SIZE,
        .procs = (u16)atomic_read(&nr_threads),
        .mem_unit = 1,
    };
    u64 loads[3];
    sched_loadavg(loads);
    for (int i = 0; i < 3; i++)
        s.loads[i] = loads[i] << 5; // 11 fraction bits to 16
    s.sharedram = page_state(NR_SHMEM) * PAGE_SIZE;
    return copy_to_user(ARG_PTR(0), &s, sizeof(s)) ? -EFAULT : 0;
}

SYSCALL_DEFINE(getrandom)
{
    u8 chunk[256];
    u64 left = min(ARG_ULONG(1), 0x7fffffffUL), done = 0;
    unsigned flags = ARG_UINT(2);
    if ((flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) ||
        (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    while (left) {
        u64 n = min(left, sizeof(chunk));
        random_bytes(chunk, n);
        u64 missed = copy_to_user((char __user *)ARG_PTR(0) + done, chunk, n);
        done += n - missed;
        left -= n - missed;
        if (missed)
            return done ? (long)done : -EFAULT;
        if (signal_pending(current) && done)
            break;
    }
    return (long)done;
}

SYSCALL_DEFINE(personality)
{
    unsigned old = current->personality;
    if (ARG_UINT(0) != PER_QUERY)
        current->personality = ARG_UINT(0);
    return old;
}

SYSCALL_DEFINE(arch_prctl)
{
    switch (ARG_INT(0)) {
    case ARCH_GET_FS:
        return put_user(current->thread.fs_base, (u64 __user *)ARG_PTR(1));
    case ARCH_GET_GS:
        return put_user(current->thread.gs_base, (u64 __user *)ARG_PTR(1));
    default:
        return arch_prctl_current(ARG_INT(0), ARG_ULONG(1));
    }
}

// --- prctl

static long set_process_name(const char __user *from)
{
    char name[TASK_COMM_LEN];
    long n = strncpy_from_user(name, from, sizeof(name) - 1);
    if (n < 0)
        return -EFAULT;
    name[n] = '\0';
    set_task_comm(current, name);
    return 0;
}

static long get_process_name(char __user *to)
{
    char name[TASK_COMM_LEN] = {0};
    kstrlcpy(name, current->comm, sizeof(name));
    return copy_to_user(to, name, sizeof(name)) ? -EFAULT : 0;
}

static long set_no_new_privs(const struct sys_args *a)
{
    if (ARG_ULONG(1) != 1 || ARG_ULONG(2) || ARG_ULONG(3) || ARG_ULONG(4))
        return -EINVAL;
    current->no_new_privs = true;
    return 0;
}

// Marks all descendants: only they look for a subreaper on their way up. tasklist_lock held.
static void mark_descendants(struct task_struct *father)
{
    struct task_struct *t, *child;
    for_each_thread(father, t) {
        list_for_each_entry(child, &t->children, sibling)
            child->signal->has_child_subreaper = true;
    }
}

static long set_child_subreaper(bool on)
{
    struct task_struct *p;
    spin_lock(&tasklist_lock);
    current->signal->is_child_subreaper = on;
    if (on) {
        mark_descendants(current);
        // Parents come before their children in the list of processes, but for reparented ones:
        // twice is enough for them.
        for (int round = 0; round < 2; round++) {
            for_each_process(p) {
                if (p->signal->has_child_subreaper && p != current)
                    mark_descendants(p);
            }
        }
    }
    spin_unlock(&tasklist_lock);
    return 0;
}

static long drop_bounding_cap(u64 cap)
{
    if (!capable(CAP_SETPCAP))
        return -EPERM;
    if (cap > CAP_LAST_CAP)
        return -EINVAL;
    struct cred *c = prepare_creds();
    if (!c)
        return -ENOMEM;
    c->cap_bset.cap &= ~BIT(cap);
    commit_creds(c);
    return 0;
}

static long set_timer_slack(u64 ns)
{
    current->timer_slack_ns = ns ? ns : 50 * NSEC_PER_USEC;
    return 0;
}

SYSCALL_DEFINE(prctl)
{
    u64 arg = ARG_ULONG(1);
    switch (ARG_INT(0)) {
    case PR_SET_PDEATHSIG:
        if (arg > LINUX_NSIG)
            return -EINVAL;
        current->pdeath_signal = (int)arg;
        return 0;
    case PR_GET_PDEATHSIG:
        return put_user(current->pdeath_signal, (int __user *)ARG_PTR(1));
    case PR_GET_DUMPABLE:
        return current->mm->dumpable;
    case PR_SET_DUMPABLE:
        if (arg > 1)
            return -EINVAL;
        current->mm->dumpable = (int)arg;
        return 0;
    case PR_SET_NAME:
        return set_process_name(ARG_PTR(1));
    case PR_GET_NAME:
        return get_process_name(ARG_PTR(1));
    case PR_CAPBSET_READ:
        return arg > CAP_LAST_CAP ? -EINVAL : (long)((current_cred()->cap_bset.cap >> arg) & 1);
    case PR_CAPBSET_DROP:
        return drop_bounding_cap(arg);
    case PR_GET_SECUREBITS:
        return (long)current_cred()->securebits;
    case PR_SET_TIMERSLACK:
        return set_timer_slack(arg);
    case PR_GET_TIMERSLACK:
        return (long)current->timer_slack_ns;
    case PR_GET_TSC:
        return put_user(PR_TSC_ENABLE, (int __user *)ARG_PTR(1));
    case PR_SET_CHILD_SUBREAPER:
        return set_child_subreaper(arg != 0);
    case PR_GET_CHILD_SUBREAPER:
        return put_user((int)current->signal->is_child_subreaper, (int __user *)ARG_PTR(1));
    case PR_SET_NO_NEW_PRIVS:
        return set_no_new_privs(a);
    case PR_GET_NO_NEW_PRIVS:
        return arg || ARG_ULONG(2) || ARG_ULONG(3) || ARG_ULONG(4) ? -EINVAL
                                                                   : current->no_new_privs;
    default:
        return -EINVAL;
    }
}
