// SPDX-License-Identifier: MIT
// What a parent is told about its children: SIGCHLD and the wake-up of wait(2).
#include "proc/proc_internal.h"
#include "abi/wait.h"
#include "sched/sched.h"
#include "signal/sigset.h"

static void wake_parent(struct task_struct *parent)
{
    wake_up_interruptible_all(&parent->signal->wait_chldexit);
}

static void fill_child_info(struct linux_siginfo *info, struct task_struct *t,
                            struct task_struct *parent)
{
    u64 utime, stime;
    info->chld.pid = pid_nr_ns(t->thread_pid, task_active_pid_ns(parent));
    info->chld.uid = t->cred->uid;
    thread_group_cputime_adjusted(t, &utime, &stime);
    info->chld.utime = (s64)(utime / (NSEC_PER_SEC / USER_HZ));
    info->chld.stime = (s64)(stime / (NSEC_PER_SEC / USER_HZ));
}

bool do_notify_parent(struct task_struct *t, int sig)
{
    struct task_struct *parent = t->parent;
    struct linux_siginfo info = {.si_signo = sig};
    fill_child_info(&info, t, parent);
    info.chld.status = t->exit_code & 0x7f;
    if (t->exit_code & 0x80) {
        info.si_code = CLD_DUMPED;
    } else if (t->exit_code & 0x7f) {
        info.si_code = CLD_KILLED;
    } else {
        info.si_code = CLD_EXITED;
        info.chld.status = (t->exit_code >> 8) & 0xff;
    }

    bool autoreap = (t->flags & PF_KTHREAD) != 0;
    unsigned long flags;
    if (!lock_task_sighand(parent, &flags))
        return true;
    if (sig == SIGCHLD) {
        const struct linux_sigaction *a = &sig_action(parent, SIGCHLD)->sa;
        if (a->handler == LINUX_SIG_IGN || (a->flags & SA_NOCLDWAIT))
            autoreap = true;
        if (a->handler == LINUX_SIG_IGN)
            sig = 0;
    }
    spin_unlock_irqrestore(&parent->sighand->siglock, flags);
    if (sig_valid(sig) && !(t->flags & PF_KTHREAD))
        group_send_sig_info(sig, &info, parent);
    wake_parent(parent);
    return autoreap;
}

void do_notify_parent_cldstop(struct task_struct *t, int why)
{
    struct task_struct *leader = t->group_leader, *parent = leader->real_parent;
    struct linux_siginfo info = {.si_signo = SIGCHLD, .si_code = why};
    fill_child_info(&info, leader, parent);
    info.chld.status = why == CLD_CONTINUED ? SIGCONT : t->signal->group_exit_code & 0x7f;
    unsigned long flags;
    if (!lock_task_sighand(parent, &flags))
        return;
    const struct linux_sigaction *a = &sig_action(parent, SIGCHLD)->sa;
    bool tell = a->handler != LINUX_SIG_IGN && !(a->flags & SA_NOCLDSTOP);
    spin_unlock_irqrestore(&parent->sighand->siglock, flags);
    if (tell)
        group_send_sig_info(SIGCHLD, &info, parent);
    wake_parent(parent);
}
