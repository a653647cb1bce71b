// SPDX-License-Identifier: MIT
// Sending signals: what is ignored at once, stop and continue, queueing, which thread is woken.
// signal(7).
#include "lib/string.h"
#include "mm/gfp.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "signal/sigqueue.h"
#include "signal/sigset.h"

static bool info_is_special(const struct linux_siginfo *info)
{
    return info == SEND_SIG_NOINFO || info == SEND_SIG_PRIV;
}

// Kernel-made signals reach even init's and are not bound by the queue limit.
static bool info_from_kernel(const struct linux_siginfo *info)
{
    return info == SEND_SIG_PRIV || (!info_is_special(info) && info->si_code > 0);
}

bool signal_group_exiting(const struct signal_struct *s)
{
    return (s->flags & SIGNAL_GROUP_EXIT) || s->group_exec_task;
}

static bool default_ignored(struct task_struct *t, int sig, bool force)
{
    u64 handler = sig_action(t, sig)->sa.handler;
    if ((t->signal->flags & SIGNAL_UNKILLABLE) && handler == LINUX_SIG_DFL &&
        !(force && sig_in(SIG_KERNEL_ONLY_MASK, sig)))
        return true;
    return handler == LINUX_SIG_IGN || (handler == LINUX_SIG_DFL && sig_in(SIG_IGNORE_MASK, sig));
}

static bool sig_ignored(struct task_struct *t, int sig, bool force)
{
    // A blocked signal may get a handler before it is unblocked.
    if (sig_member(&t->blocked, sig) || sig_member(&t->real_blocked, sig))
        return false;
    return default_ignored(t, sig, force);
}

static void forget_in_group(struct task_struct *t, u64 mask)
{
    struct task_struct *other;
    sigpending_remove(&t->signal->shared_pending, mask);
    for_each_thread(t, other)
        sigpending_remove(&other->pending, mask);
}

static void continue_group(struct task_struct *t)
{
    struct signal_struct *s = t->signal;
    struct task_struct *other;
    forget_in_group(t, SIG_STOP_MASK);
    for_each_thread(t, other) {
        other->jobctl &= ~(JOBCTL_STOP_PENDING | JOBCTL_STOP_CONSUME | JOBCTL_STOP_DEQUEUED);
        wake_up_state(other, TASK_STOPPED_STATE);
    }
    unsigned why = 0;
    if (s->flags & SIGNAL_STOP_STOPPED)
        why = SIGNAL_CLD_CONTINUED;
    else if (s->group_stop_count)
        why = SIGNAL_CLD_STOPPED;
    if (why) {
        // The first thread on its way out (get_signal) tells the parent: that needs tasklist_lock.
        s->flags = (s->flags & ~SIGNAL_STOP_MASK) | why | SIGNAL_STOP_CONTINUED;
        s->group_stop_count = 0;
        s->group_exit_code = 0;
    }
}

// Side effects of a signal that happen even if it is blocked or ignored. False: drop it.
static bool prepare_signal(int sig, struct task_struct *t, bool force)
{
    // Kernel threads never get to a place where signals are taken: a pending one would only keep
    // them from sleeping.
    if (t->flags & PF_KTHREAD)
        return false;
    if (t->signal->flags & SIGNAL_GROUP_EXIT)
        return sig == SIGKILL;
    if (sig_in(SIG_STOP_MASK, sig))
        forget_in_group(t, SIGMASK(SIGCONT));
    else if (sig == SIGCONT)
        continue_group(t);
    return !sig_ignored(t, sig, force);
}

static bool wants_signal(int sig, struct task_struct *t)
{
    if (sig_member(&t->blocked, sig) || (t->flags & PF_EXITING))
        return false;
    if (sig == SIGKILL)
        return true;
    if (t->state & (TASK_STOPPED_STATE | TASK_TRACED_STATE))
        return false;
    return t == current || !signal_pending(t);
}

static struct task_struct *choose_thread(int sig, struct task_struct *t, bool group)
{
    if (wants_signal(sig, t))
        return t;
    if (!group)
        return NULL;
    struct task_struct *other;
    for_each_thread(t, other) {
        if (wants_signal(sig, other))
            return other;
    }
    return NULL;
}

static bool ends_group(struct task_struct *t, int sig)
{
    if (sig_in(SIG_STOP_MASK | SIG_IGNORE_MASK, sig) && sig != SIGKILL)
        return false;
    return sig_action(t, sig)->sa.handler == LINUX_SIG_DFL;
}

static void kill_all_threads(struct task_struct *t)
{
    struct task_struct *other;
    for_each_thread(t, other) {
        other->jobctl &= ~(JOBCTL_STOP_PENDING | JOBCTL_STOP_CONSUME);
        sig_add(&other->pending.signal, SIGKILL);
        signal_wake_up(other, true);
    }
}

static void complete_signal(int sig, struct task_struct *t, bool group)
{
    struct signal_struct *s = t->signal;
    struct task_struct *target = choose_thread(sig, t, group);
    if (!target)
        return; // whoever unblocks it finds it
    if (ends_group(target, sig) && !(s->flags & SIGNAL_GROUP_EXIT) &&
        !(s->flags & SIGNAL_UNKILLABLE && sig != SIGKILL) &&
        !sig_member(&target->real_blocked, sig) && !sig_in(SIG_CORE_MASK, sig)) {
        s->flags = SIGNAL_GROUP_EXIT | (s->flags & SIGNAL_UNKILLABLE);
        s->group_exit_code = sig;
        s->group_stop_count = 0;
        kill_all_threads(target);
        return;
    }
    signal_wake_up(target, sig == SIGKILL);
}

static void fill_info(struct linux_siginfo *to, int sig, const struct linux_siginfo *from)
{
    if (!info_is_special(from)) {
        *to = *from;
        return;
    }
    memset(to, 0, sizeof(*to));
    to->si_signo = sig;
    if (from == SEND_SIG_PRIV) {
        to->si_code = SI_KERNEL;
        return;
    }
    to->si_code = SI_USER;
    to->rt.pid = task_tgid_vnr(current);
    to->rt.uid = current_uid();
}

// siglock held.
static int send_signal_locked(int sig, struct linux_siginfo *info, struct task_struct *t,
                              bool group)
{
    bool force = info_from_kernel(info);
    if (!prepare_signal(sig, t, force))
        return 0;
    struct sigpending *pending = group ? &t->signal->shared_pending : &t->pending;
    if (sig < LINUX_SIGRTMIN && sig_member(&pending->signal, sig))
        return 0;
    if (sig != SIGKILL) {
        bool override = sig < LINUX_SIGRTMIN && (info_is_special(info) || info->si_code >= 0);
        struct sigqueue *q = sigqueue_alloc(t, GFP_ATOMIC, override);
        if (q) {
            fill_info(&q->info, sig, info);
            list_add_tail(&q->list, &pending->list);
        } else if (sig >= LINUX_SIGRTMIN && !info_is_special(info) && info->si_code != SI_USER) {
            return -EAGAIN;
        }
    }
    sig_add(&pending->signal, sig);
    if (t->sighand->signalfd_wqh.head.next != &t->sighand->signalfd_wqh.head)
        wake_up_all(&t->sighand->signalfd_wqh);
    complete_signal(sig, t, group);
    return 0;
}

static int do_send(int sig, struct linux_siginfo *info, struct task_struct *t, bool group)
{
    unsigned long flags;
    if (!lock_task_sighand(t, &flags))
        return -ESRCH;
    int error = sig ? send_signal_locked(sig, info, t, group) : 0;
    spin_unlock_irqrestore(&t->sighand->siglock, flags);
    return error;
}

int send_sig_info(int sig, struct linux_siginfo *info, struct task_struct *t)
{
    return do_send(sig, info, t, false);
}

int group_send_sig_info(int sig, struct linux_siginfo *info, struct task_struct *t)
{
    return do_send(sig, info, t, true);
}

int send_sig(int sig, struct task_struct *t, int priv)
{
    return do_send(sig, priv ? SEND_SIG_PRIV : SEND_SIG_NOINFO, t, false);
}

static struct task_struct *first_task_of(struct pid *p)
{
    struct task_struct *t = pid_task(p, PIDTYPE_TGID);
    return t ? t : pid_task(p, PIDTYPE_PID);
}

int kill_pid(struct pid *p, int sig, int priv)
{
    spin_lock(&tasklist_lock);
    struct task_struct *t = first_task_of(p);
    int error = t ? do_send(sig, priv ? SEND_SIG_PRIV : SEND_SIG_NOINFO, t, true) : -ESRCH;
    spin_unlock(&tasklist_lock);
    return error;
}

int kill_pgrp(struct pid *pgrp, int sig, int priv)
{
    struct task_struct *t;
    int error = -ESRCH;
    spin_lock(&tasklist_lock);
    for_each_task_of_pid(pgrp, PIDTYPE_PGID, t) {
        int e = do_send(sig, priv ? SEND_SIG_PRIV : SEND_SIG_NOINFO, t, true);
        if (error)
            error = e;
    }
    spin_unlock(&tasklist_lock);
    return error;
}

int check_kill_permission(int sig, struct linux_siginfo *info, struct task_struct *t)
{
    if ((unsigned)sig > LINUX_NSIG)
        return -EINVAL;
    if (!info_is_special(info) && info->si_code > 0)
        return 0; // from the kernel
    const struct cred *mine = current_cred();
    const struct cred *other = get_task_cred(t);
    bool ok = same_thread_group(current, t) || mine->euid == other->suid ||
              mine->euid == other->uid || mine->uid == other->suid || mine->uid == other->uid ||
              capable(CAP_KILL);
    put_cred(other);
    if (ok || (sig == SIGCONT && task_session(t) == task_session(current)))
        return 0;
    return -EPERM;
}

int kill_pgrp_checked(struct pid *pgrp, int sig, struct linux_siginfo *info)
{
    struct task_struct *t;
    int error = -ESRCH;
    for_each_task_of_pid(pgrp, PIDTYPE_PGID, t) {
        int e = check_kill_permission(sig, info, t);
        if (!e)
            e = do_send(sig, info, t, true);
        if (error)
            error = e;
    }
    return error;
}

static void force_info(struct linux_siginfo *info)
{
    struct task_struct *t = current;
    int sig = info->si_signo;
    unsigned long flags;
    spin_lock_irqsave(&t->sighand->siglock, flags);
    struct k_sigaction *a = sig_action(t, sig);
    bool blocked = sig_member(&t->blocked, sig);
    if (blocked || a->sa.handler == LINUX_SIG_IGN) {
        a->sa.handler = LINUX_SIG_DFL;
        if (blocked) {
            sig_del(&t->blocked, sig);
            recalc_sigpending();
        }
    }
    if (a->sa.handler == LINUX_SIG_DFL)
        t->signal->flags &= ~SIGNAL_UNKILLABLE; // even init dies of its own faults
    send_signal_locked(sig, info, t, false);
    spin_unlock_irqrestore(&t->sighand->siglock, flags);
}

void force_sig_fault(int sig, int code, void __user *addr)
{
    struct linux_siginfo info = {.si_signo = sig, .si_code = code};
    info.fault.addr = (u64)addr;
    force_info(&info);
}

void force_sig(int sig)
{
    struct linux_siginfo info = {.si_signo = sig, .si_code = SI_KERNEL};
    force_info(&info);
}
