// SPDX-License-Identifier: MIT
// Waiting for children: wait4(2), waitid(2) and what they report.
#include "abi/resource.h"
#include "abi/wait.h"
#include "arch/x86_64/uaccess.h"
#include "lib/string.h"
#include "proc/proc_internal.h"
#include "proc/rusage.h"
#include "sched/sched.h"
#include "signal/sigset.h"
#include "syscall/syscall.h"

struct wait_opts {
    int type; // P_ALL, P_PID, P_PGID
    unsigned flags;
    struct pid *pid; // counted, or NULL
    struct linux_rusage *rusage; // NULL: not wanted
    int status;                  // as wait4 reports it
    struct { int cause; pid_t pid; uid_t uid; int status; } info; // as waitid does; pid 0: nothing
    int none_error; // -ECHILD until a child is seen that could still report
};

static bool eligible(const struct wait_opts *w, struct task_struct *p)
{
    if (w->type == P_PID && task_pid(p) != w->pid)
        return false;
    if (w->type == P_PGID && task_pgrp(p) != w->pid)
        return false;
    // "Clone" children (other exit signal than SIGCHLD) are for __WCLONE, unless __WALL takes all.
    if (w->flags & WALL)
        return true;
    return (p->exit_signal != SIGCHLD) == !!(w->flags & WCLONE);
}

static void add_child_sums(struct task_struct *p)
{
    struct signal_struct *mine = current->signal, *s = p->signal;
    u64 utime, stime;
    thread_group_cputime_adjusted(p, &utime, &stime);
    spin_lock_irq(&current->sighand->siglock);
    mine->cutime += utime + s->cutime;
    mine->cstime += stime + s->cstime;
    mine->cmin_flt += p->min_flt + s->min_flt + s->cmin_flt;
    mine->cmaj_flt += p->maj_flt + s->maj_flt + s->cmaj_flt;
    mine->cnvcsw += p->nvcsw + s->nvcsw + s->cnvcsw;
    mine->cnivcsw += p->nivcsw + s->nivcsw + s->cnivcsw;
    mine->cinblock += s->inblock + s->cinblock;
    mine->coublock += s->oublock + s->coublock;
    mine->cmaxrss = max(mine->cmaxrss, max(s->maxrss, s->cmaxrss));
    spin_unlock_irq(&current->sighand->siglock);
}

static void set_info(struct wait_opts *w, struct task_struct *p, int cause, int status)
{
    w->info.cause = cause;
    w->info.pid = task_pid_vnr(p);
    w->info.uid = p->cred->uid;
    w->info.status = status;
}

// All three with tasklist_lock held, which they drop when they report; the result is the pid, or 0:
// nothing here.
static pid_t wait_zombie(struct wait_opts *w, struct task_struct *p)
{
    if (!(w->flags & WEXITED))
        return 0;
    int code = p->signal->flags & SIGNAL_GROUP_EXIT ? p->signal->group_exit_code : p->exit_code;
    w->status = code;
    if (code & 0x7f)
        set_info(w, p, code & 0x80 ? CLD_DUMPED : CLD_KILLED, code & 0x7f);
    else
        set_info(w, p, CLD_EXITED, (code >> 8) & 0xff);
    pid_t nr = w->info.pid;
    if (w->rusage)
        rusage_of_process(p, RUSAGE_BOTH, w->rusage);
    if (w->flags & WNOWAIT) {
        spin_unlock(&tasklist_lock);
        return nr;
    }
    add_child_sums(p);
    p->exit_state = EXIT_DEAD; // ours alone from here
    spin_unlock(&tasklist_lock);
    release_task(p);
    return nr;
}

static pid_t wait_stopped(struct wait_opts *w, struct task_struct *p)
{
    if (!(w->flags & WSTOPPED))
        return 0;
    int code = 0;
    spin_lock_irq(&p->sighand->siglock);
    if (p->signal->flags & SIGNAL_STOP_STOPPED) {
        code = p->signal->group_exit_code;
        if (!(w->flags & WNOWAIT))
            p->signal->group_exit_code = 0;
    }
    spin_unlock_irq(&p->sighand->siglock);
    if (!code)
        return 0;
    w->status = code << 8 | 0x7f;
    set_info(w, p, CLD_STOPPED, code);
    if (w->rusage)
        rusage_of_process(p, RUSAGE_BOTH, w->rusage);
    spin_unlock(&tasklist_lock);
    return w->info.pid;
}

static pid_t wait_continued(struct wait_opts *w, struct task_struct *p)
{
    if (!(w->flags & WCONTINUED) || !(p->signal->flags & SIGNAL_STOP_CONTINUED))
        return 0;
    spin_lock_irq(&p->sighand->siglock);
    bool continued = p->signal->flags & SIGNAL_STOP_CONTINUED;
    if (continued && !(w->flags & WNOWAIT))
        p->signal->flags &= ~SIGNAL_STOP_CONTINUED;
    spin_unlock_irq(&p->sighand->siglock);
    if (!continued)
        return 0;
    w->status = 0xffff;
    set_info(w, p, CLD_CONTINUED, SIGCONT);
    if (w->rusage)
        rusage_of_process(p, RUSAGE_BOTH, w->rusage);
    spin_unlock(&tasklist_lock);
    return w->info.pid;
}

static pid_t consider(struct wait_opts *w, struct task_struct *p)
{
    if (p->exit_state == EXIT_DEAD || !eligible(w, p))
        return 0;
    pid_t nr = 0;
    if (p->exit_state == EXIT_ZOMBIE && thread_group_empty(p)) {
        if (w->flags & WEXITED)
            w->none_error = 0;
        return wait_zombie(w, p);
    }
    w->none_error = 0;
    if ((nr = wait_stopped(w, p)))
        return nr;
    return wait_continued(w, p);
}

static pid_t scan_children(struct wait_opts *w, struct task_struct *parent)
{
    struct task_struct *p;
    list_for_each_entry(p, &parent->children, sibling) {
        pid_t nr = consider(w, p);
        if (nr)
            return nr;
    }
    return 0;
}

// One look at all children; true with *nr: reported and tasklist_lock dropped.
static pid_t scan(struct wait_opts *w)
{
    struct task_struct *t;
    pid_t nr = 0;
    w->none_error = -ECHILD;
    spin_lock(&tasklist_lock);
    if (w->type != P_ALL &&
        (!w->pid || !pid_task(w->pid, w->type == P_PID ? PIDTYPE_PID : PIDTYPE_PGID))) {
        spin_unlock(&tasklist_lock);
        return 0;
    }
    if (w->flags & WNOTHREAD) {
        nr = scan_children(w, current);
    } else {
        for_each_thread(current, t) {
            nr = scan_children(w, t);
            if (nr)
                break;
        }
    }
    if (!nr)
        spin_unlock(&tasklist_lock);
    return nr;
}

static long do_wait(struct wait_opts *w)
{
    struct wait_queue_entry entry = {.private = current, .func = default_wake_function};
    INIT_LIST_HEAD(&entry.entry);
    long result;
    // Most waits find a zombie at once: the queue is only needed to sleep.
    if ((result = scan(w)) || w->none_error || (w->flags & WNOHANG))
        return result ? result : w->none_error;
    add_wait_queue(&current->signal->wait_chldexit, &entry);
    for (;;) {
        set_current_state(TASK_INTERRUPTIBLE);
        result = scan(w);
        if (result || (result = w->none_error))
            break;
        result = -ERESTARTSYS;
        if (signal_pending(current))
            break;
        schedule();
    }
    __set_current_state(TASK_RUNNING);
    remove_wait_queue(&current->signal->wait_chldexit, &entry);
    return result;
}

static struct pid *own_pgrp(void)
{
    spin_lock(&tasklist_lock);
    struct pid *p = get_pid(task_pgrp(current));
    spin_unlock(&tasklist_lock);
    return p;
}

static long wait4(pid_t upid, int __user *status, int options, struct linux_rusage __user *ru)
{
    struct linux_rusage rusage;
    struct wait_opts w = {.type = P_ALL, .rusage = ru ? &rusage : NULL};
    if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | (int)WCLONE | WALL))
        return -EINVAL;
    if (upid == -0x7fffffff - 1)
        return -ESRCH;
    if (upid < -1 || upid == 0) {
        w.type = P_PGID;
        w.pid = upid ? find_get_pid(-upid) : own_pgrp();
    } else if (upid > 0) {
        w.type = P_PID;
        w.pid = find_get_pid(upid);
    }
    w.flags = (unsigned)options | WEXITED;
    long result = do_wait(&w);
    put_pid(w.pid);
    if (result > 0 && status && put_user(w.status, status))
        result = -EFAULT;
    if (result > 0 && ru && copy_to_user(ru, &rusage, sizeof(rusage)))
        result = -EFAULT;
    return result;
}

SYSCALL_DEFINE(wait4)
{
    return wait4(ARG_INT(0), ARG_PTR(1), ARG_INT(2), ARG_PTR(3));
}

static long waitid_target(struct wait_opts *w, int which, pid_t upid)
{
    switch (which) {
    case P_ALL:
        w->type = P_ALL;
        return 0;
    case P_PID:
        if (upid <= 0)
            return -EINVAL;
        w->type = P_PID;
        w->pid = find_get_pid(upid);
        return 0;
    case P_PGID:
        if (upid < 0)
            return -EINVAL;
        w->type = P_PGID;
        w->pid = upid ? find_get_pid(upid) : own_pgrp();
        return 0;
    case P_PIDFD:
        return upid < 0 ? -EINVAL : -EBADF; // nothing makes pidfds, so no descriptor is one
    default:
        return -EINVAL;
    }
}

static int put_waitid_info(struct linux_siginfo __user *u, const struct wait_opts *w)
{
    if (put_user(w->info.pid ? SIGCHLD : 0, &u->si_signo) || put_user(0, &u->si_errno) ||
        put_user(w->info.cause, &u->si_code) || put_user(w->info.pid, &u->chld.pid) ||
        put_user(w->info.uid, &u->chld.uid) || put_user(w->info.status, &u->chld.status))
        return -EFAULT;
    return 0;
}

SYSCALL_DEFINE(waitid)
{
    struct linux_siginfo __user *uinfo = ARG_PTR(2);
    struct linux_rusage __user *ru = ARG_PTR(4);
    unsigned options = ARG_UINT(3);
    struct linux_rusage rusage;
    struct wait_opts w = {.flags = options, .rusage = ru ? &rusage : NULL};
    if (options &
        ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | WNOTHREAD | WCLONE | WALL))
        return -EINVAL;
    if (!(options & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    long result = waitid_target(&w, ARG_INT(0), ARG_INT(1));
    if (result)
        return result;
    result = do_wait(&w);
    put_pid(w.pid);
    if (result > 0) {
        result = 0;
        if (ru && copy_to_user(ru, &rusage, sizeof(rusage)))
            return -EFAULT;
    }
    if (result == 0 && uinfo && put_waitid_info(uinfo, &w))
        return -EFAULT;
    return result;
}
