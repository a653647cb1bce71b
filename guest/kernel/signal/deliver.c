// SPDX-License-Identifier: MIT
// Taking signals on the way to user mode: default actions, group stop, handlers, restart of system
// calls. signal(7).
#include "abi/wait.h"
#include "arch/x86_64/uaccess.h"
#include "proc/proc_internal.h"
#include "proc/rseq.h"
#include "sched/sched.h"
#include "signal/sigqueue.h"
#include "signal/sigset.h"

#define SYSCALL_INSTRUCTION_SIZE 2
#define NR_RESTART_SYSCALL 219

bool task_participate_group_stop(struct task_struct *t)
{
    struct signal_struct *s = t->signal;
    bool consume = t->jobctl & JOBCTL_STOP_CONSUME;
    t->jobctl &= ~(JOBCTL_STOP_PENDING | JOBCTL_STOP_CONSUME);
    if (!consume)
        return false;
    if (s->group_stop_count > 0)
        s->group_stop_count--;
    if (s->group_stop_count == 0 && !(s->flags & SIGNAL_STOP_STOPPED)) {
        s->flags = (s->flags & ~SIGNAL_STOP_MASK) | SIGNAL_STOP_STOPPED;
        return true;
    }
    return false;
}

static bool task_stopped(const struct task_struct *t)
{
    return t->state & TASK_STOPPED_STATE;
}

static bool mark_for_stop(struct task_struct *t)
{
    if ((t->flags & PF_EXITING) || sig_member(&t->pending.signal, SIGKILL))
        return false;
    t->jobctl |= JOBCTL_STOP_PENDING | JOBCTL_STOP_CONSUME;
    return true;
}

// A stop of the whole group begins with `sig`. siglock held.
static void start_group_stop(int sig)
{
    struct signal_struct *s = current->signal;
    struct task_struct *t;
    if (!(s->flags & SIGNAL_STOP_STOPPED))
        s->group_exit_code = sig;
    s->group_stop_count = 0;
    for_each_thread(current, t) {
        if (t != current && (task_stopped(t) || !mark_for_stop(t)))
            continue;
        if (t == current && !mark_for_stop(t))
            continue;
        s->group_stop_count++;
        if (t != current)
            signal_wake_up(t, false);
    }
}

// Stops current as part of its group (sig != 0 starts the stop). siglock held: true = it was
// dropped, look again.
static bool do_signal_stop(int sig)
{
    struct task_struct *t = current;
    if (!(t->jobctl & JOBCTL_STOP_PENDING)) {
        // A SIGCONT may have come between the dequeueing and now.
        if (!(t->jobctl & JOBCTL_STOP_DEQUEUED) || signal_group_exiting(t->signal))
            return false;
        start_group_stop(sig);
        if (!(t->jobctl & JOBCTL_STOP_PENDING))
            return false;
    }
    bool last = task_participate_group_stop(t);
    set_current_state(TASK_STOPPED);
    spin_unlock_irq(&t->sighand->siglock);
    if (last) {
        spin_lock(&tasklist_lock);
        do_notify_parent_cldstop(t, CLD_STOPPED);
        spin_unlock(&tasklist_lock);
    }
    schedule();
    return true;
}

// The parent hears of a stop or continue that SIGCONT found (send.c). siglock held; dropped and
// true if there was one.
static bool report_cldstop(void)
{
    struct signal_struct *s = current->signal;
    if (!(s->flags & SIGNAL_CLD_MASK))
        return false;
    int why = s->flags & SIGNAL_CLD_CONTINUED ? CLD_CONTINUED : CLD_STOPPED;
    s->flags &= ~SIGNAL_CLD_MASK;
    spin_unlock_irq(&current->sighand->siglock);
    spin_lock(&tasklist_lock);
    do_notify_parent_cldstop(current, why);
    spin_unlock(&tasklist_lock);
    return true;
}

static void __noreturn die_of_signal(int sig)
{
    spin_unlock_irq(&current->sighand->siglock);
    // No core files are written, so the core bit (0x80) of the status stays clear, as with
    // RLIMIT_CORE 0.
    do_group_exit(sig);
}

enum action { ACTION_NONE, ACTION_HANDLER, ACTION_RELOCK };

// What the disposition says. siglock held, except after ACTION_RELOCK.
static enum action act_on(struct ksignal *k)
{
    struct task_struct *t = current;
    struct k_sigaction *a = sig_action(t, k->sig);
    if (a->sa.handler == LINUX_SIG_IGN)
        return ACTION_NONE;
    if (a->sa.handler != LINUX_SIG_DFL) {
        k->action = a->sa;
        if (a->sa.flags & SA_RESETHAND)
            a->sa.handler = LINUX_SIG_DFL;
        return ACTION_HANDLER;
    }
    if (sig_in(SIG_IGNORE_MASK, k->sig))
        return ACTION_NONE;
    if ((t->signal->flags & SIGNAL_UNKILLABLE) && !sig_in(SIG_KERNEL_ONLY_MASK, k->sig))
        return ACTION_NONE;
    if (sig_in(SIG_STOP_MASK, k->sig)) {
        if (k->sig != SIGSTOP) {
            spin_unlock_irq(&t->sighand->siglock);
            bool orphaned = is_current_pgrp_orphaned();
            spin_lock_irq(&t->sighand->siglock);
            if (orphaned)
                return ACTION_NONE;
        }
        return do_signal_stop(k->sig) ? ACTION_RELOCK : ACTION_NONE;
    }
    die_of_signal(k->sig);
}

bool get_signal(struct ksignal *k)
{
    struct task_struct *t = current;
relock:
    spin_lock_irq(&t->sighand->siglock);
    if (report_cldstop())
        goto relock;
    if (signal_group_exiting(t->signal) && t->signal->group_exec_task != t) {
        sig_del(&t->pending.signal, SIGKILL);
        recalc_sigpending();
        die_of_signal(SIGKILL); // do_group_exit takes the code that the group got
    }
    for (;;) {
        if ((t->jobctl & JOBCTL_STOP_PENDING) && do_signal_stop(0))
            goto relock;
        k->sig = dequeue_signal(t, &t->blocked, &k->info);
        if (!k->sig)
            break;
        enum action what = act_on(k);
        if (what == ACTION_RELOCK)
            goto relock;
        if (what == ACTION_HANDLER)
            break;
    }
    spin_unlock_irq(&t->sighand->siglock);
    return k->sig != 0;
}

void exit_signals(struct task_struct *t)
{
    bool last = false;
    spin_lock_irq(&t->sighand->siglock);
    t->flags |= PF_EXITING;
    if (!signal_group_exiting(t->signal) && !list_is_singular(&t->signal->thread_head)) {
        sigset_t_k unblocked = {~t->blocked.sig};
        if (signal_pending(t))
            retarget_shared_pending(t, &unblocked);
        if (t->jobctl & JOBCTL_STOP_PENDING)
            last = task_participate_group_stop(t);
    }
    spin_unlock_irq(&t->sighand->siglock);
    if (last) {
        spin_lock(&tasklist_lock);
        do_notify_parent_cldstop(t, CLD_STOPPED);
        spin_unlock(&tasklist_lock);
    }
}

// The table of contract 13: what an interrupted call returns when a handler runs, or whether it
// starts over.
static void restart_for_handler(struct pt_regs *regs, const struct ksignal *k)
{
    switch ((long)regs->ax) {
    case -ERESTARTSYS:
        if (!(k->action.flags & SA_RESTART)) {
            regs->ax = (u64)-EINTR;
            break;
        }
        fallthrough;
    case -ERESTARTNOINTR:
        regs->ax = regs->orig_ax;
        regs->ip -= SYSCALL_INSTRUCTION_SIZE;
        break;
    case -ERESTARTNOHAND:
    case -ERESTART_RESTARTBLOCK:
        regs->ax = (u64)-EINTR;
        break;
    }
}

static void restart_without_handler(struct pt_regs *regs)
{
    regs->ax = (long)regs->ax == -ERESTART_RESTARTBLOCK ? NR_RESTART_SYSCALL : regs->orig_ax;
    regs->ip -= SYSCALL_INSTRUCTION_SIZE;
}

static const sigset_t_k *mask_to_save(void)
{
    return current->flags & PF_RESTORE_SIGMASK ? &current->saved_sigmask : &current->blocked;
}

// After the frame is up: the handler's mask. A mask that a call had put aside now lives in the
// frame.
static void signal_delivered(const struct ksignal *k)
{
    struct task_struct *t = current;
    sigset_t_k blocked = {t->blocked.sig | k->action.mask};
    if (!(k->action.flags & SA_NODEFER))
        sig_add(&blocked, k->sig);
    t->flags &= ~PF_RESTORE_SIGMASK;
    set_current_blocked(&blocked);
}

// No frame could be built: the task gets SIGSEGV, without a handler if that is what failed.
static void frame_failed(int sig)
{
    if (sig == SIGSEGV) {
        spin_lock_irq(&current->sighand->siglock);
        sig_action(current, SIGSEGV)->sa.handler = LINUX_SIG_DFL;
        spin_unlock_irq(&current->sighand->siglock);
    }
    force_sig(SIGSEGV);
}

void do_signal(struct pt_regs *regs)
{
    struct ksignal k;
    while (get_signal(&k)) {
        if (current->restart_pending) {
            current->restart_pending = false;
            restart_for_handler(regs, &k);
        }
        rseq_signal(regs);
        if (setup_rt_frame(&k, regs, mask_to_save()) == 0)
            signal_delivered(&k);
        else
            frame_failed(k.sig);
        if (!signal_pending(current))
            return;
    }
    if (current->restart_pending) {
        current->restart_pending = false;
        restart_without_handler(regs);
    }
    restore_saved_sigmask_unless(false);
}

void restore_saved_sigmask_unless(bool interrupted)
{
    if (interrupted || !(current->flags & PF_RESTORE_SIGMASK))
        return;
    current->flags &= ~PF_RESTORE_SIGMASK;
    set_current_blocked(&current->saved_sigmask);
}

int set_user_sigmask(const void __user *umask, size_t size)
{
    sigset_t_k set;
    if (!umask)
        return 0;
    if (size != sizeof(set))
        return -EINVAL;
    if (copy_from_user(&set, umask, sizeof(set)))
        return -EFAULT;
    current->saved_sigmask = current->blocked;
    current->flags |= PF_RESTORE_SIGMASK;
    set_current_blocked(&set);
    return 0;
}

bool is_ignored_or_blocked(int sig)
{
    return sig_member(&current->blocked, sig) ||
           sig_action(current, sig)->sa.handler == LINUX_SIG_IGN;
}
