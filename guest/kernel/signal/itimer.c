// SPDX-License-Identifier: MIT
// Interval timers: setitimer(2), getitimer(2), alarm(2); RLIMIT_CPU. The CPU clocks are looked at
// by a timer that runs while one of them is set: CPU time cannot pass faster than the clock times
// the threads.
#include "abi/time.h"
#include "arch/x86_64/uaccess.h"
#include "lib/string.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "signal/sigset.h"
#include "syscall/syscall.h"

#define CPU_TIMER_GRANULARITY_NS (4 * NSEC_PER_MSEC)

enum { CPU_VIRTUAL, CPU_PROF };

// --- ITIMER_REAL

static enum hrtimer_restart real_expired(struct hrtimer *timer)
{
    struct signal_struct *s = container_of(timer, struct signal_struct, real_timer.timer);
    struct task_struct *t;
    // Rearmed when SIGALRM is taken off the queue: a tiny interval cannot flood the machine. An
    // exec may be putting another leader in place.
    do
        t = READ_ONCE(s->leader_task);
    while (group_send_sig_info(SIGALRM, SEND_SIG_PRIV, t) == -ESRCH &&
           t != READ_ONCE(s->leader_task));
    return HRTIMER_NORESTART;
}

void itimer_real_rearm(struct signal_struct *s)
{
    struct hrtimer *t = &s->real_timer.timer;
    // The callback that sent the signal may not have returned yet on its CPU.
    if (!s->real_timer.interval || hrtimer_queued(t))
        return;
    hrtimer_forward(t, ktime_get(), s->real_timer.interval);
    hrtimer_start(t, t->expires);
}

static void real_set(struct signal_struct *s, u64 value, u64 interval)
{
    // Not under siglock: the callback takes it.
    hrtimer_cancel(&s->real_timer.timer);
    spin_lock_irq(&current->sighand->siglock);
    s->real_timer.interval = value ? interval : 0;
    if (value)
        hrtimer_start(&s->real_timer.timer, ktime_get() + value);
    else // another thread may have taken a SIGALRM and rearmed it since
        hrtimer_try_cancel(&s->real_timer.timer);
    spin_unlock_irq(&current->sighand->siglock);
}

static void real_get(struct signal_struct *s, u64 *value, u64 *interval)
{
    spin_lock_irq(&current->sighand->siglock);
    *value = hrtimer_remaining(&s->real_timer.timer);
    if (hrtimer_active(&s->real_timer.timer) && !*value)
        *value = NSEC_PER_USEC; // zero would mean disarmed
    *interval = s->real_timer.interval;
    spin_unlock_irq(&current->sighand->siglock);
}

// --- CPU time

static u64 cpu_clock(struct task_struct *t, int which)
{
    u64 utime, stime;
    thread_group_cputime(t, &utime, &stime);
    return which == CPU_VIRTUAL ? utime : utime + stime;
}

// RLIMIT_CPU at `used` ns: SIGXCPU each second from the soft limit on, SIGKILL at the hard one.
static u64 check_cpu_limit(struct linux_rlimit64 *limit, u64 used, u64 *due)
{
    u64 seconds = used / NSEC_PER_SEC;
    if (limit->rlim_cur == RLIM_INFINITY)
        return ~0UL;
    if (seconds >= limit->rlim_max) {
        *due |= SIGMASK(SIGKILL);
        return NSEC_PER_SEC;
    }
    if (seconds >= limit->rlim_cur) {
        *due |= SIGMASK(SIGXCPU);
        limit->rlim_cur = seconds + 1;
    }
    return min(limit->rlim_cur, 1UL << 31) * NSEC_PER_SEC - used;
}

// Signals what is due; returns the ns until the next expiry can come, ~0 if none is set. siglock
// held.
static u64 check_cpu_timers(struct task_struct *t, u64 *due)
{
    struct signal_struct *s = t->signal;
    u64 next = ~0UL;
    *due = 0;
    for (int i = CPU_VIRTUAL; i <= CPU_PROF; i++) {
        struct cpu_itimer *it = &s->it[i];
        if (!it->expires)
            continue;
        u64 now = cpu_clock(t, i);
        if (now >= it->expires) {
            *due |= SIGMASK(i == CPU_VIRTUAL ? SIGVTALRM : SIGPROF);
            if (!it->interval) {
                it->expires = 0;
                continue;
            }
            it->expires += ((now - it->expires) / it->interval + 1) * it->interval;
        }
        next = min(next, it->expires - now);
    }
    return min(next, check_cpu_limit(&s->rlim[RLIMIT_CPU], cpu_clock(t, CPU_PROF), due));
}

static enum hrtimer_restart cpu_expired(struct hrtimer *timer)
{
    struct signal_struct *s = container_of(timer, struct signal_struct, cpu_timer);
    struct task_struct *t;
    unsigned long flags;
    u64 due;
    do { // an exec may be putting another leader in place
        t = READ_ONCE(s->leader_task);
        if (lock_task_sighand(t, &flags))
            break;
        if (t == READ_ONCE(s->leader_task))
            return HRTIMER_NORESTART;
    } while (true);
    u64 next = check_cpu_timers(t, &due);
    u64 threads = (u64)max(s->nr_threads, 1);
    spin_unlock_irqrestore(&t->sighand->siglock, flags);
    for (int sig = 1; due; sig++) {
        if (sig_in(due, sig))
            group_send_sig_info(sig, SEND_SIG_PRIV, t);
        due &= ~SIGMASK(sig);
    }
    if (next == ~0UL)
        return HRTIMER_NORESTART;
    timer->expires = ktime_get() + max(next / threads, CPU_TIMER_GRANULARITY_NS);
    return HRTIMER_RESTART;
}

void cpu_timer_update(struct task_struct *t)
{
    struct signal_struct *s = t->signal;
    if (!atomic_read(&s->live)) // its timers have been stopped, or will be
        return;
    if (s->it[CPU_VIRTUAL].expires || s->it[CPU_PROF].expires ||
        s->rlim[RLIMIT_CPU].rlim_cur != RLIM_INFINITY) {
        // Anew even if it runs: it may have been set for a later expiry.
        hrtimer_start(&s->cpu_timer, ktime_get() + CPU_TIMER_GRANULARITY_NS);
    }
}

static void cpu_set(int which, u64 value, u64 interval, u64 *old_value, u64 *old_interval)
{
    struct task_struct *t = current;
    struct cpu_itimer *it = &t->signal->it[which];
    spin_lock_irq(&t->sighand->siglock);
    u64 now = cpu_clock(t, which);
    *old_value = it->expires ? (it->expires > now ? it->expires - now : NSEC_PER_USEC) : 0;
    *old_interval = it->interval;
    it->expires = value ? now + value : 0;
    it->interval = value ? interval : 0;
    cpu_timer_update(t);
    spin_unlock_irq(&t->sighand->siglock);
}

static void cpu_get(int which, u64 *value, u64 *interval)
{
    struct task_struct *t = current;
    struct cpu_itimer *it = &t->signal->it[which];
    spin_lock_irq(&t->sighand->siglock);
    u64 now = cpu_clock(t, which);
    *value = it->expires ? (it->expires > now ? it->expires - now : NSEC_PER_USEC) : 0;
    *interval = it->interval;
    spin_unlock_irq(&t->sighand->siglock);
}

// --- life

void itimers_init(struct signal_struct *s)
{
    hrtimer_init(&s->real_timer.timer, real_expired, HRTIMER_MONOTONIC);
    hrtimer_init(&s->cpu_timer, cpu_expired, HRTIMER_MONOTONIC);
}

void itimers_exit(struct signal_struct *s)
{
    if (hrtimer_active(&s->real_timer.timer))
        hrtimer_cancel(&s->real_timer.timer);
    if (hrtimer_active(&s->cpu_timer))
        hrtimer_cancel(&s->cpu_timer);
}

// --- system calls

static int get_timeval_ns(u64 *ns, const struct linux_timeval *t)
{
    if (t->tv_usec < 0 || t->tv_usec >= 1000000 || t->tv_sec < 0)
        return -EINVAL;
    u64 sec = min((u64)t->tv_sec, 1UL << 31); // 68 years are for ever
    *ns = sec * NSEC_PER_SEC + (u64)t->tv_usec * NSEC_PER_USEC;
    return 0;
}

static struct linux_timeval ns_to_timeval(u64 ns)
{
    return (struct linux_timeval){(s64)(ns / NSEC_PER_SEC),
                                  (s64)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
}

static int get_itimer(int which, struct linux_itimerval *out)
{
    u64 value, interval;
    if (which == ITIMER_REAL)
        real_get(current->signal, &value, &interval);
    else if (which == ITIMER_VIRTUAL || which == ITIMER_PROF)
        cpu_get(which - ITIMER_VIRTUAL, &value, &interval);
    else
        return -EINVAL;
    out->it_value = ns_to_timeval(value);
    out->it_interval = ns_to_timeval(interval);
    return 0;
}

SYSCALL_DEFINE(getitimer)
{
    struct linux_itimerval v;
    int error = get_itimer(ARG_INT(0), &v);
    if (error)
        return error;
    return copy_to_user(ARG_PTR(1), &v, sizeof(v)) ? -EFAULT : 0;
}

SYSCALL_DEFINE(setitimer)
{
    int which = ARG_INT(0);
    struct linux_itimerval fresh = {0}, old;
    u64 value, interval, old_value, old_interval;
    if (ARG_ULONG(1) && copy_from_user(&fresh, ARG_PTR(1), sizeof(fresh)))
        return -EFAULT;
    if (get_timeval_ns(&value, &fresh.it_value) || get_timeval_ns(&interval, &fresh.it_interval))
        return -EINVAL;
    int error = get_itimer(which, &old);
    if (error)
        return error;
    if (which == ITIMER_REAL) {
        real_set(current->signal, value, interval);
    } else {
        cpu_set(which - ITIMER_VIRTUAL, value, interval, &old_value, &old_interval);
        old.it_value = ns_to_timeval(old_value);
        old.it_interval = ns_to_timeval(old_interval);
    }
    return ARG_ULONG(2) && copy_to_user(ARG_PTR(2), &old, sizeof(old)) ? -EFAULT : 0;
}

SYSCALL_DEFINE(alarm)
{
    u64 left, interval;
    real_get(current->signal, &left, &interval);
    real_set(current->signal, (u64)ARG_UINT(0) * NSEC_PER_SEC, 0);
    // Rounded, but never to 0 while something was left.
    return (long)(left && left < NSEC_PER_SEC / 2 ? 1 : (left + NSEC_PER_SEC / 2) / NSEC_PER_SEC);
}
