// SPDX-License-Identifier: MIT
// Sums of resource usage: getrusage(2), times(2).
#include "proc/rusage.h"

#include "abi/time.h"
#include "arch/x86_64/uaccess.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "syscall/syscall.h"

static void put_time(struct linux_timeval *to, u64 ns)
{
    to->tv_sec = (s64)(ns / NSEC_PER_SEC);
    to->tv_usec = (s64)(ns % NSEC_PER_SEC / NSEC_PER_USEC);
}

struct sums {
    u64 utime, stime, maxrss_pages;
};

static void add_children(const struct signal_struct *s, struct linux_rusage *out, struct sums *sums)
{
    sums->utime += s->cutime;
    sums->stime += s->cstime;
    sums->maxrss_pages = max(sums->maxrss_pages, s->cmaxrss);
    out->ru_nvcsw += (s64)s->cnvcsw;
    out->ru_nivcsw += (s64)s->cnivcsw;
    out->ru_minflt += (s64)s->cmin_flt;
    out->ru_majflt += (s64)s->cmaj_flt;
    out->ru_inblock += (s64)s->cinblock;
    out->ru_oublock += (s64)s->coublock;
}

static void add_thread(struct task_struct *t, struct linux_rusage *out)
{
    out->ru_nvcsw += (s64)t->nvcsw;
    out->ru_nivcsw += (s64)t->nivcsw;
    out->ru_minflt += (s64)t->min_flt;
    out->ru_majflt += (s64)t->maj_flt;
}

static void add_group(struct task_struct *t, struct linux_rusage *out, struct sums *sums)
{
    const struct signal_struct *s = t->signal;
    struct task_struct *other;
    u64 utime, stime;
    thread_group_cputime(t, &utime, &stime);
    sums->utime += utime;
    sums->stime += stime;
    sums->maxrss_pages = max(sums->maxrss_pages, s->maxrss);
    out->ru_nvcsw += (s64)s->nvcsw;
    out->ru_nivcsw += (s64)s->nivcsw;
    out->ru_minflt += (s64)s->min_flt;
    out->ru_majflt += (s64)s->maj_flt;
    out->ru_inblock += (s64)s->inblock;
    out->ru_oublock += (s64)s->oublock;
    for_each_thread(t, other)
        add_thread(other, out);
}

void rusage_of_process(struct task_struct *t, int who, struct linux_rusage *out)
{
    struct sums sums = {0};
    unsigned long flags;
    memset(out, 0, sizeof(*out));
    if (!lock_task_sighand(t, &flags))
        return;
    if (who == RUSAGE_THREAD) {
        task_cputime(t, &sums.utime, &sums.stime);
        add_thread(t, out);
        sums.maxrss_pages = t->signal->maxrss;
    }
    if (who == RUSAGE_CHILDREN || who == RUSAGE_BOTH)
        add_children(t->signal, out, &sums);
    if (who == RUSAGE_SELF || who == RUSAGE_BOTH)
        add_group(t, out, &sums);
    spin_unlock_irqrestore(&t->sighand->siglock, flags);
    if (who != RUSAGE_CHILDREN) {
        spin_lock(&t->alloc_lock); // t may be a child that is leaving its mm
        if (t->mm)
            sums.maxrss_pages = max(sums.maxrss_pages, max(t->mm->hiwater_rss, mm_rss(t->mm)));
        spin_unlock(&t->alloc_lock);
    }
    put_time(&out->ru_utime, sums.utime);
    put_time(&out->ru_stime, sums.stime);
    out->ru_maxrss = (s64)(sums.maxrss_pages * (PAGE_SIZE / 1024));
}

SYSCALL_DEFINE(getrusage)
{
    struct linux_rusage r;
    int who = ARG_INT(0);
    if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
        return -EINVAL;
    rusage_of_process(current, who, &r);
    return copy_to_user(ARG_PTR(1), &r, sizeof(r)) ? -EFAULT : 0;
}

static s64 to_ticks(u64 ns)
{
    return (s64)(ns / (NSEC_PER_SEC / USER_HZ));
}

SYSCALL_DEFINE(times)
{
    if (ARG_PTR(0)) {
        u64 utime, stime;
        spin_lock_irq(&current->sighand->siglock);
        thread_group_cputime(current, &utime, &stime);
        struct linux_tms t = {to_ticks(utime), to_ticks(stime), to_ticks(current->signal->cutime),
                              to_ticks(current->signal->cstime)};
        spin_unlock_irq(&current->sighand->siglock);
        if (copy_to_user(ARG_PTR(0), &t, sizeof(t)))
            return -EFAULT;
    }
    return to_ticks(ktime_get());
}
