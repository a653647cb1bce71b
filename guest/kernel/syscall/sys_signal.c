// SPDX-License-Identifier: MIT
// Signal system calls: sigaction(2), sigprocmask(2), kill(2), sigsuspend(2), sigtimedwait(2),
// sigaltstack(2) and kin.
#include "arch/x86_64/thread.h"
#include "lib/string.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "signal/sigqueue.h"
#include "signal/sigset.h"
#include "syscall/sys_time.h"
#include "syscall/syscall.h"

#define SA_EXPOSE_TAGBITS 0x800UL
#define SA_KNOWN_FLAGS                                                                             \
    (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER |             \
     SA_RESETHAND | SA_EXPOSE_TAGBITS | SA_RESTORER)

static void install_action(int sig, const struct linux_sigaction *fresh)
{
    struct task_struct *t = current, *other;
    struct k_sigaction *a = sig_action(t, sig);
    a->sa = *fresh;
    a->sa.flags &= SA_KNOWN_FLAGS;
    a->sa.mask &= ~SIG_KERNEL_ONLY_MASK;
    // Setting a signal to be ignored throws away what is pending, blocked or not (POSIX).
    if (fresh->handler == LINUX_SIG_IGN ||
        (fresh->handler == LINUX_SIG_DFL && sig_in(SIG_IGNORE_MASK, sig))) {
        sigpending_remove(&t->signal->shared_pending, SIGMASK(sig));
        for_each_thread(t, other)
            sigpending_remove(&other->pending, SIGMASK(sig));
    }
}

SYSCALL_DEFINE(rt_sigaction)
{
    int sig = ARG_INT(0);
    struct linux_sigaction fresh, old;
    bool sets = ARG_ULONG(1) != 0;
    if (ARG_ULONG(3) != sizeof(u64))
        return -EINVAL;
    if (sets && copy_from_user(&fresh, ARG_PTR(1), sizeof(fresh)))
        return -EFAULT;
    if (!sig_valid(sig) || (sets && sig_in(SIG_KERNEL_ONLY_MASK, sig)))
        return -EINVAL;
    spin_lock_irq(&current->sighand->siglock);
    old = sig_action(current, sig)->sa;
    if (sets)
        install_action(sig, &fresh);
    spin_unlock_irq(&current->sighand->siglock);
    if (ARG_ULONG(2) && copy_to_user(ARG_PTR(2), &old, sizeof(old)))
        return -EFAULT;
    return 0;
}

SYSCALL_DEFINE(rt_sigprocmask)
{
    sigset_t_k old = current->blocked, set;
    if (ARG_ULONG(3) != sizeof(set))
        return -EINVAL;
    if (ARG_ULONG(1)) {
        if (get_user(set.sig, (u64 __user *)ARG_PTR(1)))
            return -EFAULT;
        switch (ARG_INT(0)) {
        case SIG_BLOCK:
            set.sig |= old.sig;
            break;
        case SIG_UNBLOCK:
            set.sig = old.sig & ~set.sig;
            break;
        case SIG_SETMASK:
            break;
        default:
            return -EINVAL;
        }
        set_current_blocked(&set);
    }
    if (ARG_ULONG(2) && put_user(old.sig, (u64 __user *)ARG_PTR(2)))
        return -EFAULT;
    return 0;
}

SYSCALL_DEFINE(rt_sigpending)
{
    u64 size = ARG_ULONG(1);
    if (size > sizeof(u64))
        return -EINVAL;
    spin_lock_irq(&current->sighand->siglock);
    u64 set = (current->pending.signal.sig | current->signal->shared_pending.signal.sig) &
              current->blocked.sig;
    spin_unlock_irq(&current->sighand->siglock);
    return copy_to_user(ARG_PTR(0), &set, size) ? -EFAULT : 0;
}

static void sleep_until_signal(void)
{
    for (;;) {
        set_current_state(TASK_INTERRUPTIBLE);
        if (signal_pending(current))
            break;
        schedule();
    }
    __set_current_state(TASK_RUNNING);
}

SYSCALL_DEFINE(pause)
{
    (void)a;
    sleep_until_signal();
    return -ERESTARTNOHAND;
}

SYSCALL_DEFINE(rt_sigsuspend)
{
    sigset_t_k set;
    if (ARG_ULONG(1) != sizeof(set))
        return -EINVAL;
    if (copy_from_user(&set, ARG_PTR(0), sizeof(set)))
        return -EFAULT;
    current->saved_sigmask = current->blocked;
    set_current_blocked(&set);
    sleep_until_signal();
    current->flags |= PF_RESTORE_SIGMASK;
    return -ERESTARTNOHAND;
}

// Waits for one of the signals outside `mask`. Its number, or -EAGAIN, -EINTR.
static int timed_wait(const sigset_t_k *mask, struct linux_siginfo *info, u64 deadline)
{
    struct task_struct *t = current;
    spin_lock_irq(&t->sighand->siglock);
    int sig = dequeue_signal(t, mask, info);
    if (sig || deadline <= ktime_get()) {
        spin_unlock_irq(&t->sighand->siglock);
        return sig ? sig : -EAGAIN;
    }
    // Unblocked while it sleeps so that the sender wakes it; real_blocked keeps the default action
    // away.
    t->real_blocked = t->blocked;
    t->blocked.sig &= mask->sig;
    recalc_sigpending();
    spin_unlock_irq(&t->sighand->siglock);
    bool in_time = true;
    set_current_state(TASK_INTERRUPTIBLE);
    if (!signal_pending(t))
        in_time = schedule_deadline(deadline);
    __set_current_state(TASK_RUNNING);
    spin_lock_irq(&t->sighand->siglock);
    set_task_blocked_locked(t, &t->real_blocked);
    t->real_blocked.sig = 0;
    sig = dequeue_signal(t, mask, info);
    spin_unlock_irq(&t->sighand->siglock);
    if (sig)
        return sig;
    return in_time ? -EINTR : -EAGAIN;
}

SYSCALL_DEFINE(rt_sigtimedwait)
{
    struct linux_siginfo info;
    u64 these, deadline = KTIME_MAX;
    if (ARG_ULONG(3) != sizeof(these))
        return -EINVAL;
    if (get_user(these, (u64 __user *)ARG_PTR(0)))
        return -EFAULT;
    if (ARG_ULONG(2)) {
        u64 ns;
        int error = get_timespec_ns(&ns, ARG_PTR(2));
        if (error)
            return error;
        deadline = deadline_after(ns);
    }
    sigset_t_k mask = {~(these & ~SIG_KERNEL_ONLY_MASK)};
    int sig = timed_wait(&mask, &info, deadline);
    if (sig > 0 && ARG_ULONG(1) && copy_to_user(ARG_PTR(1), &info, sizeof(info)))
        return -EFAULT;
    return sig;
}

SYSCALL_DEFINE(sigaltstack)
{
    struct task_struct *t = current;
    u64 sp = a->regs->sp;
    struct linux_stack fresh,
        old = {t->sas_sp, altstack_flags(t, sp) | (int)(t->sas_flags & SS_AUTODISARM), t->sas_size};
    if (ARG_ULONG(0)) {
        if (copy_from_user(&fresh, ARG_PTR(0), sizeof(fresh)))
            return -EFAULT;
        int error = altstack_set(&fresh, sp, MINSIGSTKSZ);
        if (error)
            return error;
    }
    if (ARG_ULONG(1) && copy_to_user(ARG_PTR(1), &old, sizeof(old)))
        return -EFAULT;
    return 0;
}

SYSCALL_DEFINE(restart_syscall)
{
    (void)a;
    struct restart_block *rb = &current->restart_block;
    return rb->fn ? rb->fn(rb) : -EINTR;
}

// --- sending

static void fill_sender(struct linux_siginfo *info, int sig, int code)
{
    memset(info, 0, sizeof(*info));
    info->si_signo = sig;
    info->si_code = code;
    info->rt.pid = task_tgid_vnr(current);
    info->rt.uid = current_uid();
}

// tasklist_lock held.
static int kill_one(struct task_struct *t, int sig, struct linux_siginfo *info, bool group)
{
    int error = check_kill_permission(sig, info, t);
    if (error)
        return error;
    return group ? group_send_sig_info(sig, info, t) : send_sig_info(sig, info, t);
}

static int kill_process(pid_t nr, int sig, struct linux_siginfo *info)
{
    spin_lock(&tasklist_lock);
    struct pid *p = find_vpid(nr);
    struct task_struct *t = pid_task(p, PIDTYPE_PID);
    int error = t ? kill_one(t, sig, info, true) : -ESRCH;
    spin_unlock(&tasklist_lock);
    return error;
}

// Everybody but init and the caller. -ESRCH: nobody; else the last result, EPERM forgotten if any
// succeeded.
static int kill_everybody(int sig, struct linux_siginfo *info)
{
    struct task_struct *t;
    int result = -ESRCH, count = 0;
    spin_lock(&tasklist_lock);
    for_each_process(t) {
        if (task_tgid_vnr(t) <= 1 || same_thread_group(t, current))
            continue;
        int error = kill_one(t, sig, info, true);
        count++;
        if (error != -EPERM)
            result = error;
    }
    spin_unlock(&tasklist_lock);
    return count && result == -ESRCH ? -EPERM : result;
}

static int kill_group(pid_t nr, int sig, struct linux_siginfo *info)
{
    spin_lock(&tasklist_lock);
    struct pid *p = nr ? find_vpid(nr) : task_pgrp(current);
    int error = p ? kill_pgrp_checked(p, sig, info) : -ESRCH;
    spin_unlock(&tasklist_lock);
    return error;
}

SYSCALL_DEFINE(kill)
{
    pid_t pid = ARG_INT(0);
    int sig = ARG_INT(1);
    struct linux_siginfo info;
    fill_sender(&info, sig, SI_USER);
    if (pid > 0)
        return kill_process(pid, sig, &info);
    if (pid == -1)
        return kill_everybody(sig, &info);
    if (pid == -0x7fffffff - 1)
        return -ESRCH;
    return kill_group(-pid, sig, &info);
}

static long kill_thread(pid_t tgid, pid_t tid, int sig, struct linux_siginfo *info)
{
    spin_lock(&tasklist_lock);
    struct task_struct *t = pid_task(find_vpid(tid), PIDTYPE_PID);
    int error = -ESRCH;
    if (t && (tgid <= 0 || task_tgid_vnr(t) == tgid)) {
        error = check_kill_permission(sig, info, t);
        if (!error && sig)
            error = send_sig_info(sig, info, t);
        if (error == -ESRCH)
            error = 0; // it dies right now: the signal came in time
    }
    spin_unlock(&tasklist_lock);
    return error;
}

SYSCALL_DEFINE(tgkill)
{
    struct linux_siginfo info;
    if (ARG_INT(0) <= 0 || ARG_INT(1) <= 0)
        return -EINVAL;
    fill_sender(&info, ARG_INT(2), SI_TKILL);
    return kill_thread(ARG_INT(0), ARG_INT(1), ARG_INT(2), &info);
}

SYSCALL_DEFINE(tkill)
{
    struct linux_siginfo info;
    if (ARG_INT(0) <= 0)
        return -EINVAL;
    fill_sender(&info, ARG_INT(1), SI_TKILL);
    return kill_thread(0, ARG_INT(0), ARG_INT(1), &info);
}

// Nobody may pretend to be kill(2) or the kernel, except towards itself.
static long get_queue_info(struct linux_siginfo *info, int sig, const void __user *from, pid_t pid)
{
    if (copy_from_user(info, from, sizeof(*info)))
        return -EFAULT;
    info->si_signo = sig;
    if ((info->si_code >= 0 || info->si_code == SI_TKILL) && task_tgid_vnr(current) != pid)
        return -EPERM;
    return 0;
}

SYSCALL_DEFINE(rt_sigqueueinfo)
{
    struct linux_siginfo info;
    long error = get_queue_info(&info, ARG_INT(1), ARG_PTR(2), ARG_INT(0));
    return error ? error : kill_process(ARG_INT(0), ARG_INT(1), &info);
}

SYSCALL_DEFINE(rt_tgsigqueueinfo)
{
    struct linux_siginfo info;
    if (ARG_INT(0) <= 0 || ARG_INT(1) <= 0)
        return -EINVAL;
    long error = get_queue_info(&info, ARG_INT(2), ARG_PTR(3), ARG_INT(1));
    return error ? error : kill_thread(ARG_INT(0), ARG_INT(1), ARG_INT(2), &info);
}
