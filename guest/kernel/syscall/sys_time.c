// SPDX-License-Identifier: MIT
// Clocks and sleeping: clock_gettime(2), nanosleep(2), clock_nanosleep(2), gettimeofday(2),
// time(2).
#include "syscall/sys_time.h"

#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "syscall/syscall.h"

// 73 years. A deadline beyond it gets no timer: an idle machine would jump there, to the end of the
// clock.
#define FOREVER_NS (1UL << 61)
#define MAX_SECONDS (KTIME_MAX / NSEC_PER_SEC / 2)

int get_timespec_ns(u64 *ns, const void __user *from)
{
    struct linux_timespec t;
    if (copy_from_user(&t, from, sizeof(t)))
        return -EFAULT;
    if (t.tv_sec < 0 || t.tv_nsec < 0 || t.tv_nsec >= (s64)NSEC_PER_SEC)
        return -EINVAL;
    *ns = min((u64)t.tv_sec, MAX_SECONDS) * NSEC_PER_SEC + (u64)t.tv_nsec;
    return 0;
}

int put_timespec_ns(void __user *to, u64 ns)
{
    struct linux_timespec t = {(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC)};
    return copy_to_user(to, &t, sizeof(t)) ? -EFAULT : 0;
}

u64 deadline_after(u64 ns)
{
    return ns < FOREVER_NS ? ktime_get() + ns : KTIME_MAX;
}

u64 clamp_deadline(u64 deadline)
{
    return deadline < 2 * FOREVER_NS ? deadline : KTIME_MAX;
}

// --- clocks

// A CPU clock made by clock_getcpuclockid(3): ~pid << 3, bit 2 = one thread, bits 0-1 = 2 (sum of
// user and system).
static int read_dynamic_clock(clockid_t id, u64 *ns)
{
    pid_t nr = ~(id >> 3);
    bool thread = id & 4;
    if ((id & 3) == 3)
        return -EINVAL;
    struct task_struct *t = nr ? find_get_task_by_vpid(nr) : get_task_struct(current);
    if (!t)
        return -EINVAL;
    u64 utime = 0, stime = 0;
    int error = thread ? !same_thread_group(t, current) : !thread_group_leader(t) && nr;
    if (!error && thread)
        task_cputime(t, &utime, &stime);
    else if (!error)
        thread_group_cputime_adjusted(t, &utime, &stime);
    put_task_struct(t);
    *ns = (id & 3) == 1 ? utime : utime + stime;
    return error ? -EINVAL : 0;
}

static int read_clock(clockid_t id, u64 *ns)
{
    u64 utime, stime;
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ns = ktime_get_real();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ns = ktime_get();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        thread_group_cputime_adjusted(current, &utime, &stime);
        *ns = utime + stime;
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        *ns = task_sched_runtime(current);
        return 0;
    default:
        return id < 0 ? read_dynamic_clock(id, ns) : -EINVAL;
    }
}

SYSCALL_DEFINE(clock_gettime)
{
    u64 ns;
    int error = read_clock(ARG_INT(0), &ns);
    return error ? error : put_timespec_ns(ARG_PTR(1), ns);
}

SYSCALL_DEFINE(clock_getres)
{
    u64 ns;
    int error = read_clock(ARG_INT(0), &ns);
    if (error || !ARG_ULONG(1))
        return error;
    bool coarse = ARG_INT(0) == CLOCK_REALTIME_COARSE || ARG_INT(0) == CLOCK_MONOTONIC_COARSE;
    return put_timespec_ns(ARG_PTR(1), coarse ? 4 * NSEC_PER_MSEC : 1);
}

static int set_real_time(u64 ns)
{
    if (!capable(CAP_SYS_TIME))
        return -EPERM;
    return ktime_set_real(ns);
}

SYSCALL_DEFINE(clock_settime)
{
    u64 ns;
    if (ARG_INT(0) != CLOCK_REALTIME)
        return read_clock(ARG_INT(0), &ns) ? -EINVAL : (ARG_INT(0) < 0 ? -EPERM : -EINVAL);
    int error = get_timespec_ns(&ns, ARG_PTR(1));
    return error ? error : set_real_time(ns);
}

static struct linux_timezone system_timezone;

SYSCALL_DEFINE(gettimeofday)
{
    if (ARG_ULONG(0)) {
        u64 ns = ktime_get_real();
        struct linux_timeval t = {(s64)(ns / NSEC_PER_SEC),
                                  (s64)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
        if (copy_to_user(ARG_PTR(0), &t, sizeof(t)))
            return -EFAULT;
    }
    if (ARG_ULONG(1) && copy_to_user(ARG_PTR(1), &system_timezone, sizeof(system_timezone)))
        return -EFAULT;
    return 0;
}

SYSCALL_DEFINE(settimeofday)
{
    struct linux_timeval t;
    struct linux_timezone zone;
    if (ARG_ULONG(0) && copy_from_user(&t, ARG_PTR(0), sizeof(t)))
        return -EFAULT;
    if (ARG_ULONG(1) && copy_from_user(&zone, ARG_PTR(1), sizeof(zone)))
        return -EFAULT;
    if (ARG_ULONG(0) &&
        (t.tv_sec < 0 || t.tv_usec < 0 || t.tv_usec >= 1000000 || (u64)t.tv_sec > MAX_SECONDS))
        return -EINVAL;
    if (!capable(CAP_SYS_TIME))
        return -EPERM;
    if (ARG_ULONG(1)) {
        if (zone.tz_minuteswest > 15 * 60 || zone.tz_minuteswest < -15 * 60)
            return -EINVAL;
        system_timezone = zone;
    }
    return ARG_ULONG(0)
               ? set_real_time((u64)t.tv_sec * NSEC_PER_SEC + (u64)t.tv_usec * NSEC_PER_USEC)
               : 0;
}

SYSCALL_DEFINE(time)
{
    s64 now = (s64)(ktime_get_real() / NSEC_PER_SEC);
    if (ARG_ULONG(0) && put_user(now, (s64 __user *)ARG_PTR(0)))
        return -EFAULT;
    return now;
}

// --- sleeping

// True: slept to the end.
static bool sleep_to(u64 expires, bool realtime)
{
    for (;;) {
        set_current_state(TASK_INTERRUPTIBLE);
        bool in_time = true;
        if (!signal_pending(current))
            in_time = realtime ? schedule_deadline_real(expires) : schedule_deadline(expires);
        __set_current_state(TASK_RUNNING);
        if (!in_time)
            return true;
        if (signal_pending(current))
            return false;
    }
}

static long restart_nanosleep(struct restart_block *rb);

// A relative sleep towards `expires`, with the rest to *rmtp when a signal ends it.
static long sleep_relative(u64 expires, void __user *rmtp)
{
    if (sleep_to(expires, false))
        return 0;
    u64 now = ktime_get();
    if (now >= expires)
        return 0;
    if (rmtp && put_timespec_ns(rmtp, expires - now))
        return -EFAULT;
    struct restart_block *rb = &current->restart_block;
    rb->fn = restart_nanosleep;
    rb->nanosleep.clock = CLOCK_MONOTONIC;
    rb->nanosleep.expires = expires;
    rb->nanosleep.rmtp = rmtp;
    return -ERESTART_RESTARTBLOCK;
}

static long restart_nanosleep(struct restart_block *rb)
{
    rb->fn = NULL;
    return sleep_relative(rb->nanosleep.expires, rb->nanosleep.rmtp);
}

SYSCALL_DEFINE(nanosleep)
{
    u64 ns;
    int error = get_timespec_ns(&ns, ARG_PTR(0));
    return error ? error : sleep_relative(deadline_after(ns), ARG_PTR(1));
}

SYSCALL_DEFINE(clock_nanosleep)
{
    clockid_t id = ARG_INT(0);
    bool absolute = ARG_INT(1) & TIMER_ABSTIME;
    u64 ns;
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_TAI:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
        break;
    default:
        return read_clock(id, &ns) ? -EINVAL : -ENOTSUP; // CPU clocks, coarse, raw and alarm clocks
    }
    int error = get_timespec_ns(&ns, ARG_PTR(2));
    if (error)
        return error;
    if (!absolute)
        return sleep_relative(deadline_after(ns), ARG_PTR(3));
    ns = clamp_deadline(ns);
    return sleep_to(ns, id == CLOCK_REALTIME || id == CLOCK_TAI) ? 0 : -ERESTARTNOHAND;
}
